"""Finding which columns of a file or table hold the user, the event and the time, by their names and by what they hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import polars as pl

from engagekit.definition import Read
from engagekit.errors import ParameterError, listing
from engagekit.ingest import fields_out, find_files, is_path, likely_preset, lines_above, sample_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SAMPLE = 5000
# What columns of each role are called, likeliest first, as words joined by _.
CALLED = {
    "user": [
        "user_id", "userid", "uid", "user", "distinct_id", "person_id", "customer_id", "customerid", "customer", "client_id",
        "member_id", "visitor_id", "student_id", "player_id", "subscriber_id", "username", "user_name", "email", "account_id",
        "kunde", "kunden_id", "kundennummer", "kunden_nr", "benutzer", "benutzer_id", "nutzer_id", "usuario", "usuario_id",
        "cliente", "cliente_id", "utilisateur", "utilisateur_id", "client", "actor", "person", "visitor", "member", "id",
        "nutzer", "kundin", "identifiant", "utente", "id_utente", "id_usuario", "id_cliente", "gebruiker", "klant", "anvandare",
        "пользователь", "клиент", "用户", "用户id", "ユーザー", "ユーザーid", "사용자", "고객",
    ],
    "event": [
        "event", "event_name", "event_type", "eventname", "action_name", "action", "activity", "activity_name", "event_action",
        "name", "verb", "type", "ereignis", "aktion", "evento", "accion", "evenement", "operation", "what", "description",
        "aktivitat", "acao", "azione", "actividad", "gebeurtenis", "handelse", "событие", "事件", "イベント", "이벤트",
    ],
    "at": [
        "at", "timestamp", "event_time", "event_timestamp", "time", "ts", "occurred_at", "event_at", "created_at", "datetime",
        "date_time", "event_date", "date", "occurred", "created", "time_stamp", "logged_at", "sent_at", "received_at", "when",
        "zeit", "zeitpunkt", "zeitstempel", "datum", "fecha", "fecha_hora", "hora", "data", "date_heure", "horodatage",
        "uhrzeit", "heure", "data_hora", "data_e_ora", "tijdstip", "tidpunkt", "время", "дата", "时间", "時間", "日時", "시간", "일시",
    ],
}  # fmt: skip
USUAL = {"user": "user_id", "event": "event", "at": "at"}
MEANS = {"user": "the user's id", "event": "the event's name", "at": "the event's time"}
UTC_SAID = re.compile(r"[\s_(\[]+(utc|gmt)[)\]]?$", re.IGNORECASE)
TIME = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}:\d{2}|^\d{9,19}(\.\d+)?$|\d{1,2} \w{3,9} \d{4}|^\w{3} \w{3} \d"
)
CLOCK = r"^\s*\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?\s*$"
DAY = r"^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\s*$"
MOST_NAMES = 1000


def found_columns(source: Any, given: Mapping[str, Any]) -> tuple[Read, list[str]]:
    """Find how a log is read, and say so in sentences; what is `given` stands.

    Raises
    ------
    ParameterError
        A role has several likely columns, or none: what to say, for all of them.
    """
    said = {k: v for k, v in given.items() if v is not None}
    if "preset" in said or {"user", "event", "at"} <= set(said):
        return Read(**said), []
    asked = {k: said[k] for k in ("encoding", "skip", "columns", "member") if k in said}
    rows = sample_of(source, most=SAMPLE, **asked) if is_path(source) else _head(source)
    preset = likely_preset(rows.columns) if is_path(source) else None
    if preset is not None and not {"user", "event", "at"} & set(said):
        return Read(**said, preset=preset), [f"The columns are those of {preset}: read with preset {preset!r}."]  # fmt: skip
    found: dict[str, Any] = dict(said)
    notes, faults = [], []
    for role in ("at", "user", "event"):
        if role in said:
            continue
        taken = [str(v) for v in found.values()]
        if not _ranked(rows, role, taken) and any(
            isinstance(dtype, pl.Struct) for dtype in rows.dtypes
        ):
            rows = fields_out(rows)
        name, fault = _only_one(rows, role, taken)
        faults += [fault] if fault else []
        if name is not None:
            found[role] = name
            notes.append(f"{MEANS[role].capitalize()}: {name!r}.")
    odd = (
        TIME.search(str(found.get("at", ""))) and "at" not in said
    )  # a time is no name of a column
    faults += _about_the_header(source, rows, said) if faults or odd else []
    if faults:
        raise ParameterError.from_faults("The columns cannot be told", faults)
    if "at" not in said:
        notes = _with_its_day(rows, found, notes)
    if "timezone" not in found and UTC_SAID.search(str(found["at"])):
        found["timezone"] = "UTC"
        notes.append(f"Times are in UTC, as the column's name {found['at']!r} says.")
    plain = {k: v for k, v in found.items() if USUAL.get(k) != v}
    return Read(**plain), notes


def _only_one(rows: pl.DataFrame, role: str, taken: list[str]) -> tuple[str | None, str]:
    """Give the one likely column of a role, or what to say where there is none or several."""
    ranked = _ranked(rows, role, taken)
    if not ranked:
        return None, f"no column looks like {MEANS[role]}; say which it is: --{role} NAME{_constant(role)}. Columns: {listing(rows.columns)}."  # fmt: skip
    names = [name for score, name in ranked if score == ranked[0][0]]
    if len(names) == 1:
        return names[0], ""
    ways = listing([f"--{role} {_quoted(name)}" for name in names[:4]], last="or")
    return None, f"{MEANS[role]} may be in {listing(names[:4], last='or')}; say which: {ways}."


def _about_the_header(source: Any, rows: pl.DataFrame, said: Mapping[str, Any]) -> list[str]:
    """Say that a file may have no header, or lines above it, where its columns are called like values."""
    if not is_path(source) or {"columns", "skip"} & set(said):
        return []
    path = find_files(source)[0]
    value = next(filter(TIME.search, rows.columns), None)
    if value is not None:
        numbered = ",".join(["user_id", "event", "at", *[f"c{n}" for n in range(4, rows.width + 1)]][: rows.width])  # fmt: skip
        return [f"the first line holds values such as {value!r}, so there may be no header; name the columns in their order, such as --columns {numbered}."]  # fmt: skip
    above = lines_above(path) if rows.width < 3 else 0
    return [f"the header may stand below {above} other {'line' if above == 1 else 'lines'}; if so, say --skip {above}."] if above else []  # fmt: skip


def _with_its_day(rows: pl.DataFrame, found: dict[str, Any], notes: list[str]) -> list[str]:
    """Join a column of clock times with the one of dates beside it."""

    def all_like(name: str, pattern: str) -> bool:
        column = rows[name].drop_nulls().head(200)
        return (
            column.dtype == pl.String
            and len(column) > 0
            and bool(column.str.contains(pattern).all())
        )

    chosen = found["at"]
    others = [name for name in rows.columns if name not in found.values()]
    if chosen not in rows.columns:
        return notes
    if all_like(chosen, CLOCK):
        pairs = [[name, chosen] for name in others if all_like(name, DAY)]
    elif all_like(chosen, DAY):
        # A duration looks like a time of day too, so its name must say that it is one.
        pairs = [[chosen, n] for n in others if _plain(n) in CALLED["at"] and all_like(n, CLOCK)]
    else:
        return notes
    if len(pairs) != 1:
        return notes
    found["at"] = pairs[0]
    told = f"{MEANS['at'].capitalize()}: {listing(pairs[0])} together."
    return [told if note.startswith(MEANS["at"].capitalize()) else note for note in notes]


def _head(source: Any) -> pl.DataFrame:
    from engagekit.log import as_lazy

    frame = source
    if type(source).__module__.split(".")[0] == "pandas":
        frame = pl.from_pandas(source.head(SAMPLE))
    elif hasattr(source, "to_arrow_table"):
        frame = pl.DataFrame(source.limit(SAMPLE).to_arrow_table())
    return as_lazy(frame).head(SAMPLE).collect()


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else f'"{name}"'


def _constant(role: str) -> str:
    return " (a log of one kind of event: --event '=purchase')" if role == "event" else ""


def _plain(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", UTC_SAID.sub("", name))
    words = normalize("NFC", re.sub("[\u0300-\u036f]", "", normalize("NFKD", words)))  # é is e
    return re.sub(r"[\W_]+", "_", words).strip("_").casefold()


def _ranked(rows: pl.DataFrame, role: str, taken: list[str]) -> list[tuple[int, str]]:
    """Order the columns that may play a role: by a known name, then by a known last or first word, then by content alone."""
    fits = FITS[role]
    found = []
    if USUAL[role] in rows.columns and USUAL[role] not in taken:
        return [(1000, USUAL[role])]  # it says itself what it is, whatever the few rows hold
    for name in rows.columns:
        if name in taken or not fits(rows[name]):
            continue
        plain, called = _plain(name), CALLED[role]
        words = plain.split("_")
        if plain in called:
            score = 1000 - called.index(plain)
        elif any(plain in others for others in CALLED.values()):
            score = 50  # it is called what another role is called
        elif any(word in called[:12] for word in words):
            score = 500
        else:
            score = 100
        found.append((score, name))
    if (
        not found and role == "at"
    ):  # numbers of which the form must be said: the reader tells which it may be
        named = [n for n in rows.columns if n not in taken and _plain(n) in CALLED[role] and not rows[n].dtype.is_nested()]  # fmt: skip
        found = [(1000 - CALLED[role].index(_plain(name)), name) for name in named]
    found.sort(key=lambda f: -f[0])
    return found


def _is_time(column: pl.Series) -> bool:
    if isinstance(column.dtype, (pl.Datetime, pl.Date)):
        return True
    known = column.drop_nulls()
    if not len(known):
        return False
    if column.dtype.is_numeric():
        low = known.cast(pl.Float64).min()
        return isinstance(low, float) and low > 6e8 and column.n_unique() > 1
    if column.dtype != pl.String:
        return False
    text = [str(t).strip() for t in known.head(200).to_list() if str(t).strip()]
    return bool(text) and sum(bool(TIME.search(t)) for t in text) >= 0.9 * len(text)


def _is_id(column: pl.Series) -> bool:
    if not (column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical)) or isinstance(column.dtype, pl.Enum):  # fmt: skip
        return False
    known = column.drop_nulls()
    return known.n_unique() > 1 and not _is_time(column)


def _is_name(column: pl.Series) -> bool:
    if column.dtype not in (pl.String, pl.Categorical) and not isinstance(column.dtype, pl.Enum):
        return False
    known = column.drop_nulls().cast(pl.String)
    if not 1 <= known.n_unique() <= min(MOST_NAMES, max(2, len(known) // 2)) or _is_time(known):
        return False
    return not known.head(200).str.contains(r"^-?\d+([.,]\d+)?$").all()


FITS: dict[str, Callable[[pl.Series], bool]] = {"user": _is_id, "event": _is_name, "at": _is_time}

"""Reading a column of times: one form per column, told from the data or stated, and never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

import polars as pl

from engagekit.errors import ParameterError, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Kind: TypeAlias = Literal["instant", "local", "day", "epoch"]
# No product's log reaches back further or ahead further: such a time is a wrong unit or a broken clock.
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}
UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
KIND_NAMES = {
    "instant": "times with an offset",
    "local": "times without an offset",
    "day": "dates without a time",
    "epoch": "numbers",
}
ROUNDED = r"^\d(\.\d+)?E\+\d+$"  # what a spreadsheet makes of a long number
EXCEL = "excel"
EXCEL_DAYS = (32_874, 73_050)  # 1990 to 2099
# Ways of writing times that other programs have, to be proposed where all values fit.
ELSEWHERE = (
    "%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S GMT", "%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S UTC %Y", "%a %b %d %Y %H:%M:%S GMT%z", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p",
    "%Y-%m-%d %H:%M:%S,%3f", "%Y-%m-%dT%H:%M:%S,%3f", "%d %B %Y %H:%M:%S", "%d %B %Y %H:%M", "%d %B %Y", "%d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M", "%d %b %Y", "%d-%b-%Y %H:%M:%S", "%d-%b-%Y %H:%M", "%d-%b-%Y", "%d-%b-%y", "%B %d, %Y %I:%M:%S %p",
    "%B %d, %Y %I:%M %p", "%B %d, %Y %H:%M", "%B %d, %Y", "%b %d, %Y %I:%M:%S %p", "%b %d, %Y, %I:%M:%S %p", "%b %d, %Y %I:%M %p",
    "%b %d, %Y %H:%M:%S", "%b %d, %Y", "%d.%m.%Y, %H:%M", "%d.%m.%Y, %H:%M:%S", "%Y%m%dT%H%M%SZ", "%Y%m%d %H%M", "%Y%m%d %H:%M:%S",
)  # fmt: skip
COMMA = re.compile(
    r"^(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4}|\d{2}), (\d{1,2}:\d{2})(:\d{2})?( [AaPp][Mm])?$"
)
IN_BRACKETS = re.compile(r" \([^)]*\)$")  # the zone that JavaScript writes behind the offset
NUMBER = r"^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$"
DAY_MONTH = re.compile(
    r"^\d{1,2}([/.-])\d{1,2}[/.-](\d{4}|\d{2})(?:([ T])\d{1,2}:\d{2}(:\d{2})?(\.\d+)?( ?[AaPp][Mm])?)?$"
)
OFFSET, ZONE_NAME = re.compile(r"(?<!%)%[#:]*z"), re.compile(r"(?<!%)%Z")
LITERAL_UTC = re.compile(r"(?<!%)Z$| (UTC|GMT)( |$)")
ZONES_OF_NO_OFFSET = ("UTC", "GMT", "Z", "utc", "gmt")


@dataclass(frozen=True)
class Form:
    """One way of writing times: a pattern (or an epoch's unit), and what it tells."""

    pattern: str
    kind: Kind
    wall_clock: bool = False  # an epoch counted in local time, as some exports write it


def _forms() -> tuple[Form, ...]:
    forms = []
    for day in ("%Y-%m-%d", "%Y/%m/%d"):
        for clock in ("%H:%M:%S", "%H:%M:%S%.f", "%H:%M"):  # the first is read in half the time
            for between in (" ", "T"):
                local = f"{day}{between}{clock}"
                forms.append(Form(local, "local"))
                forms += [Form(local + end, "instant") for end in ("Z", " UTC", "%#z", " %#z")]
        forms.append(Form(day, "day"))
    return tuple(forms)


FORMS = _forms()


def form_of(at_format: str) -> Form:
    """Take the form that `at_format` states: an epoch's unit or a strptime pattern."""
    if not isinstance(at_format, str) or (
        at_format not in {*UNITS, EXCEL} and "%" not in at_format
    ):
        raise ParameterError(
            f"at_format is {at_format!r}; it takes the unit of an epoch ({listing(UNITS, last='or')}) or a pattern such as '%d/%m/%Y %H:%M'."
        )
    if at_format in UNITS:
        return Form(at_format, "epoch")
    if at_format == EXCEL:
        return Form(EXCEL, "epoch", wall_clock=True)
    kind: Kind = "day"
    if names_offset(at_format):
        kind = "instant"
    elif re.search(r"%[HIkTRrXcsM]", at_format):
        kind = "local"
    form = Form(at_format, kind)
    try:
        pl.select(parsed(pl.lit("x"), form, timezone="UTC"))
    except pl.exceptions.PolarsError as error:
        raise ParameterError(
            f"at_format is {at_format!r}, which is no pattern for times ({_first_line(error)}). Write one such as '%d/%m/%Y %H:%M:%S'."
        ) from None
    return form


def parsed(raw: pl.Expr, form: Form, *, timezone: str) -> pl.Expr:
    """Read text (or numbers, for an epoch) as instants in UTC or as dates; what does not fit is null."""
    if form.kind == "epoch":
        at = _from_epoch(pl.when(~raw.str.contains(ROUNDED)).then(raw), form.pattern)
        if form.wall_clock:
            at = localized(at.dt.replace_time_zone(None), timezone)
        return at
    if form.kind == "day":
        return _within_living_memory(raw.str.to_date(form.pattern, strict=False), day=True)
    if names_zones(form):
        # polars passes over the name of a zone, whichever it is; only these mean one offset everywhere.
        ways = [ZONE_NAME.sub(name, form.pattern) for name in ZONES_OF_NO_OFFSET]
        read = [raw.str.to_datetime(way, strict=False, time_unit="us") for way in ways]
        return _within_living_memory(pl.coalesce(read).dt.replace_time_zone("UTC"))
    time = raw.str.to_datetime(form.pattern, strict=False, time_unit="us")
    if form.kind == "local":
        time = localized(time, timezone)
    elif not OFFSET.search(form.pattern) and not ZONE_NAME.search(form.pattern):
        time = time.dt.replace_time_zone("UTC")
    return _within_living_memory(time)


def names_offset(pattern: str) -> bool:
    """Say whether a pattern tells where its times lie."""
    return any(mark.search(pattern) for mark in (OFFSET, ZONE_NAME, LITERAL_UTC))


def names_zones(form: Form) -> bool:
    """Say whether times carry the name of a zone, and no offset beside it."""
    return bool(ZONE_NAME.search(form.pattern)) and not OFFSET.search(form.pattern)


def _within_living_memory(at: pl.Expr, *, day: bool = False) -> pl.Expr:
    low, high = (EARLIEST.date(), LATEST.date()) if day else (EARLIEST, LATEST)
    return pl.when(at.is_between(low, high, closed="left")).then(at)


def _from_epoch(raw: pl.Expr, unit: str) -> pl.Expr:
    low, high = (round(t.timestamp() * 1_000_000) for t in (EARLIEST, LATEST))
    if unit == EXCEL:  # days since the last but one of 1899, in local time
        micros = ((raw.cast(pl.Float64, strict=False) - 25_569) * 86_400_000).round().cast(
            pl.Int64
        ) * 1000
    elif unit == "ns":
        micros = raw.cast(pl.Int64, strict=False) // 1000
    else:
        number = raw.cast(pl.Float64, strict=False) * UNITS[unit]
        micros = (
            pl.when(number.is_between(low, high, closed="left")).then(number).round().cast(pl.Int64)
        )
    micros = pl.when(micros.is_between(low, high, closed="left")).then(micros)
    return micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def localized(time: pl.Expr, timezone: str) -> pl.Expr:
    """Take naive times as wall-clock times of a zone, in UTC.

    Of a wall-clock hour that comes twice the first is meant; one that a change of clocks skips is read with
    the offset before the change, so it lands just after it (as Python's ``fold=0`` does).
    """
    if timezone == "UTC":
        return time.dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    time, lead = time.dt.cast_time_unit("us"), timedelta(hours=6)

    def placed(wall: pl.Expr) -> pl.Expr:
        return wall.dt.replace_time_zone(
            timezone, ambiguous="earliest", non_existent="null"
        ).dt.convert_time_zone("UTC")

    return pl.coalesce(placed(time), placed(time - lead) + lead)


def choose(sample: pl.Series, candidates: Sequence[Form] = FORMS) -> Form | None:
    """Find the form that reads most values of a sample, or None if none reads any."""
    values = sample.drop_nulls()
    if values.is_empty():
        return None
    frame = pl.DataFrame({"raw": values})
    counts = frame.select(
        parsed(pl.col("raw"), form, timezone="UTC").count().alias(str(number))
        for number, form in enumerate(candidates)
    ).row(0)
    best = max(range(len(candidates)), key=lambda n: counts[n])
    return candidates[best] if counts[best] else None


def reading(
    forms: Iterable[Form], *, timezone: str, raw: pl.Expr, first: pl.Expr | None = None
) -> pl.Expr:
    """Read a column by several forms of one kind, first come first served."""
    parts = [parsed(raw, form, timezone=timezone) for form in forms]
    return pl.coalesce([*([first] if first is not None else []), *parts])


def unit_of(number: float) -> str | None:
    """Name the unit in which a number is a time of our days."""
    for unit, scale in UNITS.items():
        if EARLIEST.timestamp() <= number * scale / 1_000_000 < LATEST.timestamp():
            return unit
    return None


def unreadable(
    column: str,
    values: Sequence[str],
    *,
    count: int | None,
    where: str,
    stated: Form | None = None,
    can_drop: bool = True,
) -> str:
    """Say why values are no times one could read: a number, day and month in doubt, or no time at all."""
    first, what = values[0], _many(count)
    remedy = ", or pass bad_times='null' to leave such events out, counted" if can_drop else ""
    years = f"the years {EARLIEST.year} to {LATEST.year - 1}"
    if re.match(ROUNDED, first):
        return (
            f"{column} holds {what} such as {first}, which a spreadsheet has rounded, so that the time is lost ({where}). "
            f"Take the log from its source again, and keep spreadsheets away from it{remedy}."
        )
    if re.match(NUMBER, first) and (stated is None or stated.kind == "epoch"):
        return _epoch_fault(column, first, count=count, where=where, remedy=remedy, stated=stated)
    if stated is not None:
        form = (
            f"{UNIT_NAMES.get(stated.pattern, 'days of Excel')} since 1970"
            if stated.kind == "epoch"
            else stated.pattern
        )
        why = (
            " Of the names of zones (%Z) only UTC and GMT are read, since others, such as EST or IST, mean different offsets in different places; write the offset (%z)."
            if names_zones(stated)
            else ""
        )
        return f"{column} holds {what} that cannot be read as {form!r} within {years} ({where}).{why} Mend them, or say another at_format{remedy}."
    if DAY_MONTH.match(first):
        return _day_month_fault(column, values, count=count, where=where)
    if _are_times_beyond([first]):
        return f"{column} holds {what} outside {years} ({where}), from a wrong unit or a wrong clock. Mend or remove them{remedy}."
    if fitting := _elsewhere(values):
        ways = " or ".join(f"at_format={pattern!r}" for pattern in fitting)
        return f"{column} holds {what} written in a way that must be said ({where}). Of the ways known, this reads all looked at: {ways}; say it if it is right{remedy}."
    return f"{column} holds {what} that cannot be read as a time ({where}). Write times as '2026-03-01 09:30:00', or say their pattern (such as at_format='%Y%m%d %H%M'){remedy}."


def _elsewhere(values: Sequence[str]) -> list[str]:
    """Find the known ways of writing times that fit all values; of day and month in doubt both."""
    texts = list(values)
    candidates = list(ELSEWHERE)
    if (named := IN_BRACKETS.search(texts[0])) and all(v.endswith(named.group()) for v in texts):
        candidates += [f"%a %b %d %Y %H:%M:%S GMT%z{named.group()}"]
    if match := COMMA.match(texts[0]):
        _, mark, _, year, _, seconds, half = match.groups()
        clock = f"{'%I' if half else '%H'}:%M{':%S' if seconds else ''}{' %p' if half else ''}"
        years = "%Y" if len(year) == 4 else "%y"
        candidates += [
            f"{a}{mark}{b}{mark}{years}, {clock}" for a, b in (("%d", "%m"), ("%m", "%d"))
        ]
    frame = pl.DataFrame({"raw": texts})
    reads = [
        p for p in candidates
        if frame.select(parsed(pl.col("raw"), form_of(p), timezone="UTC").is_not_null().all()).item()
    ]  # fmt: skip
    return reads[:2] if COMMA.match(texts[0]) else reads[:1]


def _epoch_fault(
    column: str, value: str, *, count: int | None, where: str, remedy: str, stated: Form | None
) -> str:
    unit, what = unit_of(float(value)), _many(count, "number")
    if stated is None and EXCEL_DAYS[0] <= float(value) < EXCEL_DAYS[1]:
        days = datetime(1899, 12, 30, tzinfo=UTC) + timedelta(days=float(value))
        return f"{column} holds {what} that look like Excel's days ({where}): {value} would be {days:%Y-%m-%d %H:%M}. If that is right, say at_format={EXCEL!r}{remedy}."
    if unit is None and (compact := _compact(value)):
        return f"{column} holds {what} that look like dates written without marks ({where}). If they are, say at_format={compact!r}."
    if unit is None:
        return f"{column} holds {what} that, counted from 1970, lie outside the years {EARLIEST.year} to {LATEST.year - 1} in every unit ({where}). Name the column that holds the time (at=...){remedy}."
    moment = datetime.fromtimestamp(float(value) * UNITS[unit] / 1_000_000, UTC)
    meant = f"taken as {UNIT_NAMES[unit]} since 1970, {value} is {moment:%Y-%m-%d %H:%M} UTC. If that is right, say at_format={unit!r}"
    if stated is None:
        return f"{column} holds {what} whose unit is not said ({where}); {meant}."
    return f"{column} holds {what} that mean no time of our days in {UNIT_NAMES.get(stated.pattern, EXCEL)} ({where}); {meant}{remedy}."


def _compact(value: str) -> str | None:
    for pattern, length in (("%Y%m%d", 8), ("%Y%m%d%H%M", 12), ("%Y%m%d%H%M%S", 14)):
        if len(value) == length and choose(pl.Series([value]), [form_of(pattern)]):
            return pattern
    return None


def _day_month_fault(column: str, values: Sequence[str], *, count: int | None, where: str) -> str:
    patterns = [_pattern(values[0], month_first=month_first) for month_first in (False, True)]
    raw = pl.DataFrame({"raw": [v for v in values if DAY_MONTH.match(v)]})
    fit = []
    for pattern in patterns:
        form = form_of(pattern)
        read = raw.select(parsed(pl.col("raw"), form, timezone="UTC").is_not_null().all()).item()
        fit += [pattern] if read else []
    which = (
        f"Of the values looked at, only at_format={fit[0]!r} reads all; say it if it is right."
        if len(fit) == 1
        else f"Say at_format={patterns[0]!r} or at_format={patterns[1]!r}."
    )
    return f"{column} holds {_many(count, 'date')} in which day and month cannot be told apart ({where}). {which}"


def _pattern(value: str, *, month_first: bool) -> str:
    match = DAY_MONTH.match(value)
    assert match is not None  # noqa: S101 - only called on values that match
    mark, year, between, seconds, fraction, half = match.groups()
    days = mark.join(["%m", "%d"] if month_first else ["%d", "%m"])
    clock = ""
    if between:
        hour = "%I" if half else "%H"
        clock = f"{between}{hour}:%M{':%S' if seconds else ''}{'%.f' if fraction else ''}"
        clock += "" if not half else (" %p" if half.startswith(" ") else "%p")
    return f"{days}{mark}{'%Y' if len(year) == 4 else '%y'}{clock}"


def _are_times_beyond(values: Sequence[str]) -> bool:
    frame, raw = pl.DataFrame({"raw": values}), pl.col("raw")
    read = [
        raw.str.to_date(form.pattern, strict=False)
        if form.kind == "day"
        else raw.str.to_datetime(form.pattern, strict=False).dt.date()
        for form in FORMS
    ]
    return bool(frame.select(pl.coalesce(read).is_not_null().any()).item())


def fault_sort(value: str) -> str:
    """Sort unreadable values, so that one message can speak of values of one kind."""
    if re.match(NUMBER, value):
        return "number"
    return "day or month" if DAY_MONTH.match(value) else "other"


def mixed(column: str, kinds: Sequence[tuple[str, str]]) -> str:
    """Say that a column mixes kinds of times; `kinds` holds each kind with an example and its place."""
    parts = " beside ".join(f"{KIND_NAMES[kind]} ({where})" for kind, where in kinds)
    return f"{column} mixes {parts}; which is meant cannot be told. Write the column in one form."


def _many(count: int | None, what: str = "value") -> str:
    if count is None:
        return f"{what}s"
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200]

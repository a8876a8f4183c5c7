"""How the command line reads a log, a users table and a definition."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

import engagekit as ek
from engagekit.definition import OUR_COLUMNS, property_faults
from engagekit.errors import ColumnError, ParameterError, listing, nearest
from engagekit.ingest import PresetName, as_defined, find_files, own_columns
from engagekit.journeys import ASSIGNED
from engagekit.log import COLUMNS
from engagekit.rollups import is_prepared, open_prepared
from engagekit.workshop import DEFINITION_FILE, SESSION_FILE, is_team, teams_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the event log is read.

    Parameters
    ----------
    definition
        TOML file that says what success is in this product.
    preset
        Which product wrote the export, if one of these did.
    user, event, at
        Names of the columns that hold the user's id, the event's name and the time; default: as the definition's
        [read] says, else user_id, event and at.
    at_timezone
        Where times without an offset lie; default: the definition's time zone.
    at_format
        How the times are written, where that cannot be told: s, ms, us or ns for an epoch, excel, or a pattern like
        %d/%m/%Y.
    bad_times
        What becomes of unreadable times: refused, or left out and counted.
    encoding
        How text files are encoded.
    columns
        Names of the columns of csv files without a header, with commas between them.
    skip
        How many lines stand above the header (or, with --columns, above the first row).
    dedupe
        Keep one of events that are the same in every column.
    dedupe_by
        Keep one of events with the same value in this column: the id of a message that may have been sent twice.
    cache
        Folder for text files once read; default: a folder of your account.
    missing
        What becomes of events of the definition that nobody did: refused, or allowed, as never done.
    """

    definition: Annotated[Path | None, Parameter(name=["--definition", "-d"])] = None
    preset: PresetName | None = None
    user: str | None = None
    event: str | None = None
    at: str | None = None
    at_timezone: str | None = None
    at_format: str | None = None
    bad_times: Literal["refuse", "null"] | None = None
    encoding: str | None = None
    columns: str | None = None
    skip: int | None = None
    dedupe: Annotated[bool, Parameter(negative="")] = False
    dedupe_by: str | None = None
    cache: Path | None = None
    missing: Literal["refuse", "allow"] = "refuse"

    def said(self) -> dict[str, Any]:
        """Return what is said, by the names of `ek.scan_events`."""
        given = {
            "user": self.user,
            "event": self.event,
            "at": self.at,
            "preset": self.preset,
            "timezone": self.at_timezone,
            "at_format": self.at_format,
            "bad_times": self.bad_times,
            "encoding": self.encoding,
            "columns": None
            if self.columns is None
            else [c.strip() for c in self.columns.split(",")],
            "skip": self.skip,
            "dedupe": self.dedupe_by or self.dedupe or None,
        }
        return {name: value for name, value in given.items() if value is not None}


DEFAULT = Reading()


def journeys_of(
    events: str | None,
    reading: Reading,
    *,
    users: Path | None,
    as_of: str | None,
    by: str | None = None,
) -> tuple[ek.Journeys, pl.DataFrame]:
    """Roll up the log, with the property to split by among the users' own; also check the log."""
    log, definition, people, end = log_of(events, reading, needs_definition=True, by=by)
    if definition is None:
        raise ParameterError(UNDEFINED)
    if users is not None:
        people = users_in(users, reading, ids=id_type(log), timezone=definition.timezone)
    definition = _split_by(by, definition, people, frame_of(log), events, reading)
    _refuse_missing(frame_of(log), definition, people, events, reading)
    journeys = ek.rollup(log, definition, users=people, as_of=as_of or end, missing=reading.missing)
    return journeys, ek.check_events(frame_of(log), definition, as_of=journeys.as_of)


def _split_by(
    by: str | None,
    definition: ek.Definition,
    people: pl.DataFrame | None,
    log: pl.LazyFrame,
    events: str | None,
    reading: Reading,
) -> ek.Definition:
    """Let a property of events be the users', if the users table does not have it."""
    of_users = [] if people is None else [c for c in people.columns if c not in OUR_COLUMNS]
    told = [*of_users, *definition.properties, *(ASSIGNED if definition.experiment else ())]
    if by is None or by in told:
        return definition
    of_events = [name for name in log.collect_schema() if name not in COLUMNS]
    if by in of_events and not property_faults((by,)):
        return dataclasses.replace(definition, properties=(*definition.properties, by))
    known = [*of_users, *_of_source(events, reading, definition), *of_events]
    users = (
        f"the users table has {listing(of_users)}"
        if of_users
        else "there is no users table (--users)"
    )
    raise ParameterError(
        f"--by {by!r} is no property of users, and none of events that could become one; {users}, the events have "
        f"{listing(known[len(of_users) :]) or 'none that was kept'}.{nearest(by, known)}"
    )


def _refuse_missing(
    log: pl.LazyFrame,
    definition: ek.Definition,
    people: pl.DataFrame | None,
    events: str | None,
    reading: Reading,
) -> None:
    there = log.collect_schema()
    given = [] if people is None else people.columns
    needed = [*definition.property_names(), *(p for p in definition.properties if p not in given)]
    missing = [name for name in dict.fromkeys(needed) if name not in there]
    if not missing:
        return
    known = _of_source(events, reading, definition) or [n for n in there if n not in COLUMNS]
    prepared = events is not None and is_prepared(events)
    have = f" It has {listing(known)}." if known else " It has no properties at all."
    again = " Prepare it again: engagekit prepare SOURCE FOLDER --definition FILE.toml." if prepared else ""  # fmt: skip
    faults = [
        f"there is no property {name!r} in the log.{nearest(name, known)}" for name in missing
    ]
    faults[-1] += have + again
    raise ColumnError.from_faults("The definition asks for what the log lacks", faults)


def _of_source(events: str | None, reading: Reading, definition: ek.Definition) -> list[str]:
    """List the properties that a log could have kept."""
    if events is None or is_prepared(events) or team_of(events) is not None:
        return []
    said = as_defined(reading.said(), definition)
    return [] if said["preset"] is not None else own_columns(events, said)


UNDEFINED = (
    "What success is in your product is not said: give --definition FILE.toml, which this drafts from the log: "
    "engagekit draft EVENTS -o definition.toml. Or make a workshop folder with one: engagekit start FOLDER --events FILE."
)


def log_of(
    events: str | None, reading: Reading, *, needs_definition: bool, by: str | None = None
) -> tuple[Any, ek.Definition | None, pl.DataFrame | None, Any]:
    """Take the log, a workshop's or the bundled sample, with its definition, users table and end as far as they are known."""
    if events is None:
        from engagekit.simulation import load_sample

        sample = load_sample()
        definition = definition_in(reading) or sample.definition
        return sample.events, definition, sample.users, sample.as_of
    given = definition_in(reading)
    if (team := team_of(events, defined=given is not None or not needs_definition)) is not None:
        log, people, end = team.data()
        return log, given or team.definition, people, end
    if given is None and is_prepared(events) and (Path(events) / DEFINITION_FILE).is_file():
        given = ek.Definition.load(Path(events) / DEFINITION_FILE)
    if given is None and needs_definition:
        if not is_prepared(events):
            find_files(events)  # says so where there are none
        raise ParameterError(UNDEFINED)
    return scan(events, reading, given, perhaps=[by] if by else ()), given, None, None


def team_of(events: str, *, defined: bool = True) -> ek.Session | None:
    """Open the session of a team's folder; of a workshop folder only where the definition is `defined` elsewhere.

    Raises
    ------
    ParameterError
        It is a workshop folder, whose teams may each have another definition: which they are.
    """
    if is_team(events):
        return ek.Session(events)
    if is_prepared(events) or not any(Path(events).glob(f"[!.]*/{SESSION_FILE}")):
        return None
    teams = teams_in(events)
    if defined:
        return teams[0]
    others = listing([str(team.folder) for team in teams[1:]], last="or")
    raise ParameterError(
        f"{events!r} is a workshop folder; its log is diagnosed by the definition of a team: engagekit diagnose {teams[0].folder}"
        + (f" (or {others})" if others else "")
    )


def definition_in(reading: Reading) -> ek.Definition | None:
    """Read the definition, if one is named."""
    return None if reading.definition is None else ek.Definition.load(reading.definition)


def scan(
    source: str,
    reading: Reading,
    definition: ek.Definition | None,
    *,
    keep: Sequence[str] = (),
    perhaps: Sequence[str] = (),
) -> Any:
    """Read a log as was said, with the properties that the definition asks for, and others if they are there."""
    if is_prepared(source):
        return Path(source)  # reduced bucket by bucket, in little memory
    asking = _asking(definition, perhaps)
    return ek.scan_events(
        source, keep=keep, definition=asking, cache=reading.cache, **reading.said()
    )


def _asking(definition: ek.Definition | None, perhaps: Sequence[str]) -> ek.Definition | None:
    """Have a definition ask for more properties, where a definition may."""
    more = [name for name in perhaps if not property_faults((name,))]
    if definition is None or not more:
        return definition
    return dataclasses.replace(definition, properties=(*definition.properties, *more))


def users_in(
    path: Path, reading: Reading, *, ids: pl.DataType | None, timezone: str
) -> pl.DataFrame:
    """Read the users table as was said."""
    return ek.read_users(
        path,
        ids=ids,
        timezone=reading.at_timezone or timezone,
        at_format=reading.at_format,
        encoding=reading.encoding or "utf-8",
    )


def drafted_from(source: Any, reading: Reading, *, name: str = "this product") -> ek.Draft:
    """Draft a definition, with what the flags say of the columns."""
    said = reading.said()
    columns = {role: said.pop(role, None) for role in ("user", "event", "at", "preset")}
    zone = reading.at_timezone or "UTC"
    return ek.draft(
        source, name=name, timezone=zone, read=ek.Read(**said), cache=reading.cache, **columns
    )


def explain(drafted: ek.Draft, path: Path) -> None:
    """Write a drafted definition with its reasons, with the windows that the whole log has given it."""
    whole = ek.Definition.load(path)
    dataclasses.replace(drafted, definition=whole).save(path)


def frame_of(log: Any) -> Any:
    """Take a log as a frame, also where it is the folder of a prepared one."""
    return open_prepared(log).log if isinstance(log, Path) else log


def id_type(log: Any) -> pl.DataType:
    """Say what type a log's ids have."""
    found: pl.DataType = frame_of(log).collect_schema()["user_id"]
    return found

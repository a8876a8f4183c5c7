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
from engagekit.ingest import find_files, own_columns
from engagekit.journeys import ASSIGNED
from engagekit.log import COLUMNS
from engagekit.rollups import is_prepared, open_prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

Preset = Literal[
    "posthog", "amplitude", "mixpanel", "mixpanel_before_2023", "segment", "ga4", "snowplow"
]


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
        Names of the columns that hold the user's id, the event's name and the time.
    at_timezone
        Where times without an offset lie; default: the definition's time zone.
    at_format
        How the times are written, where that cannot be told: s, ms, us or ns for an epoch, or a pattern like
        %d/%m/%Y.
    bad_times
        What becomes of unreadable times: refused, or left out and counted.
    encoding
        How text files are encoded.
    dedupe
        Keep one of events that are the same in every column.
    cache
        Folder for text files once read; default: a folder of your account.
    missing
        What becomes of events of the definition that nobody did: refused, or allowed, as never done.
    """

    definition: Annotated[Path | None, Parameter(name=["--definition", "-d"])] = None
    preset: Preset | None = None
    user: str = "user_id"
    event: str = "event"
    at: str = "at"
    at_timezone: str | None = None
    at_format: str | None = None
    bad_times: Literal["refuse", "null"] = "refuse"
    encoding: str = "utf-8"
    dedupe: Annotated[bool, Parameter(negative="")] = False
    cache: Path | None = None
    missing: Literal["refuse", "allow"] = "refuse"


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
    known = [*of_users, *_of_source(events, reading), *of_events]
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
    known = _of_source(events, reading) or [n for n in there if n not in COLUMNS]
    prepared = events is not None and is_prepared(events)
    have = f" It has {listing(known)}." if known else " It has no properties at all."
    again = " Prepare it again: engagekit prepare SOURCE FOLDER --definition FILE.toml." if prepared else ""  # fmt: skip
    faults = [
        f"there is no property {name!r} in the log.{nearest(name, known)}" for name in missing
    ]
    faults[-1] += have + again
    raise ColumnError.from_faults("The definition asks for what the log lacks", faults)


def _of_source(events: str | None, reading: Reading) -> list[str]:
    """List the properties that a log could have kept."""
    if events is None or is_prepared(events) or reading.preset is not None:
        return []
    roles = (reading.user, reading.event, reading.at)
    return own_columns(events, roles, encoding=reading.encoding)


UNDEFINED = (
    "What success is in your product is not said: give --definition FILE.toml, or make a workshop folder with one: "
    "engagekit start FOLDER --events FILE."
)


def log_of(
    events: str | None, reading: Reading, *, needs_definition: bool, by: str | None = None
) -> tuple[Any, ek.Definition | None, pl.DataFrame | None, Any]:
    """Take the log, or the bundled sample, with its definition, users table and end as far as they are known."""
    if events is None:
        from engagekit.simulation import load_sample

        sample = load_sample()
        definition = definition_in(reading) or sample.definition
        return sample.events, definition, sample.users, sample.as_of
    given = definition_in(reading)
    if given is None and needs_definition:
        raise ParameterError(_undefined(events))
    return scan(events, reading, given, perhaps=[by] if by else ()), given, None, None


def _undefined(events: str) -> str:
    """Say that the definition is missing; first of all that the log is, if it is."""
    if not is_prepared(events):
        find_files(events)  # says so where there are none
    from engagekit.workshop import DEFINITION_FILE, LOG, USERS

    folder = Path(events)
    made = sorted(folder.glob(f"*/{DEFINITION_FILE}"))
    if made and is_prepared(folder / LOG):
        users = f" --users {folder / USERS}" if (folder / USERS).is_file() else ""
        return (
            f"{events!r} is a workshop folder; the log in it is diagnosed by a team's definition: "
            f"engagekit diagnose {folder / LOG} --definition {made[0]}{users}"
        )
    return UNDEFINED


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
    zone = reading.at_timezone or (definition.timezone if definition else "UTC")
    return ek.scan_events(
        source,
        user=reading.user,
        event=reading.event,
        at=reading.at,
        preset=reading.preset,
        timezone=zone,
        keep=keep,
        definition=_asking(definition, perhaps),
        dedupe=reading.dedupe,
        cache=reading.cache,
        at_format=reading.at_format,
        bad_times=reading.bad_times,
        encoding=reading.encoding,
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
        encoding=reading.encoding,
    )


def frame_of(log: Any) -> Any:
    """Take a log as a frame, also where it is the folder of a prepared one."""
    return open_prepared(log).log if isinstance(log, Path) else log


def id_type(log: Any) -> pl.DataType:
    """Say what type a log's ids have."""
    found: pl.DataType = frame_of(log).collect_schema()["user_id"]
    return found

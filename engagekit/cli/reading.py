"""How the command line reads a log, a users table and a definition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

import engagekit as ek
from engagekit.errors import ParameterError

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


AS_IT_IS = Reading()  # a log with our own names of columns


def journeys_of(
    events: str | None, reading: Reading, *, users: Path | None, as_of: str | None
) -> tuple[ek.Journeys, pl.DataFrame]:
    """Roll up a log as the command line names it, and say what to know about it."""
    log, definition, people, end = log_of(events, reading, needs_definition=True)
    if definition is None:
        raise ParameterError(
            f"What success is in your product is not said: give --definition FILE.toml{how_to_define()}"
        )
    if users is not None:
        people = users_in(users, reading, ids=id_type_of(log), timezone=definition.timezone)
    journeys = ek.rollup(log, definition, users=people, as_of=as_of or end)
    return journeys, ek.check_events(frame_of(log), definition, as_of=journeys.as_of)


def how_to_define() -> str:
    """Say how one comes to a definition."""
    return ", or make a workshop folder with one: engagekit start FOLDER --events FILE."


def log_of(
    events: str | None, reading: Reading, *, needs_definition: bool
) -> tuple[Any, ek.Definition | None, pl.DataFrame | None, Any]:
    """Open a log, or the bundled sample, with its definition, users and end where these are known."""
    if events is None:
        from engagekit.simulation import load_sample

        sample = load_sample()
        return (
            sample.events,
            definition_in(reading) or sample.definition,
            sample.users,
            sample.as_of,
        )
    definition = definition_in(reading)
    if definition is None and needs_definition:
        raise ParameterError(
            f"What success is in your product is not said: give --definition FILE.toml{how_to_define()}"
        )
    return scan_in(events, reading, definition), definition, None, None


def definition_in(reading: Reading) -> ek.Definition | None:
    """Read the definition that is named, if one is."""
    return None if reading.definition is None else ek.Definition.load(reading.definition)


def scan_in(
    source: str, reading: Reading, definition: ek.Definition | None, *, keep: Sequence[str] = ()
) -> Any:
    """Read the log that is named, with the properties that are asked for; a prepared one as its folder."""
    from engagekit.rollups import is_prepared

    if is_prepared(source):
        return Path(source)  # reduced bucket by bucket, in little memory
    named = () if definition is None else definition.property_names()
    zone = reading.at_timezone or (definition.timezone if definition else "UTC")
    return ek.scan_events(
        source,
        user=reading.user,
        event=reading.event,
        at=reading.at,
        preset=reading.preset,
        timezone=zone,
        keep=tuple(dict.fromkeys([*named, *keep])),
        dedupe=reading.dedupe,
        cache=reading.cache,
        at_format=reading.at_format,
        bad_times=reading.bad_times,
        encoding=reading.encoding,
    )


def users_in(
    path: Path, reading: Reading, *, ids: pl.DataType | None, timezone: str
) -> pl.DataFrame:
    """Read the users table."""
    return ek.read_users(
        path,
        ids=ids,
        timezone=reading.at_timezone or timezone,
        at_format=reading.at_format,
        encoding=reading.encoding,
    )


def frame_of(log: Any) -> Any:
    """Take a log as a frame, also where it is the folder of a prepared one."""
    from engagekit.rollups import open_prepared

    return open_prepared(log).log if isinstance(log, Path) else log


def id_type_of(log: Any) -> pl.DataType:
    """Take the type of the log's ids."""
    found: pl.DataType = frame_of(log).collect_schema()["user_id"]
    return found

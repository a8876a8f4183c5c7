"""What the commands share: how a log is said, found and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

import engagekit as ek
from engagekit.errors import ParameterError, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

DEFINED = "definition.toml"
Preset = Literal[
    "posthog",
    "amplitude",
    "mixpanel",
    "mixpanel_before_2023",
    "segment",
    "ga4",
    "snowplow",
    "rudderstack",
    "matomo",
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
        Names of the columns that hold the user's id, the event's name and the time; default: as the definition's
        [read] says, else user_id, event and at.
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
        Keep one of events that are the same in user, event, time and the properties kept.
    cache
        Folder for text files once read; default: a folder of your account.
    """

    definition: Annotated[Path | None, Parameter(name=["--definition", "-d"])] = None
    preset: Preset | None = None
    user: str | None = None
    event: str | None = None
    at: str | None = None
    at_timezone: str | None = None
    at_format: str | None = None
    bad_times: Literal["refuse", "null"] | None = None
    encoding: str | None = None
    dedupe: Annotated[bool, Parameter(negative="")] = False
    cache: Path | None = None


AS_USUAL = Reading()


def opened(
    events: str | None, reading: Reading, *, needs_definition: bool
) -> tuple[Any, ek.Definition | None, pl.DataFrame | None, Any]:
    """Open a log by its path, a workshop's or the sample: the log, definition, users and end of data."""
    if events is None:
        from engagekit.simulation import load_sample

        sample = load_sample()
        return (
            sample.events,
            definition_of(reading) or sample.definition,
            sample.users,
            sample.as_of,
        )
    definition = definition_of(reading)
    if (team := team_of(events)) is not None:
        log, people, end = team.data()
        return log, definition or team.definition, people, end
    if definition is None and (Path(events) / DEFINED).is_file():
        definition = ek.Definition.load(Path(events) / DEFINED)
    if definition is None and needs_definition:
        raise ParameterError(
            f"What success is in your product is not said: give --definition FILE.toml{how_to_define()}"
        )
    return scanned(events, reading, definition), definition, None, None


def team_of(events: str) -> ek.Session | None:
    """Open the session of a team's folder, or of a workshop folder with one team."""
    from engagekit.workshop import is_team, teams_in

    if is_team(events):
        return ek.Session(events)
    if not (Path(events) / "README.md").is_file() or not any(Path(events).glob("*/session.json")):
        return None
    teams = teams_in(events)
    if len(teams) > 1:
        names = listing([str(team.folder) for team in teams], last="or")
        raise ParameterError(f"{events!r} is a workshop of {len(teams)} teams; which one: {names}?")
    return teams[0]


def definition_of(reading: Reading) -> ek.Definition | None:
    """Load the definition that is named."""
    return None if reading.definition is None else ek.Definition.load(reading.definition)


def scanned(
    source: str, reading: Reading, definition: ek.Definition | None, *, keep: Sequence[str] = ()
) -> Any:
    """Read a log as the definition and the flags say."""
    from engagekit.rollups import is_prepared

    if is_prepared(source):
        return Path(source)  # reduced bucket by bucket, in little memory
    said = {
        "user": reading.user,
        "event": reading.event,
        "at": reading.at,
        "preset": reading.preset,
        "timezone": reading.at_timezone,
        "dedupe": reading.dedupe or None,
        "at_format": reading.at_format,
        "bad_times": reading.bad_times,
        "encoding": reading.encoding,
    }
    options: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    return ek.scan_events(
        source, **options, keep=tuple(keep), definition=definition, cache=reading.cache
    )


def users_of(
    path: Path, reading: Reading, *, ids: pl.DataType | None, timezone: str
) -> pl.DataFrame:
    """Read a table of users."""
    return ek.read_users(
        path,
        ids=ids,
        timezone=reading.at_timezone or timezone,
        at_format=reading.at_format,
        encoding=reading.encoding or "utf-8",
    )


def as_frame(log: Any) -> Any:
    """Take a log as a frame, also where it is the folder of a prepared one."""
    from engagekit.rollups import open_prepared

    return open_prepared(log).log if isinstance(log, Path) else log


def id_type(log: Any) -> pl.DataType:
    """Tell the type of a log's user ids."""
    found: pl.DataType = as_frame(log).collect_schema()["user_id"]
    return found


def drafted_from(source: Any, reading: Reading, *, name: str = "this product") -> ek.Draft:
    """Draft a definition, with what the flags say of the columns."""
    read = ek.Read(
        timezone=reading.at_timezone,
        at_format=reading.at_format,
        bad_times=reading.bad_times,
        encoding=reading.encoding,
        dedupe=reading.dedupe or None,
    )
    return ek.draft(
        source,
        name=name,
        user=reading.user,
        event=reading.event,
        at=reading.at,
        preset=reading.preset,
        timezone=reading.at_timezone or "UTC",
        read=read,
    )


def explain(drafted: ek.Draft, path: Path) -> None:
    """Write a drafted definition with its reasons, with the windows that the whole log has given it."""
    import dataclasses

    whole = ek.Definition.load(path)
    dataclasses.replace(drafted, definition=whole).save(path)


def how_to_define() -> str:
    """Say how a definition is come by."""
    return ", which this drafts from the log: engagekit draft EVENTS -o definition.toml. Or make a workshop folder with one: engagekit start FOLDER --events FILE."

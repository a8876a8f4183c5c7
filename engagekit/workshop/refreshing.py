"""Weeks later: a workshop's log, users table and end of the data brought up to date; what was decided stays as it is."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import (
    Remark,
    count,
    day,
    flush,
    many,
    percent,
    plain_fields,
    write_whole,
    writing,
)
from engagekit.errors import EngagekitError, ParameterError, StoredFileError, listing
from engagekit.ingest import is_path, read_users, scan_events
from engagekit.instants import day_of, last_day
from engagekit.log import COLUMNS
from engagekit.rollups import open_prepared, prepare_events, rollup
from engagekit.workshop.session import FILE, Session, is_team
from engagekit.workshop.teams import LOG, USERS, sessions_in, teams_in

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from engagekit._base import Progress
    from engagekit.journeys import Journeys

# The new data are gathered in the first folder; renamed to the second they count, and a run that was killed is finished
# by the next one.
GATHERED, COMMITTED = ".refresh.part", ".refresh"
ABOUT, REPLACED = "about.json", "replaced"
LOCK = ".refresh.lock"
QUIET_DAYS = 7  # without an event before the end that was given: is it the end of the data?


@dataclass(frozen=True)
class Held:
    """What a log holds: rows, users, its first and last day with an event, and its events by name."""

    rows: int
    users: int
    first: date
    last: date
    events: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Refreshed:
    """What `refresh` changed: the log `before` and `after`, and each team's new end of the data, `judged_until` (a day).

    `lacking` of the log's users are not in the users table (None without one). `due` names the teams whose day to look
    again has come. `remarks` say what to bear in mind. ``str()`` says all of it.
    """

    before: Held
    after: Held
    judged_until: dict[str, date]
    lacking: int | None
    due: dict[str, str]
    remarks: tuple[Remark, ...]

    def __str__(self) -> str:
        """Say what changed, and what to bear in mind."""
        return "\n".join([*_changed(self), *map(str, self.remarks)])

    def __repr__(self) -> str:
        """Say in a line what is there now."""
        return f"<Refreshed: {many(self.after.rows, 'event')} up to {day(self.after.last)}>"

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values that JSON can hold."""
        return plain_fields(self)


def refresh(
    folder: str | os.PathLike[str],
    *,
    events: Any = None,
    users: Any = None,
    as_of: str | None = None,
    progress: Progress = False,
) -> Refreshed:
    """Bring a workshop's data up to date; definitions, targets, votes, decisions, plans and notes stay as they are.

    Parameters
    ----------
    folder
        The workshop folder.
    events
        The whole log as it is now, not only what came since: a frame of `scan_events`, or a path, read as the first
        team's definition says. None: the one that is there.
    users
        Users table (a frame), or None: the one that is there.
    as_of
        Up to when the data are complete (exclusive). None: where the log is new just after its last event, else as
        it was.
    progress
        Show how far the preparing of the log is.

    Returns
    -------
    Refreshed
        See there.

    Raises
    ------
    ParameterError
        Nothing new is given; it is no workshop folder with a log of its own; or what is given makes no sense: only the
        newest part of a log, an older one, that of other users, or an end before it begins.
    EngagekitError
        A team's definition does not fit the new data.
    StoredFileError
        Another call refreshes the folder, it cannot be written to, or the disk is full. In every one of these cases
        nothing was changed.

    Notes
    -----
    All is prepared and every team's journeys are rolled up once before anything changes; then the new data take the
    place of the old. Where that is interrupted, the next call (or `start`) finishes it first.
    """
    folder = Path(folder)
    _check(folder, events, users, as_of)
    with writing(str(folder)), _alone(folder):
        finish(folder)
        teams = teams_in(folder)
        gathered = folder / GATHERED
        shutil.rmtree(gathered, ignore_errors=True)
        gathered.mkdir()
        try:
            before = held_by(folder / LOG, teams)
            after = before
            if events is not None:
                log = _log_of(events, folder, teams)
                after = held_by(prepare_events(log, gathered / LOG, progress=progress), teams)
                _refuse_another(before, after, _shared(folder / LOG, gathered / LOG))
            if users is not None:
                users.lazy().collect().write_parquet(gathered / USERS)
            about = {
                team.folder.name: _about(folder, gathered, events=events is not None, as_of=as_of)
                for team in teams
            }
            found = _tried(teams, about, folder, gathered)
            remarks = _remarks(before, after, found, teams, events=events is not None, as_of=as_of)
            lacking, remark = _lacking(folder, gathered, after, new=users is not None)
            write_whole(gathered / ABOUT, json.dumps(about).encode())
            flush(gathered)
        except BaseException:
            shutil.rmtree(gathered, ignore_errors=True)
            raise
        gathered.rename(folder / COMMITTED)
        finish(folder)
    until = {name: last_day(j.as_of, j.timezone) for name, j in found.items()}
    return Refreshed(before, after, until, lacking, _due(teams, until), (*remarks, *remark))


def finish(folder: Path) -> None:
    """Put new data that wait in a workshop folder, whole, in the place of the old; nothing where none wait."""
    ready = folder / COMMITTED
    if not (ready / ABOUT).is_file():
        shutil.rmtree(ready, ignore_errors=True)
        return
    if (ready / LOG).is_dir():
        if (folder / LOG).is_dir() and not (ready / REPLACED).exists():
            (folder / LOG).rename(ready / REPLACED)
        (ready / LOG).rename(folder / LOG)
    if (ready / USERS).exists():
        (ready / USERS).replace(folder / USERS)
    for name, values in json.loads((ready / ABOUT).read_text(encoding="utf-8")).items():
        if (folder / name / FILE).is_file():
            Session(folder / name).update("about", values)
    (ready / ABOUT).unlink()
    shutil.rmtree(ready, ignore_errors=True)


def held_by(folder: Path, teams: Sequence[Session]) -> Held:
    """Look over a prepared log; its days are those of the first team's time zone, as the log is read by its definition."""
    log = open_prepared(folder)
    # Of a log that only knows days, those are the local ones already.
    zone = "UTC" if log.dates_only or not teams else teams[0].definition.timezone
    users = log.log.select(pl.col("user_id").n_unique()).collect().item()
    first, last = day_of(log.days["first"][0], zone), day_of(log.days["last"][-1], zone)
    return Held(log.rows - log.lacking, users, first, last, tuple(sorted(log.names)))


def lacking_users(log: Path, users: Path) -> int | None:
    """Count the users of a prepared log whom a users table lacks; None where there is no table."""
    if not users.exists():
        return None
    ids = open_prepared(log).log.select("user_id").unique()
    table = read_users(users, ids=ids.collect_schema()["user_id"])
    return int(ids.join(table.lazy(), on="user_id", how="anti").select(pl.len()).collect().item())


def lacking_said(lacking: int | None, of: int) -> str | None:
    """Say how many users a users table lacks; None where it lacks nobody."""
    if not lacking:
        return None
    return (
        f"The users table lacks {count(lacking)} of the log's {many(of, 'user')} ({percent(lacking / of)}): their properties are "
        "unknown, and groups leave them out. Give a table that has them: --users."
    )


def refuse_ignored(folder: Path, users: Any, as_of: str | None) -> None:
    """Refuse a users table or an end of the data that `start` would pass over, as the folder has its own already.

    Raises
    ------
    ParameterError
        One is given that differs from the one that is there.
    """
    faults = []
    table = folder / USERS
    if (
        users is not None
        and table.exists()
        and not pl.read_parquet(table).equals(users.lazy().collect())
    ):
        faults.append("it has a users table, and another one was given.")
    given = {str(t.part("about").get("as_of") or "") for t in sessions_in(folder)}
    if as_of is not None and given and as_of not in given:
        said = listing(sorted(repr(each) for each in given if each)) or "the end of the log"
        faults.append(f"its teams judge up to {said}, and as_of is {as_of!r}.")
    if faults:
        faults[-1] += f" To bring what is there up to date: engagekit refresh {folder}"
        raise ParameterError.from_faults(f"The workshop in {str(folder)!r} stays as it is", faults)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise StoredFileError(
            f"{str(folder)!r} is being refreshed by another call right now; wait for it."
        ) from None


def _check(folder: Path, events: Any, users: Any, as_of: str | None) -> None:
    if is_team(folder):
        raise ParameterError(
            f"{str(folder)!r} is one team's folder; the data belong to all teams: engagekit refresh {folder.resolve().parent}"
        )
    own = any("events" in team.part("about") for team in teams_in(folder))
    if own and not (folder / LOG).exists() and not (folder / COMMITTED).exists():
        raise ParameterError(
            f"The log of the workshop in {str(folder)!r} is gone. This prepares one anew and keeps the teams: engagekit start {folder} "
            "--events LOG"
        )
    if not own:
        raise ParameterError(
            f"The workshop in {str(folder)!r} stands on the bundled sample, which has no newer data. A workshop on a log of "
            "your own: engagekit start NEW_FOLDER --events LOG"
        )
    if events is None and users is None and as_of is None:
        raise ParameterError(
            "Nothing new is given: say --events LOG, --users TABLE or --as-of DAY."
        )


def asked_of(folder: str | os.PathLike[str]) -> list[str]:
    """List the properties that a new log should bring: those the present one has, and what the teams' definitions ask for."""
    kept = open_prepared(Path(folder) / LOG).log.collect_schema().names()
    asked = [name for team in teams_in(folder) for name in team.definition.asked_properties()]
    return [name for name in dict.fromkeys([*kept, *asked]) if name not in COLUMNS]


def _log_of(events: Any, folder: Path, teams: list[Session]) -> Any:
    if not is_path(events):
        return events
    return scan_events(events, definition=teams[0].definition, keep=asked_of(folder))


def _shared(old: Path, new: Path) -> int:
    one, other = (
        open_prepared(p).log.select(pl.col("user_id").cast(pl.String)).unique() for p in (old, new)
    )
    return int(one.join(other, on="user_id", how="semi").select(pl.len()).collect().item())


def _refuse_another(before: Held, after: Held, shared: int) -> None:
    faults = []
    if after.first > before.last:
        faults.append(
            f"it begins on {day(after.first)}, after the present one ends ({day(before.last)}): give the whole log, not only "
            "what came since."
        )
    elif after.last < before.last:
        faults.append(
            f"it ends on {day(after.last)}, before the present one ({day(before.last)}): it is the older one."
        )
    if not shared:
        faults.append(
            "it has no user in common with the present one: other ids, or another product."
        )
    if faults:
        raise ParameterError.from_faults(
            "The new log cannot take the place of the present one", faults
        )


def _about(folder: Path, gathered: Path, *, events: bool, as_of: str | None) -> dict[str, str]:
    about = {"events": f"../{LOG}"}
    if (gathered / USERS).exists() or (folder / USERS).exists():
        about["users"] = f"../{USERS}"
    # An end that was said of the old log hides what is new in the new one.
    end = as_of if as_of is not None else "" if events else None
    return about if end is None else about | {"as_of": end}


def _tried(
    teams: list[Session], about: dict[str, dict[str, str]], folder: Path, gathered: Path
) -> dict[str, Journeys]:
    """Roll the new data up under each team's definition, before anything changes."""
    found, faults = {}, []
    log = gathered / LOG if (gathered / LOG).exists() else folder / LOG
    table = gathered / USERS if (gathered / USERS).exists() else folder / USERS
    ids = open_prepared(log).log.collect_schema()["user_id"]
    people = read_users(table, ids=ids) if table.exists() else None
    for team in teams:
        end = about[team.folder.name].get("as_of", team.part("about").get("as_of")) or None
        try:
            found[team.team] = rollup(log, team.definition, users=people, as_of=end)
        except EngagekitError as error:
            faults.append(f"{team.team}: {error}")
    if faults:
        raise ParameterError.from_faults("Nothing was changed: the new data do not fit", faults)
    return found


def _remarks(
    before: Held,
    after: Held,
    found: dict[str, Journeys],
    teams: list[Session],
    *,
    events: bool,
    as_of: str | None,
) -> list[Remark]:
    made = []
    if after.first > before.first:
        text = f"The new log begins on {day(after.first)}, the old one on {day(before.first)}: who signed up earlier is no longer seen whole."
        made.append(Remark("begins later", (), text))
    made += [
        Remark(
            "event gone",
            (name,),
            f"Nobody does {name!r} any more: was it renamed, or did tracking stop?",
        )
        for name in before.events
        if name not in after.events
    ]
    until = max((last_day(j.as_of, j.timezone) for j in found.values()), default=after.last)
    if as_of is not None and until - after.last > timedelta(days=QUIET_DAYS):
        text = f"The last event is of {day(after.last)}, {many((until - after.last).days, 'day')} before the end that was given: whoever came since looks silent."
        made.append(Remark("end after the log", (), text))
    if as_of is not None and until < after.last:
        text = (
            f"The log goes on until {day(after.last)}; what came after {day(until)} is not counted."
        )
        made.append(Remark("end before the log's", (), text))
    for team in teams:
        old = team.part("about").get("as_of")
        if events and as_of is None and old:
            text = f"{team.team} had judged up to {old}; the end of the new log holds now."
            made.append(Remark("end replaced", (team.team,), text))
    return made


def _lacking(
    folder: Path, gathered: Path, after: Held, *, new: bool
) -> tuple[int | None, list[Remark]]:
    log = gathered / LOG if (gathered / LOG).exists() else folder / LOG
    table = gathered / USERS if new else folder / USERS
    lacking = lacking_users(log, table)
    if new and lacking == after.users:
        raise ParameterError(
            "The users table has none of the log's users: other ids, or another product's."
        )
    text = lacking_said(lacking, after.users)
    return lacking, [Remark("users lacking", (), text, users=lacking)] if text else []


def _due(teams: list[Session], until: dict[str, date]) -> dict[str, str]:
    """Name the teams whose day to look again has come, with that day; a session's file can hold anything."""
    days = {team.team: str(team.part("plan").get("look_again") or "") for team in teams}
    return {name: again for name, again in days.items() if again and again <= str(until[name])}


def _changed(found: Refreshed) -> list[str]:
    before, after = found.before, found.after
    lines = [
        f"Events: {count(after.rows)} ({_more(after.rows, before.rows)}).",
        f"Users: {count(after.users)} ({_more(after.users, before.users)}).",
        f"Last day with an event: {day(after.last)} (it was {day(before.last)})."
        if after.last != before.last
        else f"Last day with an event: {day(after.last)}, as before.",
    ]
    if new := [name for name in after.events if name not in before.events]:
        lines.append(f"New events: {listing(new)}.")
    if found.lacking == 0:
        lines.append("The users table has all of the log's users.")
    lines += [f"{team} judges up to {day(until)}." for team, until in found.judged_until.items()]
    lines += [
        f"{team} wanted to look again on {again}: that day has come."
        for team, again in found.due.items()
    ]
    lines.append(
        "Definitions, targets, votes, decisions and plans are as they were. Run the notebooks again from the top."
    )
    return lines


def _more(now: int, before: int) -> str:
    if now == before:
        return "as many as before"
    return f"{count(abs(now - before))} {'more' if now > before else 'fewer'} than before"

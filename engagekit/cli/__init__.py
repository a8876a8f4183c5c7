"""The commands: engagekit diagnose, check, draft, prepare, start, refresh, lab, compare, experiment, schema, forget, mcp."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

import engagekit as ek
from engagekit._base import many
from engagekit.cli.launching import app, main, run
from engagekit.cli.reading import (
    DEFAULT,
    Reading,
    definition_in,
    drafted_from,
    explain,
    frame_of,
    id_type,
    journeys_of,
    log_of,
    scan,
    users_in,
)
from engagekit.cli.saying import is_quiet, note, say
from engagekit.errors import ParameterError, listing
from engagekit.ingest import EVERY
from engagekit.journeys import MIN_GROUP
from engagekit.log import COLUMNS
from engagekit.workshop import DEFINITION_FILE, teams_in

__all__ = ["app", "main", "run"]

PLURALS = {"journeys": "journeys", "journeys of accounts": "journeys of accounts"}


@app.command
def diagnose(
    events: str | None = None,
    /,
    *,
    reading: Reading = DEFAULT,
    users: Path | None = None,
    as_of: str | None = None,
    signed_up_since: str | None = None,
    since: str | None = None,
    by: str | None = None,
    report: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Say where momentum breaks earliest, how sure that is, and which play mends it.

    Without EVENTS, the bundled sample of a made-up product is diagnosed.

    Parameters
    ----------
    events
        Event log: a csv, ndjson or parquet file, a folder or a pattern of them, or a prepared folder.
    users
        Table with one row per user: user_id, properties, and signed_up_at if known.
    as_of
        Up to when the data are complete (exclusive), such as 2026-06-30; default: just after the last event.
    signed_up_since
        Only users who signed up at or after this day.
    since
        Say what changed with the sign-ups from this day on, against as long a span before.
    by
        Property of the users table, or of events (its first value in a user's first 24 hours); shows the verdict and the
        diagnosis for each of its values with 10 users or more too.
    report
        Write one self-contained HTML page here.
    json_
        Print all answers as JSON, for machines; engagekit schema diagnose says what each is.
    """
    from engagekit.cli.answers import answered, answers, in_json
    from engagekit.first_weeks import strongest
    from engagekit.reporting import terminal

    journeys, notes = journeys_of(events, reading, users=users, as_of=as_of, by=by)
    if signed_up_since is not None:
        journeys = journeys.where(signed_up=(signed_up_since, None))
    found = answered(journeys, by=by, since=since)  # what is printed may be handed on
    if report is not None:
        ek.report(journeys, report, by=by, notes=notes, since=since)
    if json_:
        say(in_json(answers(journeys, notes, found)))
    else:
        say(
            terminal.screen(
                journeys,
                terminal.worth_saying(notes),
                found.priority,
                found.diagnosis,
                strongest(journeys).drop_nulls("question").head(3),
                change=found.change,
                suggested=found.suggested,
            )
        )
        if report is not None:
            note(f"The report stands in {report}.")
    return 0


@app.command
def check(
    events: str | None = None,
    /,
    *,
    reading: Reading = DEFAULT,
    as_of: str | None = None,
) -> int:
    """Say what an event log holds, and list its faults, each with its count, an example and what to do.

    Parameters
    ----------
    events
        Event log, as for diagnose; default: the bundled sample.
    as_of
        Up to when the data are complete (exclusive).
    """
    from engagekit.ingest import overview
    from engagekit.reporting import terminal

    log, definition, _, end = log_of(events, reading, needs_definition=False)
    frame = frame_of(log)
    zone = definition.timezone if definition else reading.at_timezone or "UTC"
    held, found = overview(frame), ek.check_events(frame, definition, as_of=as_of or end)
    say(f"{terminal.contents(held, zone)}\n{terminal.checks(found)}")
    return 0


@app.command
def prepare(source: str, folder: Path, /, *, reading: Reading = DEFAULT) -> int:
    """Rewrite a large log once as a folder that everything afterwards reads quickly and in little memory.

    With --definition only the properties it asks for are kept; without, all columns (of an export with --preset: none).

    Parameters
    ----------
    source
        Event log, as for diagnose.
    folder
        Where the prepared log goes.
    """
    definition = definition_in(reading)
    keep = EVERY if definition is None and reading.preset is None else ()
    log = scan(source, reading, definition, keep=keep)
    ek.prepare_events(log, folder, progress=not is_quiet())
    if definition is not None:  # beside the log, so that it need not be named again
        definition.save(folder / DEFINITION_FILE)
    kept = [name for name in frame_of(folder).collect_schema() if name not in COLUMNS]
    told = f" with the properties {listing(kept)}" if kept else ", without properties"
    defined = " --definition DEFINITION.toml" if definition is None else ""
    note(f"Prepared{told}. Now: engagekit diagnose {folder}{defined}")
    return 0


@app.command
def start(
    folder: Path,
    /,
    *,
    events: str | None = None,
    team: Annotated[list[str] | None, Parameter(negative="")] = None,
    users: Path | None = None,
    as_of: str | None = None,
    keep: Annotated[list[str] | None, Parameter(negative="")] = None,
    reading: Reading = DEFAULT,
) -> int:
    """Make a workshop folder: the log prepared once, and a folder with notebooks for each team.

    Nothing that is already there is overwritten.

    Parameters
    ----------
    folder
        Where; made if missing.
    events
        Event log, as for diagnose; default: the bundled sample.
    team
        Name of a team; say it again for each. Default: one team.
    users
        Table with one row per user.
    as_of
        Up to when the data are complete (exclusive).
    keep
        Property of events to keep beside those the definition names, for conditions the teams may add; say it again
        for each.
    """
    from engagekit.workshop import start as make
    from engagekit.workshop import unmatched

    definition, drafted = definition_in(reading), None
    if definition is None and events is not None:
        drafted = drafted_from(events, reading)
        definition = drafted.definition
        note(str(drafted))
    log = None if events is None else scan(events, reading, definition, keep=keep or ())
    people = None
    if users is not None:
        zone = "UTC" if definition is None else definition.timezone
        people = users_in(users, reading, ids=None if log is None else id_type(log), timezone=zone)
    there = {path.parent for path in folder.glob(f"*/{DEFINITION_FILE}")}
    made = make(
        folder,
        events=log,
        users=people,
        definition=definition,
        teams=team or (),
        as_of=as_of,
        progress=not is_quiet(),
    )
    for path in made:
        if drafted is not None and path not in there:
            explain(drafted, path / DEFINITION_FILE)
        note(f"ready: {path}")
    for remark in unmatched(folder):
        note(remark)
    if drafted is not None:
        note(
            "The definition is guessed from the log and nobody has confirmed it: notebook 01, or the file itself."
        )
    note(f"Open it with: engagekit lab {folder}")
    return 0


@app.command
def refresh(
    folder: Path,
    /,
    *,
    events: str | None = None,
    users: Path | None = None,
    as_of: str | None = None,
    reading: Reading = DEFAULT,
) -> int:
    """Bring a workshop's log, users table and end of the data up to date; what the teams decided stays.

    Parameters
    ----------
    folder
        The workshop folder.
    events
        The whole event log as it is now, as for diagnose; default: the one that is there.
    users
        Table with one row per user; default: the one that is there.
    as_of
        Up to when the data are complete (exclusive); default: just after the last event of a new log.
    """
    from engagekit.workshop import asked_of
    from engagekit.workshop import refresh as bring_up_to_date

    log = people = None
    if events is not None or users is not None:
        defined = definition_in(reading) or teams_in(folder)[0].definition
    if events is not None:
        log = scan(events, reading, defined, keep=asked_of(folder))
    if users is not None:
        people = users_in(
            users, reading, ids=None if log is None else id_type(log), timezone=defined.timezone
        )
    say(
        str(
            bring_up_to_date(folder, events=log, users=people, as_of=as_of, progress=not is_quiet())
        )
    )
    return 0


@app.command
def draft(
    events: str | None = None,
    /,
    *,
    reading: Reading = DEFAULT,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    name: str = "this product",
) -> int:
    """Draft a definition from an event log: which columns and events it has, and what may be what, each choice explained.

    Parameters
    ----------
    events
        Event log, as for diagnose; default: the bundled sample.
    out
        Where the definition goes (TOML); default: it is shown in words only.
    name
        The product's name.
    """
    source: Any = events
    if events is None:
        from engagekit.simulation import load_sample

        source = load_sample().events
    drafted = drafted_from(source, reading, name=name)
    (say if out is None else note)(str(drafted))
    if out is not None:
        drafted.save(out)
        note(f"\nThe definition stands in {out}. Now: engagekit diagnose {events or ''} -d {out}")
    return 0


@app.command
def lab(folder: Path = Path(), /, *, browser: bool = True, port: int = 8888) -> int:
    """Open JupyterLab on a workshop folder, at the first page of its team, with the verdict in place.

    Parameters
    ----------
    folder
        The workshop folder, or a team's.
    browser
        Open a browser window too.
    port
        Where it listens on this machine; the next free one if taken.
    """
    from engagekit.cli.opening import open_lab

    return open_lab(folder, browser=browser, port=port, say=note)


@app.command
def schema(what: Literal["definition", "diagnose", "experiment"], /) -> int:
    """Print the JSON Schema of a definition's file, or of what diagnose or experiment print with --json.

    Parameters
    ----------
    what
        Whose schema.
    """
    from engagekit.cli.answers import in_json, schema_of

    say(in_json(schema_of(what)))
    return 0


@app.command
def compare(folder: Path, /) -> int:
    """Put the decisions of all teams of a workshop on one page.

    Parameters
    ----------
    folder
        The workshop folder.
    """
    from engagekit.workshop import compare as side_by_side

    note(f"All decisions stand in {side_by_side(folder)}.")
    return 0


@app.command
def experiment(
    events: str | None = None,
    /,
    *,
    variant: str | None = None,
    control: str | None = None,
    link: str = "habit",
    reading: Reading = DEFAULT,
    users: Path | None = None,
    as_of: str | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Say whether a test of a play shows that it worked, however often one has looked.

    Parameters
    ----------
    events
        Event log, as for diagnose; default: the bundled sample.
    variant
        Property of users, or of events, with the arm's name; default: what the definition's [experiment] reads.
    control
        The arm without the play.
    link
        The link the play is to mend, or core_days.
    users
        Table with one row per user.
    as_of
        Up to when the data are complete (exclusive).
    json_
        Print the answer as JSON, for machines; engagekit schema experiment says what each field is.
    """
    from engagekit import tables
    from engagekit.cli.answers import in_json

    journeys, _ = journeys_of(events, reading, users=users, as_of=as_of, by=variant)
    found = ek.experiment(journeys, variant=variant, control=control, link=link)
    if any(arm < MIN_GROUP for arm in found.table["users"]):
        raise ParameterError(f"An arm has fewer than {MIN_GROUP} users; it is not shown.")
    if json_:
        say(in_json(found.to_dict()))
    else:
        remarks = map(str, found.remarks)
        say("\n".join([found.sentence, *remarks, "", str(tables.experiment(found))]))
    return 0


@app.command
def forget(user: str, folder: Path, /, *, cache: Path | None = None) -> int:
    """Remove one user from all that engagekit wrote in a folder (prepared logs, journeys, workshops) and from the cache.

    Parameters
    ----------
    user
        The user's id, as the log has it.
    folder
        A prepared log, journeys, a workshop, or a folder with some of these anywhere in it.
    cache
        Folder for text files once read; default: a folder of your account.
    """
    from engagekit.workshop import OF_ACCOUNTS
    from engagekit.workshop import forget as remove

    removed = remove(user, folder, cache=cache)
    told = [f"{many(n, kind, PLURALS.get(kind))}" for kind, n in removed.items() if n]
    say(f"Removed from {' and '.join(told)}." if told else "That user was in none of it.")
    if OF_ACCOUNTS in removed:
        note(
            "Journeys of accounts hold what their members did together: make them anew from the log."
        )
    note("The files that a log was read from are yours: the user is in them as before.")
    return 0


@app.command
def mcp(folder: Path, /, *, min_group: int = MIN_GROUP) -> int:
    """Let an assistant ask, over the Model Context Protocol, about what lies in one folder: counts only, nothing written.

    Parameters
    ----------
    folder
        What may be read; nothing outside of it is, also not behind a link.
    min_group
        Groups with fewer users are not shown; 10 or more.
    """
    from engagekit.cli import agent_tools

    agent_tools.run(folder, least=min_group)
    return 0

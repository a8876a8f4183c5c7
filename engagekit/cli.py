"""The command line: engagekit diagnose, check, draft, prepare, start, lab, compare."""

from __future__ import annotations

import json
import os
import sys
import warnings
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

import engagekit as ek
from engagekit._base import plain
from engagekit.errors import (
    EngagekitError,
    ParameterError,
    listing,
    nearest,
)

if TYPE_CHECKING:
    import polars as pl

from engagekit.cli_reading import (
    AS_USUAL,
    DEFINED,
    Reading,
    as_frame,
    definition_of,
    drafted_from,
    explain,
    how_to_define,
    id_type,
    opened,
    scanned,
    users_of,
)

app = App(
    name="engagekit",
    help="Find where a product's engagement breaks earliest, how sure that is, and what to do first.",
    version=ek.__version__,
    help_flags=["--help", "-h"],
)


@app.command
def diagnose(
    events: str | None = None,
    /,
    *,
    reading: Reading = AS_USUAL,
    users: Path | None = None,
    as_of: str | None = None,
    signed_up_since: str | None = None,
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
    by
        Property of users; shows the verdict and the diagnosis for each of its values with 10 users or more too.
    report
        Write one self-contained HTML page here.
    json_
        Print all answers as JSON, for machines.
    """
    from engagekit.first_weeks import strongest
    from engagekit.reporting import terminal

    journeys, notes = _journeys(events, reading, users=users, as_of=as_of)
    if signed_up_since is not None:
        journeys = journeys.where(signed_up=(signed_up_since, None))
    if by is not None and by not in journeys.properties:
        known = journeys.properties
        have = (
            f"the users table has {listing(known)}"
            if known
            else "there is no users table; give --users"
        )
        raise ParameterError(f"--by {by!r} is no property of users; {have}.{nearest(by, known)}")
    priority = ek.prioritize(journeys, by=by)
    diagnosis = ek.diagnose(journeys, by=by)
    if report is not None:
        ek.report(journeys, report, by=by, notes=notes)
    if by is not None:
        priority, diagnosis = _without_small(journeys, by, priority, diagnosis)
    if json_:
        _say(
            json.dumps(
                _answers(journeys, notes, priority, diagnosis),
                default=_plain_value,
                indent=1,
            )
        )
    else:
        _say(
            terminal.screen(
                journeys,
                terminal.worth_saying(notes),
                priority,
                diagnosis,
                strongest(journeys).head(3),
            )
        )
        if report is not None:
            _say(f"The report stands in {report}.")
    return 0


@app.command
def check(
    events: str | None = None,
    /,
    *,
    reading: Reading = AS_USUAL,
    as_of: str | None = None,
) -> int:
    """List the faults of an event log, each with its count, an example and what to do.

    Parameters
    ----------
    events
        Event log, as for diagnose; default: the bundled sample.
    as_of
        Up to when the data are complete (exclusive).
    """
    from engagekit.reporting import terminal

    log, definition, _, end = opened(events, reading, needs_definition=False)
    _say(terminal.checks(ek.check_events(as_frame(log), definition, as_of=as_of or end)))
    return 0


@app.command
def prepare(source: str, folder: Path, /, *, reading: Reading = AS_USUAL) -> int:
    """Rewrite a large log once as a folder that everything afterwards reads quickly and in little memory.

    Parameters
    ----------
    source
        Event log, as for diagnose.
    folder
        Where the prepared log goes.
    """
    definition = definition_of(reading)
    log = scanned(source, reading, definition)
    ek.prepare_events(log, folder)
    if definition is None:
        _say(f"Prepared. Now: engagekit diagnose {folder} --definition DEFINITION.toml")
    else:  # beside the log, so that it need not be named again
        definition.save(folder / DEFINED)
        _say(f"Prepared. Now: engagekit diagnose {folder}")
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
    reading: Reading = AS_USUAL,
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

    definition, drafted = definition_of(reading), None
    if definition is None and events is not None:
        drafted = drafted_from(events, reading)
        definition = drafted.definition
        _say(str(drafted))
    log = None if events is None else scanned(events, reading, definition, keep=keep or ())
    people = None
    if users is not None:
        zone = "UTC" if definition is None else definition.timezone
        people = users_of(users, reading, ids=None if log is None else id_type(log), timezone=zone)
    there = {path.parent for path in folder.glob(f"*/{DEFINED}")}
    made = make(
        folder,
        events=log,
        users=people,
        definition=definition,
        teams=team or (),
        as_of=as_of,
        progress=True,
    )
    for path in made:
        if drafted is not None and path not in there:
            explain(drafted, path / DEFINED)
        _say(f"ready: {path}")
    if drafted is not None:
        _say(
            "The definition is guessed from the log and nobody has confirmed it: notebook 01, or the file itself."
        )
    _say(f"Open it with: engagekit lab {folder}")
    return 0


@app.command
def draft(
    events: str | None = None,
    /,
    *,
    reading: Reading = AS_USUAL,
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
    _say(str(drafted))
    if out is not None:
        drafted.save(out)
        _say(f"\nThe definition stands in {out}. Now: engagekit diagnose {events or ''} -d {out}")
    return 0


@app.command
def lab(folder: Path = Path(), /, *, browser: bool = True, port: int = 8888) -> int:
    """Open JupyterLab on a workshop folder.

    Parameters
    ----------
    folder
        The workshop folder, or a team's.
    browser
        Open a browser window too.
    port
        Where it listens on this machine; the next free one if taken.
    """
    import importlib.util
    import subprocess

    if importlib.util.find_spec("jupyterlab") is None:
        raise ParameterError(
            "JupyterLab is not installed; install it with: pip install 'engagekit[lab]'"
        )
    if not folder.is_dir():
        raise ParameterError(
            f"There is no folder {str(folder)!r}; make a workshop with: engagekit start {folder}"
        )
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--port={port}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if not browser:
        command.append("--no-browser")
    return subprocess.run(command, check=False).returncode  # noqa: S603


@app.command
def compare(folder: Path, /) -> int:
    """Put the decisions of all teams of a workshop on one page.

    Parameters
    ----------
    folder
        The workshop folder.
    """
    from engagekit.workshop import compare as side_by_side

    _say(f"All decisions stand in {side_by_side(folder)}.")
    return 0


def _journeys(
    events: str | None, reading: Reading, *, users: Path | None, as_of: str | None
) -> tuple[ek.Journeys, pl.DataFrame]:
    log, definition, people, end = opened(events, reading, needs_definition=True)
    if definition is None:
        raise ParameterError(
            f"What success is in your product is not said: give --definition FILE.toml{how_to_define()}"
        )
    if users is not None:
        people = users_of(users, reading, ids=id_type(log), timezone=definition.timezone)
    journeys = ek.rollup(log, definition, users=people, as_of=as_of or end)
    return journeys, ek.check_events(as_frame(log), definition, as_of=journeys.as_of)


def _without_small(
    journeys: ek.Journeys, by: str, priority: ek.Priority, diagnosis: pl.DataFrame
) -> tuple[ek.Priority, pl.DataFrame]:
    """Leave out groups so small that somebody could be recognized: what is printed may be handed on."""
    import dataclasses

    from engagekit._base import many
    from engagekit.journeys import MIN_GROUP, small_groups, without
    from engagekit.reporting import to_hand_on

    small = small_groups(journeys, by)
    if small.height == 0:
        return priority, diagnosis
    told = f"{many(small.height, 'group')} of {by!r} with fewer than {MIN_GROUP} users not shown."
    shown = to_hand_on(priority, by, small)
    shown = dataclasses.replace(shown, warnings=(*shown.warnings, told))
    return shown, without(diagnosis, small)


def _answers(
    journeys: ek.Journeys, notes: pl.DataFrame, priority: ek.Priority, diagnosis: pl.DataFrame
) -> dict[str, Any]:
    plain_fields = (
        "verdict",
        "link",
        "problem",
        "play",
        "probability",
        "holds_from",
        "holds_to",
        "sentence",
    )
    tables = ("table", "by_quarter", "segments")
    return {
        "engagekit": ek.__version__,
        "product": journeys.definition.name,
        "as_of": journeys.as_of,
        "users": journeys.users.lazy().select("user_id").collect().height,
        "left_out": journeys.left_out.to_dicts(),
        "data_notes": notes.drop("example").to_dicts(),
        "priority": {name: getattr(priority, name) for name in plain_fields}
        | {"warnings": list(priority.warnings)}
        | {name: _rows(getattr(priority, name)) for name in tables},
        "diagnosis": diagnosis.to_dicts(),
        "first_weeks": ek.compare_first_weeks(journeys).to_dicts(),
        "metrics": ek.metrics(journeys).to_dicts(),
        "definition": journeys.definition.to_table(),
    }


def _rows(table: pl.DataFrame | None) -> list[dict[str, Any]] | None:
    return None if table is None else table.to_dicts()


def _plain_value(value: object) -> object:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (set, tuple)):
        return list(value)
    return str(value)


def _say(text: str) -> None:
    from engagekit.reporting import encodable

    shown = "\n".join(map(plain, text.split("\n")))  # paths too may hold what a terminal obeys
    print(encodable(shown, sys.stdout.encoding))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 whatever the verdict, 2 on bad input, never a traceback for it."""
    try:
        status = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return _refuse(str(error), hint="See engagekit --help.")
    except EngagekitError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except (OSError, ImportError) as error:
        return _refuse(f"{type(error).__name__}: {error}")
    return status if isinstance(status, int) else 0


def _refuse(message: str, *, hint: str = "") -> int:
    from engagekit.reporting import encodable

    lines = [plain(line) for line in message.splitlines()]
    print(
        encodable(
            "engagekit: " + "\n".join([*lines, *([hint] if hint else [])]), sys.stderr.encoding
        ),
        file=sys.stderr,
    )
    return 2


def run() -> None:
    """Run as an installed command."""
    from engagekit.reporting import mind

    warnings.showwarning = mind  # type: ignore[assignment]
    sys.exit(main())

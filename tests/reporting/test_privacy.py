"""Personal data: what may be handed on names no user and no group so small that somebody could be recognized."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import engagekit as ek
from engagekit import workshop
from engagekit.cli import main
from engagekit.workshop.session import Session

ROOT = Path(__file__).parents[2]
SECRET = "@secret.example"
TINY = "tiny plan of three"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Simulate a log whose ids are addresses, and whose users are in groups, one of them tiny, one a group of one each."""
    made = ek.simulate(users=400, seed=3, mix="repeat_value")
    folder = tmp_path_factory.mktemp("private")
    address = "person-" + pl.col("user_id").cast(pl.String) + SECRET
    events = made.events.lazy().with_columns(user_id=address)
    users = made.users.lazy().with_columns(
        user_id=address,
        plan=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit(TINY)).otherwise(pl.col("plan")),
        address=address,
        lonely=pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise(pl.lit("many")),
    )
    extra = events.head(3)  # duplicates, so that checks have examples to show
    pl.concat([events, extra]).collect().write_parquet(folder / "events.parquet")
    users.collect().write_csv(folder / "users.csv")
    made.definition.save(folder / "definition.toml")
    return folder, made.definition


@pytest.fixture(scope="module")
def journeys(log):
    folder, definition = log
    return ek.rollup(
        pl.scan_parquet(folder / "events.parquet"),
        definition,
        users=pl.read_csv(folder / "users.csv"),
    )


def given(folder: Path) -> list[str]:
    return [str(folder / "events.parquet"), "-d", str(folder / "definition.toml"), "--users", str(folder / "users.csv")]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("by", [None, "plan", "address", "lonely"])
def test_a_report_names_no_user_and_no_small_group(log, journeys, tmp_path, by):
    folder, definition = log
    notes = ek.check_events(pl.scan_parquet(folder / "events.parquet"), definition)
    assert notes["count"].sum() > 0
    page = ek.report(journeys, tmp_path / "report.html", by=by, notes=notes)
    text = page.read_text(encoding="utf-8")
    assert SECRET not in text
    assert TINY not in text
    assert ("Groups with fewer than 10 users are not shown." in text) == (by is not None)
    if by == "plan":
        assert "By plan" in text
        assert ">pro<" in text


@pytest.mark.thorough
def test_small_groups_cohorts_and_quarters_appear_once_they_may(journeys, tmp_path):
    shown = ek.report(journeys, tmp_path / "a.html", by="plan", min_group=1).read_text("utf-8")
    assert TINY in shown
    hidden = ek.report(journeys, tmp_path / "b.html", by="plan", min_group=100_000).read_text("utf-8")  # fmt: skip
    assert "By quarter of sign-up" in shown
    assert "By quarter of sign-up" not in hidden
    sizes = ek.cohort_curves(journeys).filter(pl.col("period") == 0)["of"]
    assert sizes.min() < 20 < sizes.max()
    page = ek.report(journeys, tmp_path / "c.html", min_group=20).read_text("utf-8")
    assert cohorts_in(shown) == len(sizes)
    assert cohorts_in(page) == (sizes >= 20).sum() > 0
    assert cohorts_in(hidden) == 0


def cohorts_in(page: str) -> int:
    """Count the rows of the table under the heatmap: each begins with a week."""
    section = page.split("<h2>Cohort curves</h2>")[1].split("</section>")[0]
    return len(re.findall(r"<tr>\s*<t[hd][^>]*>\d{4}-\d{2}-\d{2}", section))


@pytest.mark.thorough
@pytest.mark.parametrize("by", ["plan", "address"])
def test_the_command_line_names_no_user_and_no_small_group(log, capsys, by):
    folder, _ = log
    assert main(["diagnose", *given(folder), "--by", by, "--json"]) == 0
    out = capsys.readouterr().out
    assert SECRET not in out
    assert TINY not in out
    answers = json.loads(out)
    assert "fewer than 10 users not shown" in " ".join(answers["priority"]["warnings"])
    # With the tiny plan goes the smallest of the others: all but one, and the total, would give it away.
    shown = [r["plan"] for r in answers["priority"]["segments"]] if by == "plan" else []
    assert shown == (["free", "pro"] if by == "plan" else [])
    assert by == "plan" or not answers["priority"]["segments"]
    assert main(["diagnose", *given(folder), "--by", by]) == 0
    screen = capsys.readouterr().out
    assert SECRET not in screen
    assert TINY not in screen


def test_records_hold_no_ids(log, tmp_path):
    folder, definition = log
    events, users = pl.scan_parquet(folder / "events.parquet"), pl.read_csv(folder / "users.csv")
    teams = workshop.start(tmp_path / "ws", events=events, users=users, definition=definition, teams=["A"])  # fmt: skip
    session = Session(teams[0])
    priority = ek.prioritize(session.journeys())
    session.update("plan", {"link": priority.link, "sentence": priority.sentence})
    written = [*session.export(), workshop.compare(tmp_path / "ws"), *teams[0].iterdir()]
    for path in written:
        assert SECRET.encode() not in path.read_bytes(), path.name


def test_pseudonyms_go_the_whole_road(log, tmp_path):
    folder, definition = log
    hidden = ek.pseudonymize(
        pl.scan_parquet(folder / "events.parquet"), key="a long secret of the team"
    )
    journeys = ek.rollup(hidden, definition)
    journeys.save(tmp_path / "journeys")
    for path in (tmp_path / "journeys").iterdir():
        assert SECRET.encode() not in path.read_bytes()
    assert journeys.users.height == 400


ROAD = """
import socket, sys

def refused(*args, **kwargs):
    raise SystemExit(f"something phones home: {args}")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refused
socket.create_connection = socket.getaddrinfo = refused
import engagekit as ek
from engagekit.cli import main

folder, place = sys.argv[1:]
given = [f"{folder}/events.parquet", "-d", f"{folder}/definition.toml", "--users", f"{folder}/users.csv"]
assert main(["diagnose", *given, "--report", f"{place}/report.html"]) == 0
assert main(["check", *given[:3]]) == 0
assert main(["start", f"{place}/ws", "--events", given[0], "-d", given[2], "--team", "A"]) == 0
assert main(["compare", f"{place}/ws"]) == 0
session = ek.Session(f"{place}/ws/A")
journeys = session.journeys()
chart = ek.charts.loop(ek.prioritize(journeys))
ek.charts.svg(chart)
ek.use_offline_charts()
chart._repr_mimebundle_(None, None) if hasattr(chart, "_repr_mimebundle_") else chart.to_dict()
str(ek.tables.metrics(ek.metrics(journeys)))
session.export()
print("the end of the road")
"""


@pytest.mark.slow
def test_nothing_phones_home(log, tmp_path):
    folder, _ = log
    done = subprocess.run(
        [sys.executable, "-c", ROAD, str(folder), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    assert done.stdout.rstrip().endswith("the end of the road")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_the_guard_of_the_road_does_stop_calls(tmp_path):
    code = ROAD.split("import engagekit")[0] + "\nsocket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "phones home" in done.stderr
    assert socket.create_connection is not None

"""Four weeks later: newer data come into a workshop, and what the teams did there stays."""

from __future__ import annotations

import dataclasses
import json
import shutil
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from four_weeks import APRIL, BEGIN, DEFINITION, MAY, USERS_A_DAY, log_of, users_of

import engagekit as ek
from engagekit.cli import main
from engagekit.errors import EngagekitError, ParameterError, StoredFileError
from engagekit.workshop import Session, refresh, refreshing, start, unmatched


@pytest.fixture(scope="module")
def april(tmp_path_factory):
    """Make a workshop of two teams on the log up to April, with all that teams leave in it."""
    folder = tmp_path_factory.mktemp("april") / "ws"
    for team in start(
        folder,
        events=log_of(APRIL),
        users=users_of(APRIL),
        definition=DEFINITION,
        teams=["One", "Two"],
        as_of="2026-04-15",
    ):
        session = Session(team)
        session.vote("Ada", "activation")
        session.decide("Which number will we stop looking at?", "page views")
        session.set("targets", {"activation": 55, "habit": 0, "depth": 0, "advocacy": 0})
        session.replace("plan", {"link": "activation", "owner": "Dana", "baseline": 0.42, "target": 0.6, "starts_on": "2026-04-15", "look_again": "2026-05-20"})  # fmt: skip
    return folder


@pytest.fixture
def ws(april, tmp_path):
    return shutil.copytree(april, tmp_path / "ws")


def kept(folder) -> dict:
    """Take what a refresh must not touch."""
    state = {}
    for team in ("One", "Two"):
        session = Session(folder / team)
        parts = ("votes", "decisions", "controls", "plan", "notes")
        state[team] = [session.part(p) for p in parts] + [
            (folder / team / "definition.toml").read_bytes()
        ]
    return state


def contents(folder) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(files)}


def test_newer_data_come_in_and_what_was_decided_stays(ws):
    before = kept(ws)
    found = refresh(ws, events=log_of(MAY), users=users_of(MAY))
    assert kept(ws) == before
    assert (found.before.rows, found.after.rows) == (log_of(APRIL).height, log_of(MAY).height)
    assert (found.before.users, found.after.users) == (APRIL * USERS_A_DAY, MAY * USERS_A_DAY)
    assert found.lacking == 0
    assert found.due == {"One": "2026-05-20", "Two": "2026-05-20"}
    for team in ("One", "Two"):
        journeys = Session(ws / team).journeys()
        assert journeys.as_of.date() >= date(2026, 5, 29)
        assert found.judged_until[team] == date(2026, 5, 29)
        assert journeys.users.height == MAY * USERS_A_DAY
        assert journeys.users["plan"].null_count() == 0
    text = str(found)
    for said in (
        f"Events: {log_of(MAY).height:,} ({log_of(MAY).height - log_of(APRIL).height:,} more than before).",
        "Users: 1,740 (540 more than before).",
        "Last day with an event: 2026-05-29 (it was 2026-04-14).",
        "One judges up to 2026-05-29.",
        "One wanted to look again on 2026-05-20: that day has come.",
        "One had judged up to 2026-04-15; the end of the new log holds now.",
    ):
        assert said in text
    assert not [p for p in ws.iterdir() if p.name.startswith(".refresh") and p.suffix != ".lock"]


@pytest.mark.thorough
def test_the_planted_rise_is_seen_afterwards_without_editing_a_file(ws):
    refresh(ws, events=log_of(MAY), users=users_of(MAY))
    tracked = ek.track(Session(ws / "One").journeys(), since="2026-04-15", link="activation")
    before, since = tracked.table.select("n", "of").rows()
    assert before[0] / before[1] == pytest.approx(5 / 12, abs=0.01)
    assert since[0] / since[1] == pytest.approx(10 / 12, abs=0.01)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("timezone", "last", "until"),
    [("UTC", "2026-05-29", "2026-05-29"), ("Asia/Tokyo", "2026-05-30", "2026-05-30"), ("America/New_York", "2026-05-29", "2026-05-29")],
)  # fmt: skip
def test_the_days_of_a_log_are_those_of_its_own_time_zone(ws, timezone, last, until):
    late = pl.DataFrame({"user_id": ["u00001"], "event": ["invoice"], "at": [datetime(2026, 5, 29, 20)]})  # fmt: skip
    for team in ("One", "Two"):
        session = Session(ws / team)
        session.define(dataclasses.replace(session.definition, timezone=timezone))
    found = refresh(ws, events=pl.concat([log_of(MAY), late]), users=users_of(MAY))
    assert str(found.after.last) == last
    assert f"Last day with an event: {last}" in str(found)
    assert {str(day) for day in found.judged_until.values()} == {until}
    assert [r.kind for r in found.remarks if "end" in r.kind] == ["end replaced", "end replaced"]
    for team in ("One", "Two"):
        Session(ws / team).update("about", {"as_of": last})
    assert unmatched(ws) == []


def test_a_log_that_only_knows_days_has_them_in_every_time_zone(tmp_path):
    days = log_of(APRIL).with_columns(pl.col("at").dt.date())
    definition = dataclasses.replace(DEFINITION, timezone="America/New_York")
    start(tmp_path / "ws", events=days, definition=definition)
    more = log_of(MAY).with_columns(pl.col("at").dt.date())
    found = refresh(tmp_path / "ws", events=more)
    assert (str(found.before.last), str(found.after.last)) == ("2026-04-14", "2026-05-29")


def test_a_users_table_that_lacks_the_new_users_is_kept_with_a_remark(ws):
    found = refresh(ws, events=log_of(MAY))
    assert found.lacking == 540
    assert "lacks 540 of the log's 1,740 users (31%)" in str(found)
    assert [r.kind for r in found.remarks] == ["end replaced", "end replaced", "users lacking"]
    again = refresh(ws, users=users_of(MAY))
    assert again.lacking == 0
    assert Session(ws / "One").journeys().users["plan"].null_count() == 0


@pytest.mark.thorough
def test_an_end_alone_counts_and_one_that_no_event_reaches_is_remarked_on(ws):
    refresh(ws, events=log_of(MAY), users=users_of(MAY))
    found = refresh(ws, as_of="2026-05-10")
    assert Session(ws / "Two").journeys().as_of.date() == date(2026, 5, 10)
    assert found.judged_until["Two"] == date(2026, 5, 9)
    assert "what came after 2026-05-09 is not counted" in str(found)
    late = refresh(ws, as_of="2026-07-30")
    assert [r.kind for r in late.remarks] == ["end after the log"]
    assert Session(ws / "One").part("about")["as_of"] == "2026-07-30"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Nothing new is given"),
        ({"events": log_of(MAY, first=APRIL + 1)}, "give the whole log, not only"),
        ({"events": log_of(60)}, "it is the older one"),
        ({"events": log_of(MAY, ids="x")}, "no user in common"),
        (
            {"users": users_of(3).with_columns(pl.format("x{}", "user_id").alias("user_id"))},
            "none of the log's users",
        ),
        ({"as_of": "2025-01-01"}, "do not fit"),
        ({"as_of": "soon"}, "do not fit"),
        ({"events": log_of(MAY, report="report_v2")}, "One: .*report"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_touched(ws, given, words):
    before = contents(ws)
    with pytest.raises(ParameterError, match=words):
        refresh(ws, **given)
    assert contents(ws) == before


def test_events_that_came_and_went_are_named(ws):
    more = log_of(MAY).vstack(
        pl.DataFrame(
            {"user_id": ["u00001"], "event": ["export"], "at": [BEGIN + timedelta(days=120)]}
        )
    )
    found = refresh(ws, events=more, users=users_of(MAY))
    assert "New events: 'export'." in str(found)
    gone = refresh(ws, events=log_of(MAY))
    assert [(r.kind, r.about) for r in gone.remarks] == [("event gone", ("export",))]


def test_the_sample_and_a_teams_own_folder_are_refused(ws, tmp_path):
    start(tmp_path / "sample")
    with pytest.raises(ParameterError, match="bundled sample"):
        refresh(tmp_path / "sample", as_of="2026-01-01")
    shutil.rmtree(shutil.copytree(ws, tmp_path / "lost") / "log")
    with pytest.raises(ParameterError, match=r"is gone.*engagekit start"):
        refresh(tmp_path / "lost", events=log_of(MAY))
    with pytest.raises(ParameterError, match="one team's folder"):
        refresh(ws / "One", as_of="2026-04-01")
    with pytest.raises(ParameterError, match="holds no team"):
        refresh(tmp_path / "nothing", as_of="2026-04-01")


class Killed(BaseException):
    """Stands for the process being killed."""


@pytest.mark.thorough
@pytest.mark.parametrize("step", [4, 5, 6, 7, 8, 10, 12])
def test_killed_at_any_step_the_next_call_finishes(ws, monkeypatch, step):
    """5 is the commit; before it all is old, after it come the log out, the log in, the table, and each session."""
    before, steps = kept(ws), iter(range(99))

    def dying(call):
        def run(*args, **kwargs):
            if next(steps) == step:
                raise Killed
            return call(*args, **kwargs)

        return run

    with monkeypatch.context() as patch:
        path = refreshing.Path
        patch.setattr(path, "rename", dying(path.rename))
        patch.setattr(path, "replace", dying(path.replace))
        patch.setattr(Session, "update", dying(Session.update))
        with pytest.raises(Killed):
            refresh(ws, events=log_of(MAY), users=users_of(MAY))
    assert next(steps) == step + 1
    assert (ws / ".refresh").exists() == (step > 5)
    found = refresh(ws, events=log_of(MAY), users=users_of(MAY))
    assert kept(ws) == before
    assert found.after.rows == log_of(MAY).height
    assert {Session(ws / t).journeys().users.height for t in ("One", "Two")} == {MAY * USERS_A_DAY}
    assert not [p for p in ws.iterdir() if p.name.startswith(".refresh") and p.suffix != ".lock"]


def test_start_finishes_what_was_begun(ws, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            refreshing,
            "finish",
            lambda folder: (folder / ".refresh").exists() and (_ for _ in ()).throw(Killed),
        )
        with pytest.raises(Killed):
            refresh(ws, events=log_of(MAY), users=users_of(MAY))
    assert (ws / ".refresh" / "about.json").is_file()
    start(ws, teams=["Three"], definition=DEFINITION)
    assert {Session(ws / t).journeys().users.height for t in ("One", "Two", "Three")} == {
        MAY * USERS_A_DAY
    }


def test_two_at_once_are_one_after_the_other(ws):
    from filelock import FileLock

    with FileLock(ws / ".refresh.lock"), pytest.raises(StoredFileError, match="by another call"):
        refresh(ws, as_of="2026-04-01")


# What the same room met four weeks later, step by step -----------------------------------------------


def test_start_on_a_newer_log_is_still_refused(ws):
    with pytest.raises(EngagekitError, match="another source"):
        start(ws, events=log_of(MAY), definition=DEFINITION, teams=["One"])


def test_start_says_what_a_kept_users_table_lacks(ws, tmp_path, capsys):
    shutil.rmtree(ws / "log")
    log_of(MAY).write_parquet(tmp_path / "may.parquet")
    assert (
        main(
            [
                "start",
                str(ws),
                "--events",
                str(tmp_path / "may.parquet"),
                "--team",
                "One",
                "-d",
                str(ws / "One" / "definition.toml"),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "lacks 540 of the log's 1,740 users" in said
    assert "One judges up to 2026-04-15, though the log goes on until 2026-05-29" in said
    assert len(unmatched(ws)) == 3
    refresh(ws, users=users_of(MAY), as_of="2026-05-30")
    assert unmatched(ws) == []


def test_start_refuses_an_end_or_a_table_it_would_ignore(ws, capsys):
    before = contents(ws)
    assert main(["start", str(ws), "--team", "One", "--as-of", "2026-05-30"]) == 2
    said = capsys.readouterr().err
    assert "engagekit refresh" in said
    assert "2026-04-15" in said
    with pytest.raises(ParameterError, match="another one was given"):
        start(ws, events=log_of(APRIL), users=users_of(MAY), definition=DEFINITION, teams=["One"])
    assert contents(ws) == before
    start(ws, teams=["One"], definition=DEFINITION, as_of="2026-04-15", users=users_of(APRIL))
    assert contents(ws) == before


def test_the_command_refreshes_and_says_what_changed(ws, tmp_path, capsys):
    log_of(MAY).write_csv(tmp_path / "may.csv")
    users_of(MAY).write_csv(tmp_path / "users.csv")
    command = [
        "refresh",
        str(ws),
        "--events",
        str(tmp_path / "may.csv"),
        "--users",
        str(tmp_path / "users.csv"),
    ]
    assert main([*command, "--cache", str(tmp_path / "cache"), "--as-of", "2026-05-30"]) == 0
    said = capsys.readouterr().out
    assert "Users: 1,740 (540 more than before)." in said
    assert "One judges up to 2026-05-29." in said
    assert json.loads((ws / "One" / "session.json").read_text())["about"]["as_of"] == "2026-05-30"
    assert main(["refresh", str(ws)]) == 2
    assert "--events LOG, --users TABLE or --as-of DAY" in capsys.readouterr().err

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace

import polars as pl

from engagekit.playbook.guidance import HOOKED, REVIEWS
from engagekit.playbook.markdown import agenda, bullets, card, facts, or_why, said, table
from engagekit.playbook.plays import PLAYS


def test_each_play_has_a_card_with_its_owner_and_trap():
    for play in PLAYS:
        text = str(card(play.name))
        assert all(
            words in text for words in (play.name, play.primary_lead, play.trap, play.watch_for)
        )
    assert "No play is named" in str(card(None))


def test_agendas_hold_all_that_a_review_looks_at():
    for review in REVIEWS:
        text = str(agenda(review.name))
        assert all(item.text in text for item in (*review.look_at, *review.sanity_checks))


def test_tables_are_tables_and_names_from_a_log_are_inert():
    frame = pl.DataFrame(
        {"event": ["<b>a|b</b>", None], "users": [12345, 1], "ratio": [0.256, None]}
    )
    assert str(table(frame, most=1)).splitlines() == [
        "| event | users | ratio |",
        "|:---|---:|---:|",
        r"| &lt;b&gt;a\|b&lt;/b&gt; | 12,345 | 0.26 |",
        "",
        "and 1 more row",
    ]
    assert str(facts(HOOKED, "part", "question")).count("\n") == len(HOOKED) + 1
    assert str(bullets(REVIEWS[0].look_at)).startswith("- ")
    assert bullets(["a"])._repr_markdown_() == "- a"


def cells(frame: pl.DataFrame) -> list[str]:
    return [cell.strip() for cell in str(table(frame)).splitlines()[2].strip("|").split("|")]


def test_shares_are_percentages_and_differences_points():
    row = {"rate": 0.381, "low": 0.3649, "high": 1.0, "rate_before": 0.0, "share": 0.0004}
    assert cells(pl.DataFrame([row])) == ["38%", "36%", "100%", "0%", "under 0.1%"]
    row = {"difference": 0.053, "difference_low": -0.021, "target": None, "rate": None}
    assert cells(pl.DataFrame([row])) == ["+5 points", "-2 points", "–", "–"]


def test_an_interval_of_something_else_is_no_percentage():
    assert cells(pl.DataFrame([{"value": 14.0, "low": 0.5, "high": 2.75}])) == ["14", "0.5", "2.75"]


def test_days_and_answers_read_as_people_write_them():
    row = {"on": date(2026, 3, 1), "at": datetime(2026, 3, 1, 5, tzinfo=UTC), "ok": True, "n": 0}
    assert cells(pl.DataFrame([row])) == ["2026-03-01", "2026-03-01", "yes", "0"]


def test_what_is_read_aloud_is_a_quote_and_inert():
    text = str(said("Do <b>this</b>.", "[x](javascript:y)"))
    assert text.startswith("> Do &lt;b&gt;this&lt;/b&gt;.\n>\n> ")
    assert "[x](" not in text


def test_a_chart_of_nothing_is_said_in_words():
    title = SimpleNamespace(text=["No step has", "been reached"])
    empty = SimpleNamespace(usermeta={"engagekit": {"rows": []}}, title=title)
    full = SimpleNamespace(usermeta={"engagekit": {"rows": [["a"]]}}, title=title)
    assert str(or_why(lambda: empty)) == "> No step has been reached."
    assert or_why(lambda: full) is full
    assert or_why(lambda: 3) == 3

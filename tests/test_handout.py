from __future__ import annotations

import polars as pl

from engagekit.guidance import HOOKED, REVIEWS
from engagekit.handout import agenda, bullets, card, facts, table
from engagekit.playbook import PLAYS


def test_each_play_has_a_card_with_its_owner_and_trap():
    for play in PLAYS:
        text = str(card(play.name))
        assert all(
            words in text for words in (play.name, play.primary_lead, play.trap, play.watch_for)
        )
    assert "No play fits" in str(card(None))


def test_agendas_hold_all_that_a_review_looks_at():
    for review in REVIEWS:
        text = str(agenda(review.name))
        assert all(item.text in text for item in (*review.look_at, *review.sanity_checks))


def test_tables_are_tables_and_names_from_a_log_are_inert():
    frame = pl.DataFrame({"event": ["<b>a|b</b>", None], "users": [12345, 1], "rate": [0.25, None]})
    assert str(table(frame, most=1)).splitlines() == [
        "| event | users | rate |",
        "|---|---:|---:|",
        r"| &lt;b&gt;a\|b&lt;/b&gt; | 12,345 | 0.25 |",
        "",
        "and 1 more rows",
    ]
    assert str(facts(HOOKED, "part", "question")).count("\n") == len(HOOKED) + 1
    assert str(bullets(REVIEWS[0].look_at)).startswith("- ")
    assert bullets(["a"])._repr_markdown_() == "- a"

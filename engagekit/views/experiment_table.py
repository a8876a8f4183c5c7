"""A test, and the record of our claims, written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.intervals import wilson
from engagekit.views.sheet import (
    UNKNOWN,
    Sheet,
    between,
    checked,
    decimals,
    points,
    rated,
    sheet,
    whole,
)

if TYPE_CHECKING:
    from engagekit.review import Experiment

CORE_DAYS = "core_days"
REPLAY = ("claim", "as_of", "said", "n", "of", "rate", "low", "high", "came_out")
CLAIM_WORDS = {
    "verdict": "The verdict still stood a quarter later",
    "drift": "Most of those called drifted stayed away",
    "projection": "The curve came out inside its band",
    "first weeks": "Every action named held in later sign-ups",
    "track": "No change was called where no play is known",
}


def experiment(found: Experiment) -> Sheet:
    """Write out what `experiment` returns: one row per arm."""
    days = found.link == CORE_DAYS
    rows = [
        (
            row["variant"],
            whole(row["users"]),
            whole(row["of"]),
            decimals(row["rate"]) if days else rated(row["rate"]),
            span(row["low"], row["high"], days=days, signed=False),
            UNKNOWN if row["difference"] is None else _gap(row["difference"], days=days),
            span(row["difference_low"], row["difference_high"], days=days, signed=True),
            span(row["low_any_time"], row["high_any_time"], days=days, signed=True),
            row["verdict"] or "",
        )
        for row in found.table.to_dicts()
    ]
    headers = (
        "Arm", "Users", "Judged", "Days a user" if days else "Passed", "95% interval", "Difference", "On this one day",
        "However often one looks", "Verdict",
    )  # fmt: skip
    subtitle = f"Of users assigned whose time is over; differences to {found.control}. Only the last interval holds under repeated looks."
    return sheet("Dot chart", _title(found), subtitle, headers, rows)


def replay(record: pl.DataFrame) -> Sheet:
    """Write out what `replay` returns: one row per kind of claim."""
    rows = [
        (
            CLAIM_WORDS.get(row["claim"], row["claim"]),
            whole(row["ends"]),
            whole(row["known"]),
            whole(row["came"]),
            rated(row["came"] / row["known"]) if row["known"] else UNKNOWN,
            between(*wilson(row["came"], row["known"])) if row["known"] else UNKNOWN,
        )
        for row in by_claim(record)
    ]
    headers = ("Claim", "Times asked", "Outcome known", "Came out", "Share", "95% interval")
    known = [row for row in by_claim(record) if row["known"]]
    came, of = sum(row["came"] for row in known), sum(row["known"] for row in known)
    title = (
        f"{whole(came)} of {whole(of)} claims about this product's past came out"
        if of
        else "Nothing is known yet of how claims came out"
    )
    subtitle = "Each claim as it would have been made then, against what came in the quarter after. Neighbouring ends share users."
    return sheet("Dot chart", title, subtitle, headers, rows)


def by_claim(record: pl.DataFrame) -> list[dict[str, Any]]:
    """Count each kind of claim: how often asked, known and come out."""
    frame = checked(record, REPLAY, "ek.replay")
    return (
        frame.group_by("claim", maintain_order=True)
        .agg(
            pl.len().alias("ends"),
            pl.col("came_out").is_not_null().sum().alias("known"),
            pl.col("came_out").fill_null(value=False).sum().alias("came"),
        )
        .to_dicts()
    )


def _title(found: Experiment) -> str:
    return {
        "better": f"{found.variant} does better than {found.control}",
        "worse": f"{found.variant} does worse than {found.control}",
        "no difference that matters": f"No difference that matters between {found.variant} and {found.control}",
        "stop: the split is off": "Stop: the split of this test is off",
    }.get(found.verdict, f"It cannot be told yet how {found.variant} does against {found.control}")


def _gap(value: float, *, days: bool) -> str:
    return f"{value:+.2f}" if days else points(value)


def span(low: float | None, high: float | None, *, days: bool, signed: bool) -> str:
    """Write an interval in its unit, with signs where it is one of differences."""
    if low is None or high is None:
        return UNKNOWN
    if days:
        return f"{low:+.2f} to {high:+.2f}" if signed else f"{low:.2f} to {high:.2f}"
    if signed:
        return UNKNOWN if low <= -1 and high >= 1 else f"{points(low)} to {points(high)}"
    return between(low, high)

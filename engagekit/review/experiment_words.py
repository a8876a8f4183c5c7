"""What a test says, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit._base import count, day, percent
from engagekit.diagnosis import span_days
from engagekit.review.arms import CORE_DAYS, CORE_WINDOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engagekit.definition import Definition
    from engagekit.review.arm_rows import Split

WORTH_SAYING = 0.01  # by so much the past must narrow an interval
SAID = {
    "better": "{arm} does better",
    "worse": "{arm} does worse",
    "no difference that matters": "there is no difference that matters between {arm} and {control}",
    "cannot tell yet": "it cannot be told yet whether {arm} does better or worse",
}


def sentence_of(
    table: pl.DataFrame,
    best: dict[str, Any],
    control: str,
    link: str,
    definition: Definition,
    harmed: pl.DataFrame,
    split: Split,
) -> str:
    """Say the verdict with its numbers, or why nothing may be read yet."""
    users = {row["variant"]: row["users"] for row in table.to_dicts()}
    if split.mended and split.day is not None:
        return (
            f"Stop: the split is off. Up to {day(split.day)} the arms held {_held(split.then)} {split.units}, which chance does not do where "
            f"the split is as meant; by now they hold {_held(users)} users, so the split was changed on the way, it seems. Whoever was assigned early "
            "differs from whoever was later: read the users assigned since the last change alone."
        )
    if split.off:
        return (
            f"Stop: the split is off. The arms hold {_held(users)} users, which chance does not do where the split is as meant. "
            "Find out what sorts users into the arms, or loses them, before anything is read from this test."
        )
    against = next(row for row in table.to_dicts() if row["variant"] == control)
    verdict = SAID[best["verdict"]].format(arm=best["variant"], control=control)
    if best["difference"] is None:
        return f"{_what(link, definition)}: {verdict}; nobody's time is over yet in {best['variant'] if not best['of'] else control}."
    parts = [
        f"{_what(link, definition)}: {verdict}. {_rate(best, link)} against {_rate(against, link)} with {control}: "
        f"{_gap(best['difference'], link)} ({_interval(best, link)})."
    ]
    if best["adjusted"] is not None and best["narrowed"] >= WORTH_SAYING:
        parts.append(
            f"With what users did before taken off: {_gap(best['adjusted'], link)}, in an interval {percent(best['narrowed'])} narrower."
        )
    waiting = int(table["too_early"].sum())
    if waiting:
        parts.append(f"{count(waiting)} users more are in the test; their time is not over.")
    if harmed.height:
        names = ", ".join(f"{row['guardrail']} ({row['variant']})" for row in harmed.to_dicts())
        parts.append(f"Mind what got worse: {names}.")
    return " ".join(parts)


def _held(users: Mapping[str, int]) -> str:
    return ", ".join(f"{arm} {count(n)}" for arm, n in users.items())


def _what(link: str, definition: Definition) -> str:
    if link == CORE_DAYS:
        return f"Days with a core action in the {CORE_WINDOW} days after being assigned"
    return f"{link.capitalize()}, within {span_days(definition, link)} days of being assigned"


def _rate(row: dict[str, Any], link: str) -> str:
    if link == CORE_DAYS:
        return f"{row['rate']:.2f} days ({count(row['of'])} users)"
    return f"{percent(row['rate'], digits=1)} ({count(row['n'])} of {count(row['of'])})"


def _gap(value: float, link: str) -> str:
    return f"{value:+.2f} days" if link == CORE_DAYS else f"{100 * value:+.1f} points"


def _range(low: float, high: float, link: str) -> str:
    form = "{:+.2f} to {:+.2f}" if link == CORE_DAYS else "{:+.1f} to {:+.1f}"
    scale = 1 if link == CORE_DAYS else 100
    return form.format(scale * low, scale * high)


def _interval(row: dict[str, Any], link: str) -> str:
    if row["difference_low"] is None:
        return "no interval: the users of each arm all have the same"
    fixed = _range(row["difference_low"], row["difference_high"], link)
    return f"{fixed} on this one day; {_any_time(row, link)}"


def _any_time(row: dict[str, Any], link: str) -> str:
    if row["low_any_time"] <= -1 and row["high_any_time"] >= 1 and link != CORE_DAYS:
        return "too few yet for an interval that holds however often one looks"
    return f"{_range(row['low_any_time'], row['high_any_time'], link)} however often one looks"

"""How a link moved since a play began, as sentences: what was seen, what speaks against the play, how to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit._base import count, percent, sure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from engagekit._base import Remark
    from engagekit.priority import Priority
    from engagekit.review.usual_range import UsualRange

HOW_TO_KNOW = "Whatever else began then is in this too; only a test would tell what the play did."


def told(
    link: str,
    since: str,
    table: pl.DataFrame,
    compared: dict[str, Any],
    verdict: str,
    usual: UsualRange | None,
    held: tuple[str, float, float, float] | None,
    goal: float | None,
    remarks: Sequence[Remark],
    now: Priority,
) -> str:
    """Say all of it."""
    before, after = table.rows(named=True)[:2]
    name = link.capitalize()
    if compared["difference"] is None:
        side = "before" if not before["of"] else "since"
        parts = [
            f"{name}: cannot tell yet, nobody who signed up {side} {since} can be judged on it."
        ]
    else:
        gap = compared["difference"]
        parts = [
            f"{name} since {since}: {_said(verdict, gap)}. {percent(after['rate'])} ({count(after['n'])} of {count(after['of'])}) "
            f"against {percent(before['rate'])} ({count(before['n'])} of {count(before['of'])}) before: "
            f"{_points(gap)} points ({_points(compared['difference_low'])} to {_points(compared['difference_high'])})."
        ]
        parts += _against(verdict, usual, held)
    if goal is not None:
        parts.append(f"The goal is {percent(goal)}.")
    parts += [remark.text for remark in remarks]
    if verdict in {"improved", "worse"}:
        parts.append(HOW_TO_KNOW)
    if verdict != "cannot tell yet":
        parts.append(_now(now))
    return " ".join(parts)


def _now(since: Priority) -> str:
    """Say which link breaks earliest for those who signed up since; its counts stand elsewhere, by another rule."""
    told = {
        "named": f"breaks earliest at {since.link} ({sure(since.probability)} sure)",
        "none broken": f"breaks at no link ({sure(since.probability)} sure)",
    }.get(since.verdict, "breaks at a link that cannot be named yet")
    return f"For those who signed up since, momentum {told}."


def _said(verdict: str, gap: float) -> str:
    return {
        "improved": "it rose",
        "worse": "it fell",
        "the mix changed": f"the mix changed, so that {'a rise' if gap > 0 else 'a fall'} shows",
        "within its usual range": "within its usual range",
    }.get(verdict, "cannot tell yet")


def _against(
    verdict: str,
    usual: UsualRange | None,
    held: tuple[str, float, float, float] | None,
) -> list[str]:
    parts = []
    if held is not None and verdict == "the mix changed":
        parts.append(
            f"With the same mix of {held[0]} it is {_points(held[1])} points ({_points(held[2])} to {_points(held[3])}): "
            "other users came, and that is not the play."
        )
    elif held is not None:
        parts.append(f"With the same mix of {held[0]}: {_points(held[1])} points.")
    if usual is not None:
        parts.append(
            f"Without a play it moved by {_points(usual.lowest)} to {_points(usual.highest)} points between such spans; as large a "
            f"change came in {count(usual.as_large)} of {count(usual.spans)} of them; the past is short, so it may come as often as {percent(usual.share)}."
            if usual.as_large < usual.share * usual.spans
            else f"Without a play it moved by {_points(usual.lowest)} to {_points(usual.highest)} points between such spans; as large a "
            f"change came in {count(usual.as_large)} of {count(usual.spans)} of them."
        )
    return parts


def _points(value: float) -> str:
    return f"{round(100 * value):+d}"  # never "-0"

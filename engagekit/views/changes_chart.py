"""Pictures of what changed, and of suggested targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit._base import sure
from engagekit.views import changes_table as words
from engagekit.views.marks import bars
from engagekit.views.sheet import checked, joined, rated, whole
from engagekit.views.theme import BAR, VERMILLION, finished, tips

if TYPE_CHECKING:
    import polars as pl

POINTS = "Points of the share of sign-ups that gets to the end"


def change(change: pl.DataFrame) -> Any:
    """Draw what `explain_change` returns: how much each link changed the share that gets to the end.

    Parameters
    ----------
    change
        What `engagekit.explain_change` returns.

    Returns
    -------
    altair chart
        One bar per link with its interval; the one that surely changed it most stands out.
    """
    page = words.change(change)
    found = checked(change, words.CHANGE, "ek.explain_change").to_dicts()
    rows = [
        {
            "name": words.NAMES.get(row["link"], str(row["link"])),
            "value": _points(row["contribution"]),
            "low": _points(row["low"]),
            "high": _points(row["high"]),
            "text": joined(words.points(row["contribution"]), _rates(row)),
            "interval": words.points_between(row["low"], row["high"]),
            "chance": sure(row["p_largest"]),
            "tone": VERMILLION if _stands_out(row) else BAR,
        }
        for row in found
    ]
    shown = tips(name="Link", text="Changed", interval="95% interval", chance="Chance it changed most")  # fmt: skip
    axis = alt.Axis(title=POINTS, grid=True, tickCount=5)
    return finished(bars(rows, title=POINTS, tips=shown, step=62, axis=axis, beside=250), page)


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _rates(row: dict[str, Any]) -> str:
    return "" if row["before"] is None else f"{rated(row['before'])} → {rated(row['after'])}"


def _stands_out(row: dict[str, Any]) -> bool:
    if None in (row["p_largest"], row["low"], row["high"]):
        return False
    return bool(row["p_largest"] >= words.CLEAR and (row["low"] > 0 or row["high"] < 0))


def targets(suggested: pl.DataFrame) -> Any:
    """Draw what `suggest_targets` returns: each link's rate now, and the target suggested.

    Parameters
    ----------
    suggested
        What `engagekit.suggest_targets` returns.

    Returns
    -------
    altair chart
        One bar per link; the suggested target is a tick.
    """
    page = words.targets(suggested)
    rows = [
        {
            "name": words.NAMES.get(row["link"], str(row["link"])),
            "value": row["rate"],
            "low": None,
            "high": None,
            "target": row["suggested"],
            "text": _beside(row),
            "count": f"{whole(row['n'])} of {whole(row['of'])}",
            "aim": rated(row["suggested"]),
            "source": row["source"] or "",
            "tone": BAR,
        }
        for row in checked(suggested, words.TARGETS, "ek.suggest_targets").to_dicts()
    ]
    shown = tips(name="Link", count="Passed", aim="Suggested target", source="From")
    return finished(
        bars(rows, title="Users who pass the link", tips=shown, step=62, beside=250), page
    )


def _beside(row: dict[str, Any]) -> str:
    if row["rate"] is None:
        return "nobody to judge yet"
    aim = "" if row["suggested"] is None else f"target {rated(row['suggested'])}?"
    return joined(f"{rated(row['rate'])} now", aim)

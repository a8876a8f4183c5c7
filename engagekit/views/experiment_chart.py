"""Pictures of a test, and of the record of our claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.intervals import wilson
from engagekit.views import experiment_table as words
from engagekit.views.marks import dots
from engagekit.views.sheet import UNKNOWN, between, joined, labels, rated, whole
from engagekit.views.theme import finished, tips

if TYPE_CHECKING:
    import polars as pl

    from engagekit.review import Experiment

WITH_VERDICT = 330  # pixels beside the plot: a share, how many, and the longest verdict


def experiment(found: Experiment) -> Any:
    """Draw what `experiment` returns: each arm's share with its interval.

    Parameters
    ----------
    found
        What `engagekit.experiment` returns.

    Returns
    -------
    altair chart
        One dot per arm; days of core action are drawn as a share of the 28.
    """
    scale = 28 if found.link == words.CORE_DAYS else 1
    names = labels([row["variant"] for row in found.table.to_dicts()], most=30)
    rows = [
        {
            "name": name,
            "group": "arms",
            "value": None if row["rate"] is None else row["rate"] / scale,
            "low": None if row["low"] is None else row["low"] / scale,
            "high": None if row["high"] is None else row["high"] / scale,
            "text": joined(
                UNKNOWN if row["rate"] is None else rated(row["rate"] / scale),
                f"of {whole(row['of'])}",
                row["verdict"] or "",
            ),
            "interval": words.span(row["low"], row["high"], days=scale > 1, signed=False),
            "count": f"{whole(row['n'])} of {whole(row['of'])}",
        }
        for name, row in zip(names, found.table.to_dicts(), strict=True)
    ]
    shown = tips(name="Arm", count="Users", interval="95% interval")
    title = "Share of days with a core action" if scale > 1 else "Share of users assigned"
    made = dots(rows, title=title, tips=shown, limit=240, beside=WITH_VERDICT)
    return finished(made, words.experiment(found))


def replay(record: pl.DataFrame) -> Any:
    """Draw what `replay` returns: how often each kind of claim came out.

    Parameters
    ----------
    record
        What `engagekit.replay` returns.

    Returns
    -------
    altair chart
        One dot with its interval per kind of claim.
    """
    rows = []
    for row in words.by_claim(record):
        if not row["known"]:
            continue
        low, high = wilson(row["came"], row["known"])
        rows.append(
            {
                "name": words.CLAIM_WORDS.get(row["claim"], row["claim"]),
                "group": "claims",
                "value": row["came"] / row["known"],
                "low": low,
                "high": high,
                "text": f"{whole(row['came'])} of {whole(row['known'])}",
                "interval": between(low, high),
            }
        )
    shown = tips(name="Claim", text="Came out", interval="95% interval")
    return finished(
        dots(rows, title="Share that came out", tips=shown, limit=330), words.replay(record)
    )

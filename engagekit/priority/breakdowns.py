"""The earliest broken link per quarter of sign-up and per segment, and where it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import LINKS
from engagekit.instants import local_day
from engagekit.priority.counts import link_counts
from engagekit.priority.loop_table import TABLE, Marks, links_by, loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys

BY_QUARTER: dict[str, Any] = {
    "quarter": pl.Date,
    **TABLE,
    "verdict": pl.String,
    "named": pl.String,
    "changed": pl.Boolean,
}
SEGMENT: dict[str, Any] = {
    "users": pl.Int64,
    "verdict": pl.String,
    "link": pl.String,
    "probability": pl.Float64,
    "candidates": pl.List(pl.String),
    **{f"{link}_{c}": t for link in LINKS for c, t in (("rate", pl.Float64), ("of", pl.Int64))},
}


def by_quarter(
    journeys: Journeys, flags: pl.LazyFrame, marks: Marks, accounts: str | None
) -> pl.DataFrame:
    """Judge each quarter of sign-ups on its own.

    Returns
    -------
    DataFrame
        Four rows per quarter: `quarter` (its first local day), the columns of the table, `verdict`, `named` (the
        link named in that quarter, else null) and `changed` (it differs from the link named last before).
    """
    quarter = local_day(pl.col("signed_up_at"), journeys.timezone).dt.truncate("1q")
    counts = link_counts(
        flags.with_columns(quarter.alias("quarter")), keys=["quarter"], accounts=accounts
    )
    parts, last = [], None
    for (start,), part in links_by(counts, ["quarter"]):
        judged = loop(part, marks)
        named = judged.judgment.link
        changed = named is not None and last is not None and named != last
        last = named or last
        parts.append(
            judged.table.select(
                pl.lit(start, pl.Date).alias("quarter"),
                *TABLE,
                pl.lit(judged.judgment.verdict, pl.String).alias("verdict"),
                pl.lit(named, pl.String).alias("named"),
                pl.lit(changed).alias("changed"),
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame(schema=BY_QUARTER)


def by_segment(
    flags: pl.LazyFrame, marks: Marks, groups: Sequence[str], accounts: str | None
) -> pl.DataFrame:
    """Judge each group on its own.

    Returns
    -------
    DataFrame
        One row per value: the groups, `users` (judged on activation), `verdict`, `link`, `probability`,
        `candidates` (what it is undecided between) and each link's rate, ``<link>_rate`` with ``<link>_of``.
    """
    counts = link_counts(flags, keys=groups, accounts=accounts)
    schema = counts.select(groups).schema
    rows = [
        dict(zip(groups, values, strict=True)) | _segment(part, marks)
        for values, part in links_by(counts, groups)
    ]
    return pl.DataFrame(rows, schema=dict(schema) | SEGMENT)


def _segment(part: pl.DataFrame, marks: Marks) -> dict[str, Any]:
    judged = loop(part, marks)
    row: dict[str, Any] = {
        "users": judged.table["of"][0],
        "verdict": judged.judgment.verdict,
        "link": judged.judgment.link,
        "probability": judged.judgment.probability,
        "candidates": list(judged.judgment.candidates),
    }
    for each in judged.table.iter_rows(named=True):
        row |= {f"{each['link']}_rate": each["rate"], f"{each['link']}_of": each["of"]}
    return row

"""The answers of a funnel, from what became of each user: counted, or listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit.funnels.parameters import COUNTS, PEOPLE
from engagekit.instants import AT
from engagekit.intervals import wilson_columns
from engagekit.matchers import label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from engagekit.funnels.attempts import Integers, Outcomes
    from engagekit.funnels.parameters import Asked


def counted(
    outcomes: Outcomes, units: pl.DataFrame | None, end: datetime, asked: Asked
) -> pl.DataFrame:
    """Count the users at each step, in each group of `by`; `units` has its columns for each `_unit`."""
    groups, group = _groups(outcomes, units, list(asked.by))
    found = [_counts(columns, groups.height) for columns in _by_step(outcomes, group, end)]
    # Group after group, and in each its steps.
    numbers = {
        name: np.stack([counts[name] for counts in found], axis=1).ravel().tolist()
        for name in found[0]
    }
    names = pl.DataFrame({"event": _names(asked)}).with_row_index("step")
    beyond = pl.col("step") > 0
    entered = pl.col("n").first().over("_group")
    table = groups.join(names, how="cross", maintain_order="left_right").with_columns(
        **{name: pl.Series(values) for name, values in numbers.items()}
    )
    return (
        table.with_columns(
            pl.when(beyond).then(pl.col("n").shift(1)).alias("of"),
            (pl.col("n") / pl.when(entered > 0).then(entered)).alias("overall"),
            pl.col("median_seconds", "mean_seconds", "median_seconds_from_entry").fill_nan(None),
            entered.alias("_entered"),
        )
        .with_columns(*_overall())
        .filter((entered > 0) if asked.by else pl.lit(value=True))
        .with_columns(*wilson_columns())
        .select(*asked.by, *[pl.col(name).cast(dtype) for name, dtype in COUNTS.items()])
    )


def _overall() -> list[pl.Expr]:
    """Give the share of those who entered its interval."""
    low, high = (
        e.alias(f"overall_{name}")
        for e, name in zip(wilson_columns("n", "_entered")[1:], ("low", "high"), strict=True)
    )
    beyond = pl.col("step") > 0
    return [pl.when(beyond).then(low).alias("overall_low"), pl.when(beyond).then(high).alias("overall_high")]  # fmt: skip


def _groups(
    outcomes: Outcomes, units: pl.DataFrame | None, by: list[str]
) -> tuple[pl.DataFrame, Integers]:
    """Give the groups numbers, and say which each outcome is in."""
    if not by or units is None:
        return pl.DataFrame({"_group": [0]}), np.zeros(outcomes.unit.size, np.int64)
    ours = pl.DataFrame({"_unit": outcomes.unit}).join(units, on="_unit", maintain_order="left")
    groups = ours.select(by).unique().sort(by, nulls_last=True).with_row_index("_group")
    numbered = ours.join(groups, on=by, nulls_equal=True, maintain_order="left")
    return groups, numbered["_group"].cast(pl.Int64).to_numpy()


def _by_step(
    outcomes: Outcomes, group: Integers, end: datetime
) -> Iterator[dict[str, NDArray[Any]]]:
    """Take, step after step, those who reached it: `_group, _unit, entered_at, at, seconds, open, waiting`."""
    unit, level, at = outcomes.unit, outcomes.level, outcomes.at
    since_epoch = (end - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    still_open = outcomes.ends >= since_epoch
    for step in range(len(at)):
        if step:  # everybody has reached the first
            here = np.flatnonzero(level >= step)
            unit, group, level = unit.take(here), group.take(here), level.take(here)
            still_open, at = still_open.take(here), at.take(here, axis=1)
        never = np.full(unit.size, np.nan)
        yield {
            "_group": group,
            "_unit": unit,
            "entered_at": at[0],
            "at": at[step],
            "seconds": _seconds(at[step - 1], at[step]) if step else never,
            "whole": _seconds(at[0], at[step]) if step else never,
            "open": still_open,
            "waiting": still_open & (level == step) & (step + 1 < len(at)),
        }


def _seconds(before: Integers, after: Integers) -> NDArray[np.float64]:
    """Give the time between two steps; a clock that lags behind gives none, rather than less than none."""
    found: NDArray[np.float64] = np.maximum(after - before, 0) / 1e6
    return found


def _counts(columns: dict[str, NDArray[Any]], groups: int) -> dict[str, NDArray[Any]]:
    group, seconds = columns["_group"], columns["seconds"]
    n = np.bincount(group, minlength=groups)
    known = np.where(n > 0, 1.0, np.nan)
    return {
        "n": n,
        "median_seconds": known * _medians(seconds, group, n),
        "median_seconds_from_entry": known * _medians(columns["whole"], group, n),
        "mean_seconds": known * np.bincount(group, seconds, groups) / np.maximum(n, 1),
        "open": np.bincount(group[columns["open"]], minlength=groups),
        "waiting": np.bincount(group[columns["waiting"]], minlength=groups),
    }


def _medians(seconds: NDArray[Any], group: Integers, n: Integers) -> NDArray[Any]:
    some, in_order = np.maximum(n, 1), seconds
    if not np.isnan(seconds[:1]).any():  # the first step has no times
        in_order = seconds[np.lexsort((seconds, group))]
    begins = np.cumsum(n) - n
    middle = [np.append(in_order, np.nan)[begins + half] for half in ((some - 1) // 2, some // 2)]
    found: NDArray[Any] = (middle[0] + middle[1]) / 2
    return found


def _names(asked: Asked) -> list[str]:
    count = len(asked.steps)
    if asked.order == "any":
        return [f"any {k + 1} of {count}" for k in range(count)]
    return [str(s) if isinstance(s, pl.Expr) else label(s) for s in asked.steps]


def listed(outcomes: Outcomes, units: pl.DataFrame, end: datetime, asked: Asked) -> pl.DataFrame:
    """List the users at each step; `units` has the columns of `by` and `user_id` of each `_unit`."""
    nobody = np.zeros(outcomes.unit.size, np.int64)
    parts = [
        pl.DataFrame(columns).with_columns(
            pl.lit(step, pl.Int32).alias("step"),
            pl.lit(name).alias("event"),
            pl.col("seconds").fill_nan(None),
        )
        for step, (name, columns) in enumerate(
            zip(_names(asked), _by_step(outcomes, nobody, end), strict=True)
        )
    ]
    after = [name for name in PEOPLE if name not in ("step", "event")]
    return (
        pl.concat(parts)
        .join(units, on="_unit")
        .with_columns(pl.col("entered_at", "at").cast(AT))
        .select(*asked.by, "step", "event", "user_id", *after)
        .sort(*asked.by, "step", "user_id", nulls_last=True)
    )

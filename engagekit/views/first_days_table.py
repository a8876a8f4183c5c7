"""The first days, written out: the day-by-day map of both groups, and the grid of thresholds."""

from __future__ import annotations

from typing import Any

import polars as pl

from engagekit.errors import ParameterError, listing, nearest
from engagekit.views.sheet import (
    LONGEST,
    UNKNOWN,
    Sheet,
    checked,
    decimals,
    known,
    labels,
    rated,
    sheet,
    whole,
    written,
)

DAILY = ("group", "action", "day", "n", "of", "rate")
GRID: tuple[str, ...] = (
    "action",
    "at_least",
    "within_days",
    "n",
    "of",
    "reach",
    "precision",
    "base_rate",
    "lift",
)
GRID += ("sensitivity", "phi", "chosen", "confirmed")
ANYTHING, ACTIVE_DAYS = "(anything)", "(active days)"
GROUPS = ("retained", "churned")


def day_map(daily: pl.DataFrame) -> Sheet:
    """Write out what `day_by_day` returns: one row per action and group, one column per day."""
    frame = checked(daily, DAILY, "ek.day_by_day", most=LONGEST)
    days = frame["day"].unique().sort().to_list()
    rows = []
    for (action, group), part in frame.group_by("action", "group", maintain_order=True):
        rates = dict(part.select("day", "rate").iter_rows())
        rows.append((written(action), written(group), *[rated(rates.get(day)) for day in days]))
    rows.sort(key=lambda row: GROUPS.index(row[1]) if row[1] in GROUPS else len(GROUPS))
    headers = ("Action", "Users", *[f"Day {day}" for day in days])
    return sheet("Heatmap", day_title(frame), day_subtitle(frame), headers, rows, texts=2)


def day_title(frame: pl.DataFrame) -> str:
    """State on which day after the first retained and churned users are furthest apart."""
    seen = frame.filter((frame["action"] == ANYTHING) & (frame["day"] > 0))
    rates: dict[int, dict[str, float]] = {}
    for r in known(seen.to_dicts()):
        rates.setdefault(r["day"], {})[r["group"]] = r["rate"]
    both = {day: r for day, r in rates.items() if set(GROUPS) <= set(r)}
    if not both:
        return "No day can be compared between retained and churned users yet"
    day = max(both, key=lambda d: (abs(both[d]["retained"] - both[d]["churned"]), -d))
    retained, churned = (rated(both[day][group]) for group in GROUPS)
    return f"On day {day}, {retained} of retained users are active, {churned} of churned"


def day_subtitle(frame: pl.DataFrame) -> str:
    """Say how many users there are in each group, and what a cell is."""
    sizes = dict(frame.select("group", "of").unique().iter_rows())
    counted = ", ".join(f"{whole(sizes[g])} {g}" for g in GROUPS if g in sizes)
    told = f"{counted} users. " if counted else ""
    return f"{told}Each cell: percent of the group who did it on that day after signing up. Associations, not causes."


def threshold_grid(grid: pl.DataFrame, *, action: str | None = None) -> Sheet:
    """Write out what `find_threshold` returns; every action, whichever the chart shows."""
    frame = checked(grid, GRID, "ek.find_threshold", most=LONGEST)
    rows = [
        (
            name,
            str(r["at_least"]),
            str(r["within_days"]),
            whole(r["n"]),
            whole(r["of"]),
            rated(r["precision"]),
            rated(r["base_rate"]),
            decimals(r["lift"]),
            rated(r["sensitivity"]),
            decimals(r["phi"]),
            _standing(r),
        )
        for name, r in zip(labels(frame["action"].to_list()), frame.to_dicts(), strict=True)
    ]
    headers: tuple[str, ...] = (
        "Action",
        f"At least ({unit(frame)})",
        "Within days",
        "Users who did",
        "Of",
        "Retained of those",
        "Retained of all",
    )
    headers += ("Lift", "Share of the retained reached", "phi", "")
    title = grid_title(one_action(frame, action))
    return sheet("Heatmap", title, grid_subtitle(frame), headers, rows)


def one_action(frame: pl.DataFrame, action: str | None) -> pl.DataFrame:
    """Keep the rows of one action: the one asked for, else the first that is not there by definition."""
    if frame.is_empty():
        return frame
    names = frame["action"].unique(maintain_order=True).to_list()
    if action is not None and action not in names:
        hint = nearest(action, names)
        raise ParameterError(f"the grid holds no action {action!r}; it has {listing(names)}.{hint}")
    return frame.filter(pl.col("action") == (_first(frame, names) if action is None else action))


def _first(frame: pl.DataFrame, names: list[str]) -> str:
    telling = [
        row["action"]
        for row in frame.to_dicts()
        if row["action"] != ACTIVE_DAYS and not row.get("part_of_definition")
    ]
    return telling[0] if telling else names[0]


def grid_title(frame: pl.DataFrame) -> str:
    """State what share of those beyond the chosen threshold is retained, never without that of all, and whether that held."""
    chosen = known(frame.filter(frame["chosen"]).to_dicts(), "precision")
    if not chosen:
        name = labels([frame["action"][0]])[0] if frame.height else "any action"
        return f"No threshold of {name} stands out"
    held = "" if chosen[0]["confirmed"] else "; not confirmed"
    return f"{threshold(chosen[0], frame)}: {rated(chosen[0]['precision'])} retained, {rated(chosen[0]['base_rate'])} of all{held}"


def _standing(row: dict[str, Any]) -> str:
    """Say whether a threshold was chosen, and whether the half that did not choose confirms it."""
    if not row["chosen"]:
        return UNKNOWN
    return "chosen, confirmed" if row["confirmed"] else "chosen, not confirmed"


def threshold(row: dict[str, Any], frame: pl.DataFrame) -> str:
    """Write a threshold: an action, how often, within how long."""
    often = f"{row['at_least']}+ {unit(frame)}"
    return f"{labels([row['action']])[0]}, {often} within {row['within_days']}"


def unit(frame: pl.DataFrame) -> str:
    """Say what is counted: days on which it was done, or times."""
    return str(frame["unit"][0]) if "unit" in frame.columns and frame.height else "days"


def grid_subtitle(frame: pl.DataFrame) -> str:
    """Say on whom the grid stands, and that a threshold is no cause."""
    users = whole(frame["of"].max()) if frame.height else "0"  # type: ignore[arg-type]
    return f"Chosen on one half of the users, shown on the other ({users} users). Cell: share retained of those who did, and how many times that of all. An association, not a cause."

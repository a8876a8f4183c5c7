"""Cohort curves, written out: who comes back, how many keep going, and where that is heading."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from engagekit.journeys import MIN_GROUP
from engagekit.views.sheet import (
    LONGEST,
    UNKNOWN,
    Sheet,
    between,
    checked,
    group_columns,
    group_labels,
    joined,
    known,
    latest,
    moment,
    numbered,
    rated,
    sheet,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

CURVES = ("cohort", "period", "n", "of", "rate", "low", "high", "complete")
POOLED = ("period", "n", "of", "rate", "low", "high", "cohorts")
BRACKETS = ("from_period", "to_period")
SURVIVAL = ("time", "survival", "low", "high", "at_risk")
PROJECTED = ("time", "survival", "kind")


def heatmap(
    curves: pl.DataFrame,
    *,
    period: str | None = None,
    most: int = 40,
    min_group: int = MIN_GROUP,
) -> Sheet:
    """Write out what `cohort_curves` or `retention` returns, one row per cohort."""
    frame, cut = latest_cohorts(curves, most)
    word = period or period_word(curves)
    names = cohort_names(frame, word)
    shown = frame.with_columns(pl.Series("name", names, pl.String)).filter(worth_showing(frame))
    places = {r["period"]: span(r) for r in shown.sort("period").to_dicts()}
    cells: dict[str, dict[int, str]] = {name: {} for name in names}
    for r in known(shown.to_dicts()):
        solid = r["complete"] and r["of"] >= min_group
        cells[r["name"]][r["period"]] = rated(r["rate"]) if solid else UNKNOWN
    rows = [(name, *[row.get(p, UNKNOWN) for p in places]) for name, row in cells.items()]
    headers = ("Cohort (users)", *[f"{word} {place}" for place in places.values()])
    subtitle = cut + heatmap_subtitle(frame, word, min_group)
    enough = shown.filter(pl.col("of") >= min_group)
    title = heatmap_title(enough, word, some=bool(cut))
    return sheet("Heatmap", title, subtitle, headers, rows)


def latest_cohorts(curves: pl.DataFrame, most: int) -> tuple[pl.DataFrame, str]:
    """Keep the latest cohorts that anybody is in: a picture of all the weeks of ten years is read by nobody."""
    frame = numbered(checked(curves, CURVES, "ek.cohort_curves", most=LONGEST))
    groups = group_columns(frame, CURVES)
    peopled = frame.filter((pl.col("of").max().over([*groups, "cohort"]) != 0).fill_null(value=True))  # fmt: skip
    frame = peopled if peopled.height else frame
    each = max(1, most // max(1, frame.select(groups).n_unique())) if groups else most
    return latest(frame, "cohort", each, noun="cohorts")


def worth_showing(frame: pl.DataFrame) -> pl.Expr:
    """Leave out period 0 where it says nothing: everybody is there when they start."""
    start = frame.filter((pl.col("period") == 0) & pl.col("complete"))
    whole_start = bool((start["rate"].fill_null(1.0) == 1.0).all())
    return pl.col("period") > 0 if whole_start else pl.lit(value=True)


def heatmap_title(shown: pl.DataFrame, word: str, *, some: bool = False) -> str:
    """State what share comes back in the first period after the start, and how far cohorts differ.

    Of some cohorts it says so: a curve of all of them has another share, and may stand beside.
    """
    cells = shown.filter(pl.col("complete") & (pl.col("period") > 0) & pl.col("rate").is_not_null())
    if cells.is_empty():
        return f"No cohort of enough users has seen a whole {word} after its start yet"
    first = cells.filter(pl.col("period") == pl.col("period").min())
    back, started = (cast("float", first[name].sum()) for name in ("n", "of"))
    share = back / started
    place = f"{word} {span(first.row(0, named=True))}"
    said = f"{'Of the latest cohorts, ' if some else ''}{rated(share)} come back in {place}"
    lowest, highest = rated(first["rate"].min()), rated(first["rate"].max())  # type: ignore[arg-type]
    return said if first.height < 2 else f"{said}; cohorts range from {lowest} to {highest}"


def heatmap_subtitle(frame: pl.DataFrame, word: str, min_group: int) -> str:
    """Say how many cohorts and users there are, and what a blank cell means."""
    starts = (
        frame.filter(pl.col("period") == 0)
        if (frame["period"] == 0).any()
        else frame.unique("cohort")
    )
    users = whole(cast("float", starts["of"].sum()))
    few = starts.filter(pl.col("of").is_between(1, min_group - 1)).height
    said = f", or fewer than {min_group} started ({few} of the cohorts)" if few else ", or nobody started"  # fmt: skip
    return f"{starts.height} cohorts, {users} users. Blank: that {word} has not passed yet for the whole cohort{said}."


def cohort_names(frame: pl.DataFrame, word: str) -> list[str]:
    """Write each row's cohort with its size: ``2026-03-02 (n=42)``, its group before it."""
    groups = group_labels(frame, group_columns(frame, CURVES), most=16)
    dates = [cohort_name(value, word) for value in frame["cohort"]]
    return [
        f"{joined(group, date)} (n={whole(of)})"
        for group, date, of in zip(groups, dates, frame["of"].fill_null(0), strict=True)
    ]


def cohort_name(value: Any, word: str) -> str:
    """Write a cohort: a month without its day."""
    if not hasattr(value, "strftime"):
        return str(value)
    return str(value.strftime("%Y-%m")) if word == "month" else moment(value)


LENGTHS = {"hour": 1, "day": 1, "week": 7}  # in days


def cohorts_of(day: date, begun: Mapping[str, Any], word: str) -> list[str]:
    """Find the names of the cohorts in whose period a day lies, one per group; none where it lies outside."""
    starts = {
        name: start.date() if isinstance(start, datetime) else start
        for name, start in begun.items()
        if hasattr(start, "strftime")
    }
    latest = max((start for start in starts.values() if start <= day), default=None)
    within = latest is not None and day - latest < timedelta(days=LENGTHS.get(word, 7))
    if latest is not None and word == "month":
        within = latest.replace(day=1) == day.replace(day=1)
    first = {name: begun[name] for name, start in starts.items() if within and start == latest}
    return [name for name, start in first.items() if start == min(first.values())]


def period_word(frame: pl.DataFrame) -> str:
    """Read off the cohorts how long a period is: cohorts without users are rows too, so neighbors are one apart."""
    starts = frame["cohort"].unique().sort()
    if starts.len() < 2 or not starts.dtype.is_temporal():
        return "period"
    apart: timedelta = starts.diff().min()  # type: ignore[assignment]
    if isinstance(starts[0], datetime) and apart < timedelta(days=1):
        return "hour"
    lengths = {1: "day", 7: "week", 28: "month", 29: "month", 30: "month", 31: "month"}
    return lengths.get(apart.days, "period")


def span(row: dict[str, Any]) -> str:
    """Write a period's number, or the periods of a bracket."""
    if row.get("from_period") is None or row["from_period"] == row["to_period"]:
        return str(row.get("from_period") if row.get("from_period") is not None else row["period"])
    return f"{row['from_period']}–{row['to_period']}"


def curve(pooled: pl.DataFrame, *, period: str | None = None) -> Sheet:
    """Write out what `pooled_curve` returns."""
    frame = checked(pooled, POOLED, "ek.pooled_curve")
    word = period or "period"
    groups = group_labels(frame, group_columns(frame, (*POOLED, *BRACKETS)))
    rows: list[tuple[str, ...]] = [
        (
            group,
            span(r),
            whole(r["n"]),
            whole(r["of"]),
            rated(r["rate"]),
            between(r["low"], r["high"]),
            whole(r["cohorts"]),
            "few" if r.get("thin") else UNKNOWN,
        )
        for group, r in zip(groups, frame.to_dicts(), strict=True)
    ]
    headers: tuple[str, ...] = (
        "Group",
        word.capitalize(),
        "Back",
        "Of",
        "Rate",
        "95% interval",
        "Cohorts",
        "",
    )
    if not any(groups):
        headers, rows = headers[1:], [row[1:] for row in rows]
    title = curve_title(frame, groups, word)
    return sheet("Line chart", title, curve_subtitle(frame, groups, word), headers, rows)


def curve_title(frame: pl.DataFrame, groups: Sequence[str], word: str) -> str:
    """State first and last share; with groups, those of the highest and the lowest at the last period of all."""
    rows = [r | {"group": g} for g, r in zip(groups, frame.to_dicts(), strict=True)]
    solid = [r for r in known(rows) if r["period"] > 0 and not r.get("thin")]
    if not solid:
        return f"No {word} after the start stands on enough users yet"
    if any(groups):
        return _groups_title(solid, word)
    first, last = solid[0], solid[-1]
    said = f"{rated(first['rate'])} come back in {word} {span(first)}"
    return said if first is last else f"{said}, {rated(last['rate'])} in {word} {span(last)}"


def _groups_title(solid: list[dict[str, Any]], word: str) -> str:
    shared = set.intersection(
        *[{r["period"] for r in solid if r["group"] == g} for g in {r["group"] for r in solid}]
    )
    names = {r["group"] for r in solid}
    if not shared or len(names) < 2:
        last = solid[-1]
        return f"{last['group']}: {rated(last['rate'])} come back in {word} {span(last)}"
    at = [r for r in solid if r["period"] == max(shared)]
    top, low = max(at, key=lambda r: r["rate"]), min(at, key=lambda r: r["rate"])
    said = f"{word.capitalize()} {span(top)}: {top['group']} {rated(top['rate'])}, {low['group']} {rated(low['rate'])}"
    apart = top["low"] is not None and low["high"] is not None and top["low"] > low["high"]
    return f"{said}; their intervals {'do not overlap' if apart else 'overlap'}"


def low_curve(frame: pl.DataFrame) -> bool:
    """Say whether all that follows the start lies in the lower half, so that the start would flatten it."""
    later = frame.filter((pl.col("period") > 0) & pl.col("rate").is_not_null())
    start = frame.filter(pl.col("period") == 0)["rate"].fill_null(1.0)
    return bool((start == 1.0).all()) and later.height > 0 and float(later["rate"].max()) < 0.5  # type: ignore[arg-type]


def curve_subtitle(frame: pl.DataFrame, groups: Sequence[str], word: str) -> str:
    """Say what bands, hollow points and denominators are."""
    parts = [f"Of those whose {word} has passed."]
    if low_curve(frame):
        parts.append(f"{word.capitalize()} 0, where everybody is there, is left out.")
    mean = "average" in frame.columns and (frame["average"] == "mean").any()
    parts.append("Plain mean of the cohorts' rates." if mean else "Bands: 95% Wilson interval.")
    if "thin" in frame.columns and frame["thin"].any():
        parts.append("Hollow: fewer than two cohorts or 30 users.")
    if any(groups):
        parts.append("A difference between groups is an association, not a cause.")
    return " ".join(parts)


def survival(curve: pl.DataFrame, *, projected: pl.DataFrame | None = None) -> Sheet:
    """Write out what `survival` returns, and where `project_curve` takes it."""
    frame = checked(curve, SURVIVAL, "ek.survival")
    keys = group_columns(frame, (*SURVIVAL, "period"))
    groups = group_labels(frame, keys)
    rows: list[tuple[str, ...]] = [
        (
            group,
            whole(r["time"]),
            rated(r["survival"]),
            between(r["low"], r["high"]),
            whole(r["at_risk"]),
        )
        for group, r in zip(groups, frame.to_dicts(), strict=True)
    ]
    ahead = projection_rows(projected)
    rows += [
        (r["group"], whole(r["time"]), f"{rated(r['survival'])} (projected)", UNKNOWN, UNKNOWN)
        for r in ahead
        if r["kind"] == "projected"
    ]
    headers: tuple[str, ...] = (
        "Group",
        "Days since sign-up",
        "Still going",
        "95% interval",
        "Followed so far",
    )
    if not any(groups):
        headers, rows = headers[1:], [row[1:] for row in rows]
    return sheet(
        "Step chart", survival_title(frame, groups), survival_subtitle(ahead, groups), headers, rows
    )


def projection_rows(projected: pl.DataFrame | None) -> list[dict[str, Any]]:
    """Return the rows of a projection with their group, or none."""
    if projected is None:
        return []
    frame = checked(projected, PROJECTED, "ek.project_curve")
    groups = group_labels(frame, group_columns(frame, (*PROJECTED, "period", "observed")))
    return [row | {"group": group} for group, row in zip(groups, frame.to_dicts(), strict=True)]


def survival_title(frame: pl.DataFrame, groups: Sequence[str]) -> str:
    """State when half have gone quiet, or how many still go when the data end."""
    rows = [r | {"group": g} for g, r in zip(groups, frame.to_dicts(), strict=True)]
    said = []
    for name in dict.fromkeys(groups):
        points = known([r for r in rows if r["group"] == name], "survival")
        if points:
            said.append(joined_colon(name, _survival_said(points)))
    return (
        "; ".join(said[:3]) + (f"; and {len(said) - 3} more groups" if len(said) > 3 else "")
        if said
        else "Nobody has been followed for long enough yet"
    )


def _survival_said(points: list[dict[str, Any]]) -> str:
    half = next((r for r in points if r["survival"] <= 0.5), None)
    last = points[-1]
    if half is not None:
        return f"half have gone quiet by day {whole(half['time'])}"
    return f"{rated(last['survival'])} still going on day {whole(last['time'])}"


def joined_colon(name: str, said: str) -> str:
    """Put a group's name before what is said of it."""
    return f"{name}: {said}" if name else said[0].upper() + said[1:]


def survival_subtitle(ahead: list[dict[str, Any]], groups: Sequence[str]) -> str:
    """Say how the curve was made and what the dashed part is."""
    parts = [
        "Kaplan-Meier: the newest users count for the time they have been followed. Bands: 95% interval (log-log)."
    ]
    if ahead:
        parts.append("Dashed: projection, if each user's readiness to leave stays as it is.")
    if any(groups):
        parts.append("A difference between groups is an association, not a cause.")
    return " ".join(parts)

"""The first weeks, written out: what retained and churned users did, as it is, like for like, and with equally full days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.first_weeks import alone_said
from engagekit.views.sheet import (
    LONGEST,
    UNKNOWN,
    Sheet,
    checked,
    decimals,
    group_columns,
    group_labels,
    joined,
    labels,
    points,
    rated,
    sheet,
    whole,
)

if TYPE_CHECKING:
    import polars as pl

COMPARED: tuple[str, ...] = (
    "action",
    "at_least",
    "n_retained",
    "n_churned",
    "share_retained",
    "share_churned",
)
COMPARED += ("difference", "low", "high", "risk_ratio", "adjusted_risk_ratio", "adjusted_low")
COMPARED += ("adjusted_high", "same_day_risk_ratio", "uncompared", "did_retained", "did_churned")
COMPARED += ("q", "verdict")
CLEAR = ("more in retained", "more in churned")
ACTIVE_DAYS = "(active days)"
# Ratios beyond these ends are drawn at the ends; the table has them.
LEAST_RATIO, MOST_RATIO = 0.2, 10.0


def dumbbell(compared: pl.DataFrame, *, most: int | None = None) -> Sheet:
    """Write out what `compare_first_weeks` returns."""
    frame = checked(compared, COMPARED, "ek.compare_first_weeks", most=LONGEST)
    rows = [
        (
            name,
            of_users(r, "retained"),
            of_users(r, "churned"),
            points(r["difference"]),
            _between(r["low"], r["high"], points),
            decimals(r["risk_ratio"]),
            alone_said(r) or decimals(r["adjusted_risk_ratio"]),
            _between(r["adjusted_low"], r["adjusted_high"], decimals),
            decimals(r["same_day_risk_ratio"]),
            rated(r["uncompared"]),
            decimals(r["q"], 3),
            _test(r),
            verdict(r),
        )
        for name, r in zip(action_names(frame), frame.to_dicts(), strict=True)
    ]
    headers: tuple[str, ...] = (
        "Action",
        "Of retained users",
        "Of churned users",
        "Difference, points",
        "Interval",
    )
    headers += ("Times as often retained", "Alike until then", "Interval", "And with as full a day")
    headers += ("Not compared", "q", "Test that settles it", "Verdict")
    title = dumbbell_title(frame)
    return sheet("Dot chart", title, dumbbell_subtitle(frame, most), headers, rows)


def of_users(row: dict[str, Any], group: str) -> str:
    """Write the share of a group who did it, with its counts."""
    did, of = row[f"did_{group}"], row[f"n_{group}"]
    return f"{rated(row[f'share_{group}'])} ({whole(did)} of {whole(of)})"


def _test(row: dict[str, Any]) -> str:
    """Write how many sign-ups the test of an action takes in each half, and how long."""
    users, days = row.get("test_users_per_arm"), row.get("test_days")
    if users is None:
        return UNKNOWN
    told = f"2 × {whole(users)} sign-ups"
    return told if days is None else f"{told}, {whole(days)} days"


def _between(low: float | None, high: float | None, write: Any) -> str:
    """Write an interval, of which one side may not exist."""
    if low is not None and high is not None:
        return f"{write(low)} to {write(high)}"
    if low is not None:
        return f"at least {write(low)}"
    return UNKNOWN if high is None else f"at most {write(high)}"


def action_names(frame: pl.DataFrame) -> list[str]:
    """Write each row's action with its threshold, and its group where it is split."""
    groups = group_labels(frame, group_columns(frame, ("scope", *COMPARED)), most=12)
    scopes = frame["scope"].to_list() if "scope" in frame.columns else ["all"] * frame.height
    actions = labels(frame["action"].to_list(), most=22)
    return [
        joined(f"{action}{often(k)}", group if scope == "group" else "")
        for action, k, group, scope in zip(actions, frame["at_least"], groups, scopes, strict=True)
    ]


def often(at_least: int | None) -> str:
    """Write on how many days makes it count: nothing for one."""
    return "" if at_least is None or at_least == 1 else f", {at_least}+ days"


def verdict(row: dict[str, Any]) -> str:
    """Write a verdict with what must be known beside it."""
    remarks = [row["verdict"]]
    if row.get("part_of_definition"):
        remarks.append("part of what counts as retained")
    elif row.get("belongs_to") is not None:
        remarks.append(f"part of the definition: {row['belongs_to']}")
    if row.get("control"):
        remarks.append("a control")
    if row.get("launched_at") is not None:
        remarks.append(f"launched late: users from {row['launched_at']:%Y-%m-%d} on")
    if row.get("opposite"):
        remarks.append("groups and total point in opposite directions")
    return ", ".join(remarks)


def claims(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows that claim a difference and are not there by definition."""
    return [
        row | {"name": name}
        for name, row in zip(action_names(frame), frame.to_dicts(), strict=True)
        if row["verdict"] in CLEAR
        and not row.get("part_of_definition")
        and row.get("belongs_to") is None
        and not row.get("control")
        and row["action"] != ACTIVE_DAYS
        and row.get("scope", "all") == "all"
    ]


def dumbbell_title(frame: pl.DataFrame) -> str:
    """State the strongest difference that holds like for like, or that none does."""
    if "opposite" in frame.columns and frame["opposite"].any():
        action = frame.filter(frame["opposite"])["action"][0]
        return f"{labels([action])[0]}: groups and total point in opposite directions"
    found = claims(frame)
    if not found:
        return "No action stands out between retained and churned users"
    top = found[0]
    ratio = f"{decimals(top['adjusted_risk_ratio'])} times as often retained"
    told = alone_said(top) or ratio
    return f"{top['name']}: {told}, among users alike until then"


def dumbbell_subtitle(frame: pl.DataFrame, most: int | None = None) -> str:
    """Say who is compared, what the three panels are, and that nothing here is a cause."""
    retained, churned = frame["n_retained"].max() or 0, frame["n_churned"].max() or 0
    shown = f" The first {most} of {frame.height} rows." if most and frame.height > most else ""
    return (
        f"{whole(retained)} retained and {whole(churned)} churned users.{shown} Hollow grey: not clear. "  # type: ignore[arg-type]
        "Alike until then: users active on the same early day, who had been active and busy alike before it; nothing that came after "
        "is looked at. Intent cannot be seen. Associations, not causes."
    )

"""Sentences about first weeks: what goes together with staying, never what causes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit._base import percent, times_as_often
from engagekit.first_weeks.activity_strata import ACTIVE_DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, Any]

NO_CAUSE = "They go together; whether one leads to the other only an experiment can tell."


def sentence(row: Row, first_days: int) -> str:
    """Say in words what one row shows."""
    said = f"{_doing(row, first_days)}: {_shares(row)}"
    if nobody := _nobody(row):
        return f"{said} {nobody}"
    if row["verdict"] == "too few":
        return f"{said} Too few did it, or did not, to compare."
    if row["action"] == ACTIVE_DAYS:
        return f"{said} Every other row compares equally active users."
    if row["part_of_definition"]:
        return (
            f"{said} It is part of what counts as retained, so it says little about what to change."
        )
    return f"{said} {_adjusted(row)}{late_said(row)}{_both_ways(row)}"


def question(row: Row) -> str | None:
    """Ask what a row that stands out asks of onboarding."""
    if row["verdict"] == "more in retained":
        return f"Can every new user reach {row['action']!r}{_often(row['at_least'])} in week one?"
    if row["verdict"] == "more in churned":
        return f"What are new users looking for when they turn to {row['action']!r}{_often(row['at_least'])}?"
    return None


def _nobody(row: Row) -> str | None:
    if not row["n_churned"]:
        return "Nobody churned, so there is nothing to compare."
    return None if row["n_retained"] else "Nobody was retained, so there is nothing to compare."


def _doing(row: Row, first_days: int) -> str:
    group = f" ({row['group']})" if row.get("group") else ""
    if row["action"] == ACTIVE_DAYS:
        return f"Active on {_times(row['at_least'], 'day')} of the first {first_days}{group}"
    return f"{row['action']!r}{_often(row['at_least'])} in the first {first_days} days{group}"


def _times(k: int, noun: str) -> str:
    return f"at least {k} {noun}{'' if k == 1 else 's'}"


def _often(k: int) -> str:
    return "" if k == 1 else f" {_times(k, 'time')}"


def _shares(row: Row) -> str:
    return (
        f"{percent(row['share_retained'])} of {row['n_retained']:,} retained and "
        f"{percent(row['share_churned'])} of {row['n_churned']:,} churned users."
    )


def _adjusted(row: Row) -> str:
    more = _more(row)
    if more is None:
        return "Equally active users who did and did not do it are too few to compare."
    among = f"Among equally active users, those who did were retained {more}"
    if row.get("withdrawn"):
        return f"{among}; but not once its own count is left out of how active they are, so nothing is claimed."
    if row["verdict"] == "not clear":
        return f"{among}, which may be chance, with so many actions compared."
    differing = (row.get("strata_p") or 1) < 0.01
    return f"{among}. {NO_CAUSE}" + (
        " Users of different activity differ in this." if differing else ""
    )


def _more(row: Row) -> str | None:
    """Write the adjusted ratio, or the difference where nobody who did not do it was retained."""
    ratio, low, gap = row["adjusted_risk_ratio"], row["adjusted_low"], row["adjusted_difference"]
    if ratio is None:
        return (
            None
            if gap is None
            else f"{abs(100 * gap):.0f} points {'more' if gap > 0 else 'less'} often"
        )
    return f"{ratio:.2f} times as often{_span(low, row['adjusted_high'])}"


def _span(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        one_sided = f"at least {low:.2f}" if low is not None else f"at most {high:.2f}" if high is not None else ""  # fmt: skip
        return f" ({one_sided})" if one_sided else ""
    return f" ({low:.2f} to {high:.2f})"


def alone_said(row: Row) -> str | None:
    """Say in words what no ratio can: that of comparable users only those who did it stayed, or none of those who did.

    Examples
    --------
    >>> alone_said({"adjusted_risk_ratio": None, "adjusted_low": None, "adjusted_difference": 0.4})
    'only they stayed'
    >>> alone_said({"adjusted_risk_ratio": 0.0, "adjusted_low": None, "adjusted_difference": -0.3})
    'none of them stayed'
    """
    ratio, gap = row["adjusted_risk_ratio"], row.get("adjusted_difference")
    if ratio is None and ((gap or 0) > 0 or row["adjusted_low"] is not None):
        return "only they stayed"
    return "none of them stayed" if ratio == 0 else None


def like_for_like(row: Row) -> str:
    """Write what the comparison of equally active users says of one row, whatever of it exists."""
    alone = alone_said(row)
    bounds = [row["adjusted_low"], row["adjusted_high"]]
    if alone is None:
        return times_as_often(row["adjusted_risk_ratio"], *bounds)
    bound = times_as_often(None, *bounds)
    return alone if bound == "–" else f"{alone}: {bound}"


def late_said(row: Row) -> str:
    """Say who alone is compared where an action was launched late."""
    if row["launched_at"] is None:
        return ""
    return f" Launched late: only users who signed up from {row['launched_at']:%Y-%m-%d} on are compared."


def _both_ways(row: Row) -> str:
    if not row.get("opposite"):
        return ""
    return " Careful: together and within the groups this points in opposite directions; read the groups."

"""Sentences about first weeks: what goes together with staying, never what causes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit._base import percent, times_as_often
from engagekit.first_weeks.activity_strata import ACTIVE_DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, Any]

NO_CAUSE = "They go together; whether one leads to the other only an experiment can tell."
CLAIMS = ("more in retained", "more in churned")
CLEAR, APART = 0.05, 1.1  # ratios further apart than this are explained


def sentence(row: Row, first_days: int) -> str:
    """Say in words what one row shows."""
    said = f"{_doing(row, first_days)}: {_shares(row)}"
    if nobody := _nobody(row):
        return f"{said} {nobody}"
    if row["action"] == ACTIVE_DAYS:
        return f"{said} Every other row compares users who had been equally active until then."
    if row["verdict"] == "too few":
        return " ".join(filter(None, [said, _too_few(row), _both_ways(row)]))
    if row["part_of_definition"]:
        return (
            f"{said} It is part of what counts as retained, so it says little about what to change."
        )
    told = [
        said,
        _adjusted(row),
        _beside(row),
        _meaning(row),
        late_said(row).strip(),
        _both_ways(row),
    ]
    return " ".join(filter(None, told))


def question(row: Row) -> str | None:
    """Ask what a row that stands out asks of onboarding; what belongs to the loop is no lever for itself."""
    if row["verdict"] not in CLAIMS or row["belongs_to"] is not None or row["control"]:
        return None
    action = f"{row['action']!r}{_often(row['at_least'])}"
    if row["verdict"] == CLAIMS[0]:
        return f"Can every new user reach {action} in week one?"
    return f"What are new users looking for when they turn to {action}?"


def _nobody(row: Row) -> str | None:
    if not row["n_churned"]:
        return "Nobody churned, so there is nothing to compare."
    return None if row["n_retained"] else "Nobody was retained, so there is nothing to compare."


def _doing(row: Row, first_days: int) -> str:
    group = f" ({row['group']})" if row.get("group") else ""
    if row["action"] == ACTIVE_DAYS:
        return f"Active on {_days(row['at_least'])} of the first {first_days}{group}"
    return f"{row['action']!r}{_often(row['at_least'])} in the first {first_days} days{group}"


def _days(k: int) -> str:
    return f"at least {k} day{'' if k == 1 else 's'}"


def _often(k: int) -> str:
    return "" if k == 1 else f" on {_days(k)}"


def _shares(row: Row) -> str:
    return (
        f"{percent(row['share_retained'])} of {row['n_retained']:,} retained and "
        f"{percent(row['share_churned'])} of {row['n_churned']:,} churned users."
    )


def _too_few(row: Row) -> str:
    did = row["did_retained"] + row["did_churned"]
    users = row["n_retained"] + row["n_churned"]
    if min(did, users - did) < 10 or row["uncompared"] is None:
        return "Too few did it, or did not, to compare."
    return f"{percent(row['uncompared'])} of those who did it found nobody alike to be compared with, which is too many."


def _adjusted(row: Row) -> str:
    """Say what the trials found, like for like."""
    bounds = row["adjusted_low"], row["adjusted_high"]
    alone = alone_said(row)
    if alone is not None:
        bound = _bound(*bounds)
        needed = "needed before" if row["adjusted_risk_ratio"] is None else "an end"
        return f"Of users alike until then {alone}{f': {bound}' if bound else ''} ({needed})."
    ratio = row["adjusted_risk_ratio"]
    if ratio is None:
        return "Nobody who did it can be compared with users alike until then."
    return f"Of users alike until then, those who did it were retained {ratio:.2f} times as often{_span(*bounds)}."


def _beside(row: Row) -> str:
    """Say what the same-day figure adds, and why the plain ratio is another."""
    same, ratio, plain = row["same_day_risk_ratio"], row["adjusted_risk_ratio"], row["risk_ratio"]
    told = []
    if same is not None and ratio is not None:
        told.append(f"With an equally full day it is {same:.2f}.")
    if plain is None and ratio and row["retention_not"] == 0:
        told.append("Nobody who never did it was retained (needed before).")
    if plain is None or not ratio or not plain:
        return " ".join(told)
    if (plain - 1) * (ratio - 1) < 0 and max(plain / ratio, ratio / plain) > APART:
        told.append(
            f"As it is the ratio is {plain:.2f}: it turns round once users are compared with their like, so the plain figure misleads."
        )
    elif plain / ratio > APART and plain > 1:
        told.append(
            f"As it is the ratio is {plain:.2f}: the rest goes with having been active and having had more days to do it."
        )
    elif max(plain / ratio, ratio / plain) > APART:
        told.append(
            f"As it is the ratio is {plain:.2f}: those who did it were not like the others before."
        )
    return " ".join(told)


def _meaning(row: Row) -> str:
    """Say what follows from it, if anything."""
    if row["control"]:
        clear = (
            "would have been called clear, so take the other rows with care"
            if row["verdict"] in CLAIMS
            else "would not have been called clear, as it should be"
        )
        return f"A control, which cannot matter: it {clear}."
    if row["verdict"] not in CLAIMS:
        return _not_clear(row)
    told = [NO_CAUSE]
    if row["e_value"] is not None:
        told.append(
            f"To explain it alone, something unseen would have to make both doing it and {'staying' if row['verdict'] == CLAIMS[0] else 'leaving'} {row['e_value']:.1f} times as likely."
        )
    if row["belongs_to"] is not None:
        told.append(
            f"It belongs to the definition ({row['belongs_to']}): a link of the loop, and no lever for itself."
        )
    if row["controls"]:
        told.append(
            f"Of {row['controls']} controls, {row['controls_clear']} would have been called clear."
        )
    return " ".join(told)


def _not_clear(row: Row) -> str:
    trial, ratio = row["trial_q"], row["adjusted_risk_ratio"]
    if trial is None or trial > CLEAR:
        return "That may be chance, with so many actions compared."
    if row["same_day_risk_ratio"] is None:
        return "On the days they did it they did nothing else, so it cannot be told from coming at all; nothing is claimed."
    if row["q"] is None or row["q"] > CLEAR:
        return (
            "Beyond a full day little is left, so it may only mark a busy day; nothing is claimed."
        )
    return (
        "The three figures do not point the same way, so nothing is claimed."
        if ratio is not None
        else ""
    )


def _span(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" ({low:.2f} to {high:.2f})"
    bound = _bound(low, high)
    return f" ({bound})" if bound else ""


def _bound(low: float | None, high: float | None) -> str:
    if low is not None:
        return f"at least {low:.1f} ×"
    return "" if high is None else f"at most {high:.2f} ×"


def alone_said(row: Row) -> str | None:
    """Say in words what no ratio can: that of comparable users only those who did it stayed, or none of those who did.

    Examples
    --------
    >>> alone_said({"adjusted_risk_ratio": None, "adjusted_low": 3.1})
    'only they stayed'
    >>> alone_said({"adjusted_risk_ratio": 0.0, "adjusted_low": None})
    'none of them stayed'
    """
    ratio = row["adjusted_risk_ratio"]
    if ratio is None:
        return None if row["adjusted_low"] is None else "only they stayed"
    return "none of them stayed" if ratio == 0 else None


def like_for_like(row: Row) -> str:
    """Write what the comparison of users alike says of one row, whatever of it exists."""
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
    return "Careful: together and within the groups this points in opposite directions; read the groups."

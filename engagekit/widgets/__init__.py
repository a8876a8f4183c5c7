"""Controls for a room: each is a thin layer over one function and one chart, and remembers its state in the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import count, group, percent
from engagekit.first_weeks import ACTIVE_DAYS
from engagekit.widgets.panel import Panel, Shown, choice, slider

if TYPE_CHECKING:
    from engagekit.journeys import Journeys
    from engagekit.log import Frame
    from engagekit.priority import Priority
    from engagekit.widgets.cockpit_page import Cockpit
    from engagekit.widgets.linked import LinkedChart
    from engagekit.workshop import Session

__all__ = [
    "agreement",
    "changed_since",
    "cockpit",
    "cohort_explorer",
    "coming_and_going",
    "data_end",
    "definition_picker",
    "linked_chart",
    "note",
    "other_activations",
    "own_log",
    "play_card",
    "play_tracker",
    "rule_thresholds",
    "standing",
    "steps",
    "target_sliders",
    "target_suggestions",
    "target_vote",
    "threshold_explorer",
    "verdict_by_group",
    "verdict_by_quarter",
    "vote",
]


def standing(session: Session, journeys: Journeys) -> Panel:
    """Say at the top of a page what it stands on, that a guess is one, and when its answers are of an older definition."""
    from engagekit.widgets.page import standing as what_it_stands_on

    return what_it_stands_on(session, journeys)


def cohort_explorer(session: Session, journeys: Journeys) -> Panel:
    """Turn the cohort curve by period, way of counting and group; `.value` is the pooled curve."""
    from engagekit.cohorts import cohort_curves, pooled_curve
    from engagekit.journeys import usual_period
    from engagekit.reporting import curves_by
    from engagekit.widgets.behind import behind
    from engagekit.widgets.targets import comparable

    controls = {
        "period": choice(
            "Count per",
            [("day", "day"), ("week", "week"), ("month", "month")],
            usual_period(journeys.definition),
        ),
        "mode": choice(
            "A user counts who came back",
            [("in that period", "on"), ("then or later", "on_or_after")],
            "on",
        ),
        "by": choice("Compare by", [("nothing", ""), *((p, p) for p in comparable(journeys))], ""),
        "periods": slider("Periods to show", 12, 3, 24),
    }

    def answer(state: dict[str, Any]) -> Shown:
        curves = cohort_curves(
            journeys,
            period=state["period"],
            mode=state["mode"],
            by=state["by"] or None,
            periods=state["periods"],
        )
        curve = pooled_curve(curves)
        latest = pl.col("period").max()
        if state["by"]:
            curve = curves_by(curve, [state["by"]])
            latest = latest.over(state["by"])
        ends = [pl.col("period") == 1, pl.col("period") == latest]
        told = curve.filter(pl.col("period") > 0, pl.any_horizontal(ends)).to_dicts()
        said = [_came_back(row, state) for row in told if row["rate"] is not None]
        known = max((row["period"] for row in told if row["rate"] is not None), default=0)
        text = "\n".join([_looked_at(state, known), *said])
        asked = {key: state[key] or None for key in ("period", "mode", "by", "periods")}
        opened = behind("curve", journeys, answer=curve, **asked)
        return Shown(curve, text, opened.chart, opens=opened)

    heading = "Explore the cohort curve"
    return Panel(heading, controls, answer, session, "cohort explorer", opens=True)


FEW = 30  # users from which a share is called one, as in the picture


def _looked_at(state: dict[str, Any], known: int) -> str:
    period, last = state["period"], state["periods"] - 1
    if not known:
        return f"Up to {period} {last}: no cohort is old enough for any of them yet."
    yet = "" if known == last else f", known up to {period} {known}"
    return f"Up to {period} {last}{yet}:"


def _came_back(row: dict[str, Any], state: dict[str, Any]) -> str:
    who = f"{group(row[state['by']])}: " if state["by"] else ""
    if row["of"] < FEW:
        return f"{who}{state['period'].capitalize()} {row['period']}: {count(row['n'])} of {count(row['of'])} came back, too few to call it a share."
    span = f"{percent(row['low'])} to {percent(row['high'])}"
    later = " or later" if state["mode"] == "on_or_after" else ""
    return (
        f"{who}{percent(row['rate'])} came back in {state['period']} {row['period']}{later} "
        f"({count(row['n'])} of {count(row['of'])}, 95% interval {span})."
    )


THRESHOLDS = (
    ("activation_days", "Days allowed to activate", 60),
    ("habit_days", "Days allowed to come back", 60),
    ("depth_days", "Days allowed to go deeper", 180),
    ("depth_uses", "Days with one advanced action", 6),
)


def rule_thresholds(session: Session, journeys: Journeys) -> Panel:
    """Move the thresholds of the rules and see the shares follow; `.value` is the diagnosis."""
    from engagekit.diagnosis import diagnose
    from engagekit.journeys import under_other_rules
    from engagekit.widgets.behind import behind

    definition = journeys.definition
    controls = {
        key: slider(label, getattr(definition, key), 1, max(most, 2 * getattr(definition, key)))
        for key, label, most in THRESHOLDS
    }

    def answer(state: dict[str, Any]) -> Shown:
        changed = under_other_rules(journeys, **state)
        table = diagnose(changed)
        judged = [r for r in table.to_dicts() if r["share"] is not None and r["problem"]]
        said = [
            f"{r['if_users']}: {percent(r['share'])} of {count(r['of'])} judged users ({r['problem']})."
            for r in judged
        ]
        allowed = ", ".join(f"{label.lower()} {state[key]}" for key, label, _ in THRESHOLDS)
        opened = behind("diagnosis", changed, answer=table)
        text = "\n".join([f"With {allowed}:", *said])
        return Shown(table, text, opened.chart, opens=opened)

    return Panel("Move the thresholds", controls, answer, session, "rule thresholds", opens=True)


def target_sliders(session: Session, journeys: Journeys, *, after: Panel | None = None) -> Panel:
    """Set a target for each link and see the verdict follow; `.value` is the `Priority`.

    With `after`, the panel of `vote`, the verdict is covered until the votes are revealed there.
    """
    from engagekit.widgets.targets import sliders

    return sliders(session, journeys, after=after)


def verdict_by_quarter(session: Session, targets: Panel) -> Panel:
    """See the loop per quarter of sign-up under the targets of the panel of `target_sliders`; `.value` is its table."""
    from engagekit.widgets.targets import quarters

    return quarters(session, targets)


def verdict_by_group(session: Session, journeys: Journeys, targets: Panel) -> Panel:
    """See the verdict per group of users under the targets of the panel of `target_sliders`; `.value` is its table."""
    from engagekit.widgets.targets import groups

    return groups(session, journeys, targets)


def threshold_explorer(session: Session, journeys: Journeys) -> Panel:
    """See for one action how often and how soon go with staying; `.value` is the grid of `find_threshold`."""
    from engagekit import charts
    from engagekit.first_weeks import find_threshold

    actions = _early_actions(journeys)
    controls = {"action": choice("Action", actions, actions[0])} if actions else {}

    def answer(state: dict[str, Any]) -> Shown:
        if not actions:
            return Shown(None, "No action of the first days can be judged yet.")
        found = find_threshold(journeys, actions=state["action"])
        grid = found.filter(pl.col("action") == state["action"])
        chosen = grid.filter("chosen").to_dicts() or grid.head(1).to_dicts()
        return Shown(grid, chosen[0]["sentence"], charts.threshold_grid(grid))

    return Panel("How often, how soon?", controls, answer, session, "threshold explorer")


def _early_actions(journeys: Journeys) -> list[str]:
    """List the actions of the first days that a team can work on, the one that tells most first."""
    from engagekit.errors import EngagekitError
    from engagekit.first_weeks import find_threshold

    try:
        found = find_threshold(journeys).filter("chosen", ~pl.col("part_of_definition"))
    except EngagekitError:
        return []
    names: list[str] = found["action"].unique(maintain_order=True).to_list()
    return [name for name in names if name != ACTIVE_DAYS]


def data_end(session: Session, journeys: Journeys) -> Panel:
    """Say up to when the data are complete; `.value` is that instant, and every notebook uses it from then on."""
    from engagekit.widgets.time_controls import complete_until

    return complete_until(session, journeys)


def play_tracker(session: Session, journeys: Journeys) -> Panel:
    """Follow a play since its first day; `.value` is what `track` says."""
    from engagekit.widgets.time_controls import since_when

    return since_when(session, journeys)


def definition_picker(session: Session) -> Panel:
    """Pick the events that mean success, with live counts; `.value` is the `Definition`, which the session keeps."""
    from engagekit.widgets.picker import picker

    return picker(session)


def vote(session: Session) -> Panel:
    """Take votes, masked until they are revealed; `.value` is name to choice."""
    from engagekit.widgets.ballots import ballot

    return ballot(session)


def play_card(session: Session, priority: Priority, *, today: Any) -> Panel:
    """Write down the play, its owner, the metric with its target and when to look again; `.value` is the plan."""
    from engagekit.widgets.room import card

    return card(session, priority, today=today)


def own_log(session: Session) -> Panel:
    """Look at a log of one's own and make notebooks that stand on it, without a terminal; `.value` is nothing."""
    from engagekit.widgets.bringing import own_log as bring

    return bring(session)


def note(session: Session, section: str) -> Panel:
    """Write down what came up in a section; `.value` is the text, and the decision record has it."""
    from engagekit.widgets.room import noted

    return noted(session, section)


def agreement(session: Session, question: str) -> Panel:
    """Write down what the team agrees on at the end of a section; `.value` is the text."""
    from engagekit.widgets.room import agreed

    return agreed(session, question)


def target_vote(session: Session, journeys: Journeys) -> Panel:
    """Vote on targets, from those that the product's own months suggest; `.value` holds the medians once revealed."""
    from engagekit.widgets.suggested import target_vote as vote_on_targets

    return vote_on_targets(session, journeys)


def target_suggestions(
    session: Session, journeys: Journeys, *, after: Panel | None = None
) -> Panel:
    """See which targets the product's own months suggest; `.value` is what `suggest_targets` says.

    With `after`, the panel of `vote`, it is covered until the votes are revealed there.
    """
    from engagekit.widgets.suggested import suggestions

    return suggestions(session, journeys, after=after)


def changed_since(session: Session, journeys: Journeys, *, after: Panel | None = None) -> Panel:
    """See what changed with the sign-ups from a day on; `.value` is what `explain_change` says.

    With `after`, the panel of `vote`, it is covered until the votes are revealed there.
    """
    from engagekit.widgets.suggested import changed_since as since_then

    return since_then(session, journeys, after=after)


def other_activations(session: Session) -> Panel:
    """See the loop and the verdict of three candidates for the activation; `.value` is their table."""
    from engagekit.widgets.suggested import other_activations as candidates

    return candidates(session)


def linked_chart(
    session: Session, journeys: Journeys, name: str, *, events: Frame | None = None, **options: Any
) -> LinkedChart:
    """Show a chart by its name, of which every mark opens on its users; `.group` is what was made a group there."""
    from engagekit.widgets.linked import linked_chart as linked

    return linked(session, journeys, name, events=events, **options)


def steps(session: Session, journeys: Journeys) -> Any:
    """Show where users hesitate, with marks that open, or say that no steps are defined."""
    from engagekit.funnels import step_drop_off
    from engagekit.workshop import steps as where_they_hesitate

    return where_they_hesitate(
        journeys,
        step_drop_off(journeys),
        draw=lambda found: linked_chart(session, journeys, "step_drop_off", answer=found),
    )


def coming_and_going(session: Session, journeys: Journeys) -> Any:
    """Show who came and went week by week, with marks that open."""
    from engagekit.workshop import coming_and_going as who_came_and_went

    asked = {"as_of": journeys.as_of, "timezone": journeys.timezone}
    return who_came_and_went(
        session,
        journeys,
        draw=lambda found: linked_chart(
            session, journeys, "lifecycle", events=session.events(), answer=found, **asked
        ),
    )


def cockpit(session: Session, journeys: Journeys) -> Cockpit:
    """Show loop, what if, diagnosis, curves, cohorts and first weeks of any group and days of sign-up on one page."""
    from engagekit.widgets.cockpit_page import Cockpit as Page

    return Page(session, journeys)

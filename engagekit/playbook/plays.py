"""The playbook: five plays, ten metrics, the ladder of engagement, and which play mends which problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from engagekit.errors import ParameterError, listing, nearest
from engagekit.playbook.guidance import (
    ADVOCACY_FORMS,
    AGREE_FIRST,
    ASK_TOGETHER,
    BENCHMARKS,
    BUILD_OR_BUY,
    CASES,
    COMMON_PROBLEMS,
    FAILING_SIGNS,
    HOOKED,
    METRIC_QUESTIONS,
    ORDER_OF_OPERATIONS,
    REVIEWS,
    USER_VERSUS_CUSTOMER,
    WORKING_SIGNS,
    Item,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = TypeVar("Row")

__all__ = [
    "ADVOCACY_FORMS",
    "AGREE_FIRST",
    "ASK_TOGETHER",
    "BENCHMARKS",
    "BUILD_OR_BUY",
    "CASES",
    "COMMON_PROBLEMS",
    "FAILING_SIGNS",
    "HIERARCHY",
    "HOOKED",
    "METRICS",
    "METRIC_QUESTIONS",
    "NO_PLAY",
    "ORDER_OF_OPERATIONS",
    "PLAYS",
    "QUICKSTART",
    "REVIEWS",
    "USER_VERSUS_CUSTOMER",
    "WORKING_SIGNS",
    "Item",
    "card_rows",
    "metric_for",
    "play_for",
    "play_named",
]


@dataclass(frozen=True)
class Play:
    """What a team does about one problem, who leads it and how it is watched.

    `if_users`, `problem`, `primary_lead`, `key_partners`, `review_trigger`, `watch_for` and `metrics` are the
    guide's table entries; the rest says in our words what it says; `in_practice` is ours (its list is lost).
    """

    name: str
    problem: str
    if_users: str
    label: str
    link: str | None
    use_when: str
    users_feel: str
    answers: str
    in_practice: tuple[Item, ...]
    trap: str
    instead: str
    working_when: str
    primary_lead: str
    key_partners: tuple[str, ...]
    review_trigger: str
    watch_for: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """One of the ten metrics: what it tells, its equation, how it is measured here and which play it supports.

    `play` is the guide's, unless `play_ours`: its table of metrics by play leaves two of them out.
    """

    name: str
    link: str | None
    play: str
    play_ours: bool
    unit: str
    equation: str
    tells: str
    measured: str
    read_with: str


@dataclass(frozen=True)
class Rung:
    """One rung of the engagement hierarchy, which is one link of the loop."""

    link: str
    means: str
    ask: str


PLAYS = (
    Play(
        name="Repeat Value",
        problem="Repeat value",
        if_users="Activate once and vanish",
        label="vanished",
        link="habit",
        use_when="People reach value a single time and are then not seen again.",
        users_feel="There is a reason for me to come back to this.",
        answers="What is the next useful thing here, and why would I want it?",
        in_practice=(
            Item("The moment after the first success names one useful next thing", ours=True),
            Item("Results carry forward, so that the second visit starts where the first ended", ours=True),
            Item("The product says when there will be something new worth a look", ours=True),
        ),
        trap="The product falls silent after the first success, and reminders are sent to fill the gap.",
        instead="Look at the screen right after the success; let it lead to what comes next.",
        working_when="The same valuable action is repeated, and nobody had to chase for it.",
        primary_lead="Product",
        key_partners=("CS", "Customer Marketing"),
        review_trigger="Workflow changes, retention dips",
        watch_for="Return usage depends on reminders",
        metrics=("Return usage", "early retention"),
    ),
    Play(
        name="Progress & Momentum",
        problem="Progress",
        if_users="Start but stall",
        label="stalled",
        link="activation",
        use_when="A good start loses speed, or ends soon after onboarding.",
        users_feel="I am getting closer to what I wanted.",
        answers="Am I on the right track, and does my effort pay off?",
        in_practice=(
            Item("Each step says what the user can now do that was not possible before", ours=True),
            Item("Progress is measured in outcomes reached, not in boxes ticked", ours=True),
            Item("A long way to value is divided into results worth having by themselves", ours=True),
        ),
        trap="A checklist people finish without being any more capable or confident at its end.",
        instead="Drop or change each step that brings nobody nearer to the goal.",
        working_when="Early actions grow into deeper use without a push from outside.",
        primary_lead="Product",
        key_partners=("CS", "UX"),
        review_trigger="Activation or drop-off reviews",
        watch_for="Steps completed without confidence",
        metrics=("Activation rate", "time to value", "early drop-off"),
    ),
    Play(
        name="Contextual Guidance",
        problem="Friction",
        if_users="Abandon specific steps",
        label="friction",
        link="activation",
        use_when="The same steps make people hesitate or give up, over and over.",
        users_feel="Help came just when I needed it.",
        answers="How do I get past this, without leaving what I am doing?",
        in_practice=(
            Item("Help appears at the step that loses users, when someone hesitates there", ours=True),
            Item("It serves one action and goes away once that is done", ours=True),
            Item("What support explains most often is explained at that place instead", ours=True),
        ),
        trap="Hints pile up on every screen until nobody sees any of them.",
        instead="Say little, at the one place where someone stops, then step aside.",
        working_when="Those steps take less time and effort, and fewer people ask a human.",
        primary_lead="Product",
        key_partners=("Support", "CS"),
        review_trigger="Repeated friction or support themes",
        watch_for="Help becoming background noise",
        metrics=("Step-level drop-off", "error rates", "support volume"),
    ),
    Play(
        name="Feature Discovery",
        problem="Discovery",
        if_users="Plateau",
        label="plateau",
        link="depth",
        use_when="People keep to their basic routine and look at nothing beyond it.",
        users_feel="I wish I had known this sooner.",
        answers="Is there a better way to do what I already do?",
        in_practice=(
            Item("A feature is shown when behavior reveals the problem it solves", ours=True),
            Item("It is offered as a shortcut inside the present task, not as news", ours=True),
            Item("Success is the second use on another day, never the first click", ours=True),
        ),
        trap="The release calendar, not the user's need, decides when a feature is shown.",
        instead="Wait until the need is visible; before that, it is too early.",
        working_when="Features are kept and the way of working changes, beyond a few clicks.",
        primary_lead="Product, Product Marketing",
        key_partners=("Customer Marketing",),
        review_trigger="Feature releases, adoption stalls",
        watch_for="Discovery driven by launch timing",
        metrics=("Feature adoption", "depth of usage"),
    ),
    Play(
        name="Re-engagement",
        problem="Re-engagement",
        if_users="Drift away quietly",
        label="drift",
        link=None,
        use_when="Regular users grow quiet, though nothing failed and nobody left.",
        users_feel="Yes, this is what I had been working towards.",
        answers="Where was I, and what is the next clear thing to do?",
        in_practice=(
            Item("The way back opens on the user's own unfinished work", ours=True),
            Item("It recalls what was achieved and not what was missed", ours=True),
            Item("It goes out by the user's own rhythm, not after a fixed number of days", ours=True),
        ),
        trap="Messages become what engagement runs on: use jumps, drops and jumps again.",
        instead="Let each return land on something clear and useful, and mend what lies upstream.",
        working_when="Those who return get further and need no second reminder.",
        primary_lead="Customer marketing",
        key_partners=("Product", "CS"),
        review_trigger="Inactivity spikes, trial drop-off",
        watch_for="Messaging compensating for experience gaps",
        metrics=("Reactivation rate", "post-return retention"),
    ),
)  # fmt: skip

# Most teams gain fastest here; the other plays come when they are needed.
QUICKSTART = ("Repeat Value", "Progress & Momentum")

# The problem of users who never take a first step: traffic or tracking, and none of the five plays.
NO_PLAY = "acquisition or tracking"

METRICS = (
    Metric(
        name="engagement rate",
        link="habit",
        play="Repeat Value",
        play_ours=True,
        unit="share",
        equation="Engagement Rate = (Users who performed an engagement action ÷ Total eligible users) × 100",
        tells="Do users who activated go on with the actions that carry value?",
        measured="Core action in the 28 days before the data end, of recent sign-ups activated before those days.",
        read_with="retention and activation; alone it can reward busywork",
    ),
    Metric(
        name="activation rate",
        link="activation",
        play="Progress & Momentum",
        play_ours=False,
        unit="share",
        equation="Activation Rate = (Number of users who reach activation ÷ Total new users) × 100",
        tells="Do new users reach meaningful value?",
        measured="Activated within the activation window, of sign-ups whose window has passed.",
        read_with="return usage: high activation with low return means value once",
    ),
    Metric(
        name="time to value",
        link="activation",
        play="Progress & Momentum",
        play_ours=False,
        unit="days",
        equation="Time to Value = Timestamp of activation - Timestamp of signup",
        tells="How long does the first win take?",
        measured="Median of those who activate within the activation window, and the share activated by day 1, 7, 14, 30, 60, 90.",
        read_with="step drop-off: look for what can be removed, delayed or simplified",
    ),
    Metric(
        name="return usage",
        link="habit",
        play="Repeat Value",
        play_ours=False,
        unit="share",
        equation="Return Usage Rate = (Users who repeat a core action within 7 days ÷ Users who activated) × 100",
        tells="Can the value be had again, and do users come back for it?",
        measured="Core action on a later day within 7 days (and within the habit window) of activation.",
        read_with="the unprompted share of returns",
    ),
    Metric(
        name="feedback participation",
        link="advocacy",
        play="Progress & Momentum",
        play_ours=True,
        unit="share",
        equation="Feedback Participation Rate = (Users who submit feedback ÷ Users who were eligible to give feedback) × 100",
        tells="Are users confident enough to invest effort of their own?",
        measured="Gave feedback within 14 days of being asked, of users asked that long ago.",
        read_with="recent use: many answers with little engagement point to friction",
    ),
    Metric(
        name="engagement depth",
        link="depth",
        play="Feature Discovery",
        play_ours=False,
        unit="actions per user",
        equation="Engagement Depth = Average number of meaningful actions per active user",
        tells="How much of the product do its active users really use?",
        measured="Core and advanced actions in 28 days per user active in them: median, mean, share with two or more.",
        read_with="advanced adoption, action by action",
    ),
    Metric(
        name="advanced adoption",
        link="depth",
        play="Feature Discovery",
        play_ours=False,
        unit="share",
        equation="Advanced Feature Adoption = (Users who use feature ÷ Eligible users) × 100",
        tells="Which advanced actions become part of the work?",
        measured="Met the depth rule with that action within the depth window, of users activated that long ago.",
        read_with="return usage; one try is no adoption",
    ),
    Metric(
        name="step drop-off",
        link="activation",
        play="Contextual Guidance",
        play_ours=False,
        unit="share",
        equation="Step Drop-Off Rate = (Users who reached step − Users who completed step) ÷ Users who reached step × 100",
        tells="At which step do users give up?",
        measured="Did not complete, of users who reached the step and whose activation window has passed.",
        read_with="error and support rates at that step",
    ),
    Metric(
        name="re-engagement",
        link=None,
        play="Re-engagement",
        play_ours=False,
        unit="share",
        equation="Re-engagement Rate = (Inactive users who return and reach value ÷ Inactive users contacted) × 100",
        tells="Do quiet users who were contacted return to value?",
        measured="Core action within 7 days, of users contacted after a silence of the habit window, beside the same of users as long silent who were not contacted.",
        read_with="post-return retention, always",
    ),
    Metric(
        name="post-return retention",
        link=None,
        play="Re-engagement",
        play_ours=False,
        unit="share",
        equation="Post-Re-engagement Retention = Users still active after X days ÷ Re-engaged users",
        tells="Did those who came back keep going?",
        measured="Core action on days 8 to 28 after the contact, of users re-engaged within the first 7, beside those who came back without it.",
        read_with="re-engagement: spikes without this mend nothing",
    ),
)

# From the ground up; each rung stands on the one below it.
HIERARCHY = (
    Rung(
        "activation",
        "The user reaches a first meaningful outcome; nothing above stands without it.",
        "Does the first visit give a reason for a second one?",
    ),
    Rung(
        "habit",
        "The product is part of a regular way of working, and would be missed.",
        "Would they notice if it were gone?",
    ),
    Rung(
        "depth",
        "More of the product is in use, and it is woven deeper into the work.",
        "Do they get more out of it than in their first month?",
    ),
    Rung(
        "advocacy",
        "The user recommends it to others: the highest form, a confirmation and no lever.",
        "Do they put their own name behind it?",
    ),
)


def play_for(problem: str) -> Play | None:
    """Say which play mends a problem.

    Parameters
    ----------
    problem
        As `diagnose` names it: Repeat value, Progress, Friction, Discovery, Re-engagement, in any case;
        or "acquisition or tracking".

    Returns
    -------
    Play or None
        None for "acquisition or tracking": no play mends users who never begin.

    Raises
    ------
    ParameterError
        No such problem; the nearest names are given.

    Examples
    --------
    >>> play_for("Friction").name
    'Contextual Guidance'
    """
    if problem.casefold() == NO_PLAY:
        return None
    return _pick(PLAYS, "problem", problem)


def play_named(name: str) -> Play:
    """Look a play up by its name; the error lists the nearest names."""
    return _pick(PLAYS, "name", name)


def card_rows(play: Play) -> list[tuple[str, str]]:
    """Write what a play's card says, line by line: when to use it, what to avoid, who leads it, what to watch."""
    return [
        ("Use it when", play.use_when),
        ("Users then feel", play.users_feel),
        ("The trap", play.trap),
        ("Instead", play.instead),
        ("It works when", play.working_when),
        ("Led by", play.primary_lead),
        ("Together with", ", ".join(play.key_partners)),
        ("Review when", play.review_trigger),
        ("Watch for", play.watch_for),
        ("Metrics", ", ".join(play.metrics)),
    ]


def metric_for(name: str) -> Metric:
    """Look one of the ten metrics up by its name; the error lists the nearest names."""
    return _pick(METRICS, "name", name)


def _pick(rows: Iterable[Row], key: str, wanted: str) -> Row:
    rows = tuple(rows)
    found = {getattr(row, key).casefold(): row for row in rows}
    if wanted.casefold() in found:
        return found[wanted.casefold()]
    names = [getattr(row, key) for row in rows]
    raise ParameterError(
        f"there is no {key} {wanted!r} in the playbook.{nearest(wanted, names)} It has {listing(names)}."
    )

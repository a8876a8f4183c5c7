"""The diagnosis: if users ... then the problem is ..., for every user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.diagnosis.recent import UNSET, recent_since
from engagekit.diagnosis.user_state import GAPS_NEEDED, own_rhythm, standing
from engagekit.intervals import wilson_columns
from engagekit.journeys import (
    FIRST_EVENT,
    MILLION,
    NOT_DEFINED,
    basis,
    check_journeys,
    clock_before,
    facts_of,
    gathered,
    group_names,
    once,
    rhythm_before,
    windows_of,
)
from engagekit.playbook import NO_PLAY, PLAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from engagekit._base import Remark
    from engagekit.diagnosis.recent import Recent
    from engagekit.journeys import Basis, Journeys


@dataclass(frozen=True)
class Rule:
    """One row of the diagnosis: who could show it (`among`), who does (`when`), and what it means."""

    if_users: str
    problem: str | None
    play: str | None
    label: str
    among: pl.Expr
    when: pl.Expr


DRIFT_TIMES = 3  # silent for so many times the usual gap: drifted
FLOW_DAYS = 28  # who went quiet is counted over so many days before `as_of`

# The terms of the table. Each is a fact about one user; `standing` provides the columns.
# Only failure needs a window that has passed; success counts whenever it comes.
ACTIVATED = pl.col("activated")
MISSED_START = ~ACTIVATED & pl.col("activation_over")
STARTED = pl.col("started")
STEP_OPEN = pl.col("open_step").is_not_null()
RETURNED = pl.col("returned")
HABIT_OVER = pl.col("habit_over")
DEPTH_OVER = pl.col("depth_over")
DEEP = pl.col("deep")
SILENCE = pl.col("silence")
USUAL_GAP = pl.col("usual_gap")
LONGEST_GAP = pl.col("longest_gap")
HABIT_WINDOW = pl.col("habit_window")
QUIET = (SILENCE >= DRIFT_TIMES * USUAL_GAP) & (SILENCE > LONGEST_GAP) & (SILENCE >= HABIT_WINDOW)
REPEATED = ACTIVATED & RETURNED
VANISHED = ACTIVATED & ~RETURNED & HABIT_OVER
STALLED = STARTED & ~STEP_OPEN
PLATEAUED = ~QUIET & ~DEEP
HAD_TIME = ACTIVATED & (RETURNED | HABIT_OVER)
ANYONE_ELSE = pl.lit(value=True)


def _of_play(label: str, among: pl.Expr, when: pl.Expr) -> Rule:
    """Take the words of a rule from the play that mends its problem."""
    play = next(play for play in PLAYS if play.label == label)
    return Rule(play.if_users, play.problem, play.name, label, among, when)


# The first rule that a user meets is theirs; who meets none is too early to judge. What the problem is and which play
# mends it stands in the playbook.
# fmt: off
RULES = (
    _of_play("vanished",      HAD_TIME,               VANISHED),
    _of_play("stalled",       MISSED_START,           STALLED),
    _of_play("friction",      MISSED_START,           STEP_OPEN),
    _of_play("plateau",       REPEATED & DEPTH_OVER,  PLATEAUED),
    _of_play("drift",         REPEATED,               QUIET),
    Rule("Come back and go deeper", None,    None, "healthy",       REPEATED,     DEEP),
    Rule("Never start",             NO_PLAY, None, "never_started", MISSED_START, ANYONE_ELSE),
)
# fmt: on
RHYTHM = ("silence_days", "silence", "usual_gap", "longest_gap", "times_usual")
TOO_EARLY = "too_early"
TOO_EARLY_ROW = ("Are too new to judge", None, None, TOO_EARLY)
LABELS = (*(rule.label for rule in RULES), TOO_EARLY)
ON_THE_WAY = ("user_id", "step", "times_usual")  # beside the groups, until users are counted
ANSWER: dict[str, type[pl.DataType]] = {
    "if_users": pl.String,
    "problem": pl.String,
    "play": pl.String,
    "label": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "share": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "could_show": pl.Int64,
    "share_of_those": pl.Float64,
    "went_quiet": pl.Int64,
    "going": pl.Int64,
    "per_28_days": pl.Float64,
    "per_28_days_low": pl.Float64,
    "per_28_days_high": pl.Float64,
    "since": pl.Date,
    "until": pl.Date,
    "note": pl.String,
}


def label_users(journeys: Journeys) -> pl.DataFrame:
    """Say where each user stands: vanished, stalled, at a step, on a plateau, drifting, healthy, or too new to judge.

    Drift: ``silence >= 3 x the user's own median gap`` and ``silence > the longest gap they came back from`` (with
    fewer than 3 gaps: ``silence >= 3 x the product's usage interval``), and ``silence >= habit_days``. Gaps lie between
    core days; silence and gaps are measured in product days (see `product_clock`), so weekends, holidays and outages
    pass without anybody drifting. Success counts whenever it came; failure needs its window to have passed.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.

    Returns
    -------
    DataFrame
        Sorted by user: `user_id`; `label` (vanished, stalled, friction, plateau, drift, healthy, never_started or
        too_early); `step`, for friction the latest open step, else null; and for drift, else null: `silence_days`
        (calendar days since the last core day), `silence` (the same in product days), `usual_gap` and `longest_gap`
        (the user's median and longest gap, in product days; with fewer than 3 gaps the product's usage interval, and
        0) and `times_usual`, `silence` over `usual_gap`.

    Notes
    -----
    Every user of the journeys has exactly one row. Who is left out of journeys is in `journeys.left_out`.

    References
    ----------
    The table "If users ... Then the problem is ..." of the user engagement guide.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime
    >>> rows = [("ann", "join", datetime(2026, 1, 1)), ("ann", "make", datetime(2026, 1, 2)),
    ...         ("bob", "join", datetime(2026, 1, 1)), ("bob", "open", datetime(2026, 1, 3))]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> definition = ek.Definition(signup="join", activation="make", core="make", steps=[ek.Step("Setup", "open", "done")])
    >>> journeys = ek.rollup(log, definition, as_of="2026-03-01", missing="allow")
    >>> label_users(journeys).select("user_id", "label", "step").rows()
    [('ann', 'vanished', None), ('bob', 'friction', 'Setup')]
    """
    check_journeys(journeys)
    columns = [pl.col("user_id"), *named(journeys), pl.col(RHYTHM)]
    found = gathered(journeys, lambda part: labelled(part).select(columns)).sort("user_id")
    # Divided last, in one order: polars' last digit depends on where in a column a number stands.
    times = (pl.col("silence") / pl.col("usual_gap")).alias(RHYTHM[-1])
    days = [(pl.col(c) / MILLION).alias(c) for c in RHYTHM[1:-1]]
    return found.collect().with_columns(times).with_columns(days)


def labelled(journeys: Journeys, *, keep: Sequence[str] = ()) -> pl.LazyFrame:
    """Label users lazily: what `label_users` gives, ``_among_<label>`` for who could show it, and properties as ``by:<name>``.

    `label` is an Enum of `LABELS`, `step` the place of a step.
    """
    terms = standing(journeys, silent_for=windows_of(journeys.definition)["habit"], keep=keep)
    kind = pl.Enum(LABELS)
    first_match = pl.coalesce(
        *[pl.when(rule.among & rule.when).then(pl.lit(rule.label, kind)) for rule in RULES],
        pl.lit(TOO_EARLY, kind),
    )
    drifting = pl.col("label") == "drift"
    return terms.with_columns(
        first_match.alias("label"),
        *[rule.among.alias(f"_among_{rule.label}") for rule in RULES],
    ).select(
        "user_id",
        "signed_up_at",
        "label",
        pl.when(pl.col("label") == "friction").then("open_step").alias("step"),
        pl.when(drifting).then("silence_days").alias("silence_days"),
        *[pl.when(drifting).then(pl.col(c).clip(0)).alias(c) for c in RHYTHM[1:-1]],
        pl.when(drifting).then(SILENCE / USUAL_GAP).alias(RHYTHM[-1]),
        pl.col("^_among_.*$"),
        *[f"by:{name}" for name in dict.fromkeys(keep)],
    )


def named(journeys: Journeys) -> list[pl.Expr]:
    """Write labels and steps as text."""
    steps = dict(enumerate(step.name for step in journeys.definition.steps))
    step = pl.col("step").replace_strict(steps, default=None, return_dtype=pl.String)
    return [pl.col("label").cast(pl.String), step]


def diagnose(
    journeys: Journeys,
    *,
    by: str | Sequence[str] | None = None,
    recent: Recent = UNSET,
    people: bool = False,
) -> pl.DataFrame:
    """If users do this, then the problem is that: how many users each row of the guide's table holds for.

    ``share = n / judged users``, where everyone but the too early ones is judged.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    by
        A property of the users, or a list of them; null is a group of its own.
    recent
        Count the sign-ups of the last ``depth_days + recent`` days only; unset: the definition's
        `recent_days`; None: all sign-ups. Over all of a growing log, drift is a stock that only rises.
    people
        Return the users behind each row instead of their number.

    Returns
    -------
    DataFrame
        The groups first, then one row per rule in the guide's order, and one each for healthy, never started and
        too early: `if_users`, `problem`, `play`, `label`, `n`, `of` (judged users), `share`, `low`, `high`
        (95 %, Wilson), `could_show` (users in a place to show it: for drift those who had come back),
        `share_of_those`; for drift also its pace: `going` users who had come back and had not drifted 28 days before
        `as_of`, `went_quiet` of them by now, ``per_28_days = went_quiet / going`` with its 95 % interval
        `per_28_days_low`, `per_28_days_high` (null where the log is younger); `since`, `until`: the local days of the
        first and last sign-up counted; and `note` in words: the step most get stuck at, how far drift is beyond the
        usual gap and how fast it goes on, what cannot be told apart. The too early have an `n` only. With
        ``people=True``: the groups, `label`, `user_id`, `step`.

    Raises
    ------
    ParameterError
        `by` names no property, or one with a name this answer uses; `recent` is no number of days.

    Notes
    -----
    Without steps in the definition, users who stopped before activation are all "stalled" or "never started",
    and the note says that Friction cannot be told from Progress.

    References
    ----------
    The table "If users ... Then the problem is ..." of the user engagement guide; Wilson (1927).

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime
    >>> rows = [(user, event, datetime(2026, 1, day)) for user, event, day in
    ...         [(1, "join", 1), (1, "make", 2), (2, "join", 1), (2, "make", 3), (2, "make", 9), (3, "join", 30)]]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> definition = ek.Definition(signup="join", activation="make", core="make")
    >>> answer = diagnose(ek.rollup(log, definition, as_of="2026-02-01"))
    >>> answer.filter(pl.col("n") > 0).select("if_users", "problem", "n", "of").rows()
    [('Activate once and vanish', 'Repeat value', 1, 2), ('Drift away quietly', 'Re-engagement', 1, 2),
     ('Are too new to judge', None, 1, None)]
    """
    groups = group_names(journeys, by, taken=[*ANSWER, *ON_THE_WAY])
    since = recent_since(journeys, recent)
    if people:
        users = gathered(journeys, _users_of(journeys, groups, since, people=True))
        return _in_order(users.collect(), groups)
    if groups:
        return _counted(journeys, groups, since)
    # What prioritize says of drift is from this table, too.
    return once(journeys, ("diagnosis", since), lambda whole: _counted(whole, [], since)).clone()


def _counted(journeys: Journeys, groups: list[str], since: datetime | None) -> pl.DataFrame:
    users = gathered(journeys, _users_of(journeys, groups, since, people=False)).collect().lazy()
    place = [*groups, "label"]
    at_steps = users.drop_nulls("step").group_by(*place, "step").agg(pl.len().alias("_at_step"))
    asked = [
        users.group_by(place).agg(pl.len().cast(pl.Int64).alias("n")),
        at_steps.sort("_at_step", "step", descending=[True, False])
        .group_by(place, maintain_order=True)
        .agg(pl.col("_at_step").first(), pl.col("step").first().alias("_step")),
        users.drop_nulls("times_usual")
        .group_by(place)
        .agg(pl.col("times_usual").median().alias("_times")),
        _flow(users, groups),
    ]
    per_group = users.group_by(groups or pl.lit(1).alias("_all")).agg(
        pl.len().cast(pl.Int64).alias("_everyone"),
        (pl.col("label") != TOO_EARLY).sum().cast(pl.Int64).alias("_judged"),
        pl.col("^_among_.*$").sum().cast(pl.Int64),
    )
    found, steps, times, flow, totals = pl.collect_all([*asked, per_group])
    found, steps, times, flow = (
        part.with_columns(pl.col("label").cast(pl.String)) for part in (found, steps, times, flow)
    )
    for part in (steps, times, flow):
        found = found.join(part, on=place, how="left", nulls_equal=True)
    if groups:  # those without recent sign-ups have their rows, too
        every = journeys.users.lazy().select(groups).unique().collect()
        totals = every.join(totals, on=groups, how="left", nulls_equal=True)
        totals = totals.with_columns(pl.exclude(groups).fill_null(0))
    return _answer(found, totals, groups, basis(journeys, since=since))


def _users_of(
    journeys: Journeys, groups: list[str], since: datetime | None, *, people: bool
) -> Callable[[Journeys], pl.LazyFrame]:
    """Make the question that asks a part of the journeys for its labelled users, and who of them was going before."""
    own = [pl.col(f"by:{name}").alias(name) for name in groups]
    recent = pl.lit(value=True) if since is None else pl.col("signed_up_at") >= since
    start = journeys.as_of - timedelta(days=FLOW_DAYS)
    known = not people and start > journeys.log_start
    clock = clock_before(journeys, start, since=since) if known else None

    def asked(part: Journeys) -> pl.LazyFrame:
        label, step = named(part)
        users = labelled(part, keep=groups)
        if people:
            return users.filter(recent).select(*own, label, "user_id", step)
        users = users.select("signed_up_at", "label", step, RHYTHM[-1], "^_among_.*$", "^by:.*$")
        found = users.collect()
        then = False if clock is None else _going_before(part, start, clock)
        found = found.with_columns(_going=pl.lit(then) if clock is None else then)
        return found.lazy().filter(recent).select(*own, pl.exclude("signed_up_at", "^by:.*$"))

    return asked


def _flow(users: pl.LazyFrame, groups: list[str]) -> pl.LazyFrame:
    """Count who was going 28 days before, and who of them has gone quiet since."""
    quiet = pl.col("label") == "drift"
    return (
        users.filter("_going")
        .group_by(groups or pl.lit(1).alias("_all"))
        .agg(pl.len().cast(pl.Int64).alias("going"), quiet.sum().cast(pl.Int64).alias("went_quiet"))
        .with_columns(pl.lit("drift", pl.Enum(LABELS)).alias("label"))
        .select(*groups, "label", "going", "went_quiet")
    )


def drifts_at() -> pl.Expr:
    """Say at how much silence a user has drifted, in millionths of a product day."""
    return pl.max_horizontal(DRIFT_TIMES * USUAL_GAP, LONGEST_GAP + 1, HABIT_WINDOW)


def _going_before(journeys: Journeys, moment: datetime, clock: pl.DataFrame) -> pl.Series:
    """Flag the users who had come back by an instant and had not drifted then."""
    definition = journeys.definition
    habit = windows_of(definition)["habit"] * MILLION
    then = rhythm_before(journeys, moment, clock, silent_for=habit, needed=GAPS_NEEDED)
    users = facts_of(journeys).select(late="late").hstack(then).filter(~pl.col("late"))
    gaps = users.with_columns(
        *own_rhythm(definition.usage_interval_days), pl.lit(habit, pl.Int64).alias("habit_window")
    )
    going = pl.col("there") & REPEATED & ~QUIET.fill_null(value=False)
    return gaps.select(going.alias("_going"))["_going"]


def _answer(
    found: pl.DataFrame, totals: pl.DataFrame, groups: list[str], stands_on: Basis
) -> pl.DataFrame:
    words = [(r.if_users, r.problem, r.play, r.label) for r in RULES] + [TOO_EARLY_ROW]
    rows = pl.DataFrame(words, schema=dict(list(ANSWER.items())[:4]), orient="row")
    among = pl.coalesce(
        pl.when(pl.col("label") == rule.label).then(f"_among_{rule.label}") for rule in RULES
    )
    judged = pl.col("label") != TOO_EARLY
    rate, low, high = wilson_columns()
    could = pl.when(pl.col("could_show") > 0).then("could_show")
    pace = [
        e.alias(f"per_28_days{end}")
        for e, end in zip(wilson_columns("went_quiet", "going"), ("", "_low", "_high"), strict=True)
    ]
    table = (
        totals.join(rows, how="cross")
        .join(found, on=[*groups, "label"], how="left", nulls_equal=True)
        .with_columns(
            pl.col("n").fill_null(0),
            pl.when(judged).then("_judged").alias("of"),
            among.alias("could_show"),
            pl.lit(stands_on.signed_up_from, pl.Date).alias("since"),
            pl.lit(stands_on.signed_up_to, pl.Date).alias("until"),
        )
        .with_columns(rate.alias("share"), low, high, (pl.col("n") / could).alias("share_of_those"))
        .with_columns(pace)
        .with_columns(_note(stands_on.remarks))
    )
    return _in_order(table, groups).select(
        *groups, *[pl.col(c).cast(dtype) for c, dtype in ANSWER.items()]
    )


def _note(remarks: tuple[Remark, ...]) -> pl.Expr:
    def of(kind: str, about: str) -> pl.Expr:
        found = (r.text for r in remarks if (r.kind, r.about) == (kind, (about,)))
        return pl.lit(next(found, None), pl.String)

    label = pl.col("label")
    at_step = pl.format("{} of {} at '{}'", "_at_step", "n", "_step")
    silent = pl.format("silent for {} times their usual gap (median)", pl.col("_times").round(1))
    pace = pl.format(
        "of {} going {} days before the data end, {}% went quiet",
        "going",
        pl.lit(FLOW_DAYS),
        (100 * pl.col("per_28_days")).round(0).cast(pl.Int64),
    )
    too_new = pl.format("{} of {} users are too new to judge", "n", "_everyone")
    return (
        pl.when((label == "friction") & (pl.col("n") > 0)).then(at_step)
        .when(label.is_in(["friction", "stalled"])).then(of(NOT_DEFINED, "steps"))
        .when(label == "drift").then(pl.concat_str(silent, pace, separator="; ", ignore_nulls=True).replace("", None))
        .when(label.is_in(["plateau", "healthy"])).then(of(NOT_DEFINED, "advanced"))
        .when(label == "never_started").then(of(FIRST_EVENT, "signup"))
        .when(label == TOO_EARLY).then(too_new)
        .alias("note")
    )  # fmt: skip


def _in_order(table: pl.DataFrame, groups: list[str]) -> pl.DataFrame:
    place = pl.col("label").replace_strict(LABELS, range(len(LABELS)), return_dtype=pl.Int8)
    ids = [c for c in ("user_id",) if c in table.columns]
    return table.sort(*groups, place, *ids)

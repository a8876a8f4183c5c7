"""What the ten metrics need to know about each user, one row per user."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.diagnosis import meets_depth_rule
from engagekit.instants import AT, days, local_day, times_before
from engagekit.journeys import late_of, on_advanced_days, on_days
from engagekit.matchers import as_matches
from engagekit.measures.silences import contacts_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.journeys import Journeys

RECENT_DAYS = 28  # the window of engagement rate and depth, before `as_of`
ANSWER_DAYS = 14  # who is asked for feedback has so long to give it
PASSIVE = ("outreach", "feedback_asked")  # done to users, not by them


def user_facts(
    journeys: Journeys, groups: Sequence[str], *, since: datetime | None = None
) -> pl.LazyFrame:
    """Gather the facts about each user.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    groups
        Properties to carry along, as `by_0`, `by_1` and so on, lest they bear the name of a fact.
    since
        From when on sign-ups count as recent; None: all do.

    Returns
    -------
    LazyFrame
        `user_id`, the groups, `signed_up_at`, `activated_at`, `recent`, `late` (signed up before the log), and:
        `returned_at` (first core action on a later local day than activation); `core_actions`, `advanced_actions`,
        `beyond_core` (the advanced ones that are not core), `errors`, `support` (counts) and `present` (signed up,
        activated, came to a step or through it, or did any of what else the definition names) in the last 28 days;
        ``adopted_<i>`` (depth rule met with that advanced action alone within ``depth_days`` of activation);
        ``reached_<i>``, ``completed_<i>`` of each step; `asked_at` (first asked for feedback), `gave` (within 14 days);
        `contacted_at` (first outreach after ``habit_days`` of silence), `came_back`, `stayed`, `back_known`,
        `stay_known`.

    Notes
    -----
    Journeys keep first and last time and count per local day. So whether anything happened in a window is exact;
    a count on the local day on which its window begins is so for one or two actions, see `times_before`.
    """
    recent = pl.lit(value=True) if since is None else pl.col("signed_up_at") >= pl.lit(since, AT)
    users = pl.concat(
        [
            table.select(
                "user_id",
                "signed_up_at",
                "activated_at",
                recent.alias("recent"),
                pl.lit(late).alias("late"),
                *[pl.col(name).alias(f"by_{place}") for place, name in enumerate(groups)],
            )
            for table, late in ((journeys.users.lazy(), False), (late_of(journeys), True))
        ]
    )
    found = users
    for part in (
        _recent(journeys),
        _returns(journeys, users),
        _adopted(journeys, users),
        _steps(journeys),
        _feedback(journeys),
        contacts_of(journeys).select(
            "user_id", "contacted_at", "came_back", "stayed", "back_known", "stay_known"
        ),
    ):
        found = found.join(part, on="user_id", how="left")
    counts = ("core_actions", "advanced_actions", "beyond_core", "errors", "support")
    flags = pl.col(
        "^(adopted|reached|completed)_.*$",
        "came_back",
        "stayed",
        "back_known",
        "stay_known",
        "gave",
    )
    return found.with_columns(
        pl.col(*counts).fill_null(0), flags.fill_null(value=False), _present(journeys)
    )


def recent_start(journeys: Journeys) -> pl.Expr:
    """Say when the last 28 days before the data end begin."""
    return pl.lit(_start(journeys), AT)


def _start(journeys: Journeys) -> datetime:
    return journeys.as_of - timedelta(days=RECENT_DAYS)


def _present(journeys: Journeys) -> pl.Expr:
    # No role of a day tells of those who are still on their way: sign-up, steps and activation do.
    since = pl.max_horizontal("signed_up_at", "activated_at", "stepped_at") >= recent_start(
        journeys
    )
    return (pl.col("present").fill_null(value=False) | since).alias("present")


def _recent(journeys: Journeys) -> pl.LazyFrame:
    role = pl.col("role").cast(pl.String)
    inside = pl.col("times").cast(pl.Int64) - times_before(_start(journeys))

    def times(of_role: pl.Expr) -> pl.Expr:
        return pl.col("times").filter(of_role).sum()

    return (
        journeys.days.lazy()
        .filter(pl.col("last_at") >= recent_start(journeys))
        .with_columns(inside)
        .group_by("user_id")
        .agg(
            times(role == "core").alias("core_actions"),
            times(role.str.starts_with("advanced:")).alias("advanced_actions"),
            times(role.is_in(_beyond_core(journeys))).alias("beyond_core"),
            times(role == "errors").alias("errors"),
            times(role == "support").alias("support"),
            (~role.is_in(PASSIVE)).any().alias("present"),
        )
    )


def _beyond_core(journeys: Journeys) -> list[str]:
    """List the advanced roles that are not core anyway, lest one event counts as two actions."""
    core = as_matches(journeys.definition.core)
    plain = {match.event for match in core if not match.where}
    return [
        role
        for role, matcher in journeys.definition.roles().items()
        if role.startswith("advanced:")
        and not all(match in core or match.event in plain for match in as_matches(matcher))
    ]


def _core_after(journeys: Journeys, users: pl.LazyFrame) -> pl.LazyFrame:
    """Take core days later than the local day of activation."""
    activated = users.select("user_id", "activated_at").drop_nulls()
    later = pl.col("day") > local_day(pl.col("activated_at"), journeys.timezone)
    return on_days(journeys, "core").join(activated, on="user_id").filter(later)


def _returns(journeys: Journeys, users: pl.LazyFrame) -> pl.LazyFrame:
    return (
        _core_after(journeys, users)
        .group_by("user_id")
        .agg(pl.col("first_at").min().alias("returned_at"))
    )


def _adopted(journeys: Journeys, users: pl.LazyFrame) -> pl.LazyFrame:
    activated = users.select("user_id", "activated_at").drop_nulls()
    window = pl.col("activated_at") + days(journeys.definition.depth_days or 0)
    uses = (
        on_advanced_days(journeys)
        .join(activated, on="user_id")
        .filter(pl.col("last_at") >= pl.col("activated_at"), pl.col("first_at") < window)
    )
    met = meets_depth_rule(uses, journeys.definition)
    return met.group_by("user_id").agg(
        (pl.col("action") == action).any().alias(f"adopted_{place}")
        for place, action in enumerate(advanced_names(journeys))
    )


def advanced_names(journeys: Journeys) -> list[str]:
    """Name the advanced actions as the days table does."""
    roles = journeys.definition.roles()
    return [r.removeprefix("advanced:") for r in roles if r.startswith("advanced:")]


def _steps(journeys: Journeys) -> pl.LazyFrame:
    places = range(len(journeys.definition.steps))
    done = pl.col("completed_at").is_not_null()
    return (
        journeys.steps.lazy()
        .group_by("user_id")
        .agg(
            *[(pl.col("step") == k).any().alias(f"reached_{k}") for k in places],
            *[((pl.col("step") == k) & done).any().alias(f"completed_{k}") for k in places],
            pl.max_horizontal(pl.col("last_reached_at", "completed_at").max()).alias("stepped_at"),
        )
    )


def _feedback(journeys: Journeys) -> pl.LazyFrame:
    asked = (
        on_days(journeys, "feedback_asked")
        .group_by("user_id")
        .agg(pl.col("first_at").min().alias("asked_at"))
    )
    given = on_days(journeys, "feedback_given").select("user_id", "first_at", "last_at")
    in_time = (pl.col("last_at") >= pl.col("asked_at")) & (
        pl.col("first_at") < pl.col("asked_at") + timedelta(days=ANSWER_DAYS)
    )
    gave = given.join(asked, on="user_id").group_by("user_id").agg(in_time.any().alias("gave"))
    return asked.join(gave, on="user_id", how="left")

"""Who is in a test: the users of each arm, what became of them since they were assigned, and what came before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.definition import LINKS
from engagekit.diagnosis import defined_links, meets_depth_rule, span_days
from engagekit.instants import AT, days, local_day
from engagekit.journeys import on_advanced_days, on_days, windows_of
from engagekit.priority import accounts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys

CORE_DAYS = "core_days"  # beside the links: days with a core action within 28 days of assignment
CORE_WINDOW, PAST_WINDOW, HARM_WINDOW = 28, 28, 28
HARMS = ("errors", "support")


def arms_of(
    journeys: Journeys, variant: str, link: str, *, keep: Sequence[str] = ()
) -> pl.LazyFrame:
    """Follow every user of a test from their assignment on.

    Parameters
    ----------
    journeys
        Journeys whose users have the column `variant`.
    variant
        The column with each user's arm.
    link
        A link, or ``"core_days"``.
    keep
        Properties to carry along.

    Returns
    -------
    LazyFrame
        One row per user with an arm: `user_id`, `arm`, `account` (null without), `start` (assignment, or sign-up where
        that is later or nothing else is known), `arms_seen`, `already` (had passed the link by then), `judged` (their
        window is over), `value` (1 or 0; core days), `past` (core days in the 28 days before `start`), `had_past`
        (had a core action before that), and for every guardrail ``<name>_of`` and ``<name>_n``.
    """
    accounts = accounts_of(journeys)
    known = journeys.users.lazy().collect_schema().names()
    assigned = pl.col("assigned_at") if "assigned_at" in known else pl.lit(None, AT)
    seen = pl.col("variants_seen") if "variants_seen" in known else pl.lit(1)
    users = (
        journeys.users.lazy()
        .filter(pl.col(variant).is_not_null())
        .select(
            "user_id",
            *keep,
            pl.col(variant).cast(pl.String).alias("arm"),
            (pl.col(accounts) if accounts else pl.lit(None)).cast(pl.String).alias("account"),
            pl.max_horizontal(assigned, "signed_up_at").alias("start"),
            seen.cast(pl.Int64).alias("arms_seen"),
            "activated_at",
        )
        .with_columns(local_day(pl.col("activated_at"), journeys.timezone).alias("_day"))
    )
    found = users.join(_core_facts(journeys, users), on="user_id", how="left")
    guards = [each for each in defined_links(journeys.definition) if _is_later(each, link)]
    for each in dict.fromkeys([*([] if link == CORE_DAYS else [link]), *guards]):
        found = found.join(_passes(journeys, users, each), on="user_id", how="left")
    for role in HARMS:
        if getattr(journeys.definition, role) is not None:
            found = found.join(_harmed(journeys, users, role), on="user_id", how="left")
            guards.append(role)
    end = pl.lit(journeys.as_of, AT)
    return (
        found.with_columns(
            _judged(journeys, link, end).alias("judged"),
            _value(link).alias("value"),
            (pl.lit(value=False) if link == CORE_DAYS else pl.col(f"_{link}_before").fill_null(value=False)).alias("already"),
            pl.col("past").fill_null(0),
            pl.col("had_past").fill_null(value=False),
            *[_judged(journeys, each, end).alias(f"{each}_of") for each in guards],
            *[pl.col(f"_{each}").fill_null(value=False).alias(f"{each}_n") for each in guards],
        )
        .select("user_id", *keep, "arm", "account", "start", "arms_seen", "already", "judged", "value", "past", "had_past",
                *[f"{each}_{side}" for each in guards for side in ("of", "n")])
    )  # fmt: skip


def window_days(journeys: Journeys, link: str) -> int:
    """Say how long a user assigned at sign-up is followed until the answer about them is known."""
    if link == CORE_DAYS or link in HARMS:
        return CORE_WINDOW
    return span_days(journeys.definition, link)


def _is_later(guard: str, link: str) -> bool:
    return link == CORE_DAYS or LINKS.index(guard) > LINKS.index(link)


def _window(journeys: Journeys, link: str) -> pl.Expr:
    """Take a user's window: the link's own for who was active when assigned, the whole span up to it for the others."""
    whole = window_days(journeys, link)
    if link not in LINKS[1:]:
        return days(whole)
    own = windows_of(journeys.definition)[link]
    return pl.when(pl.col("activated_at") < pl.col("start")).then(days(own)).otherwise(days(whole))


def _judged(journeys: Journeys, link: str, end: pl.Expr) -> pl.Expr:
    return pl.col("start") + _window(journeys, link) <= end


def _value(link: str) -> pl.Expr:
    if link == CORE_DAYS:
        return pl.col("_core_days").fill_null(0).cast(pl.Float64)
    return pl.col(f"_{link}").fill_null(value=False).cast(pl.Float64)


def _inside(window: pl.Expr) -> pl.Expr:
    """Tell whether a day's actions reach into the time from the assignment to the window's end."""
    return (pl.col("last_at") >= pl.col("start")) & (pl.col("first_at") < pl.col("start") + window)


def _core_facts(journeys: Journeys, users: pl.LazyFrame) -> pl.LazyFrame:
    """Count core days in the weeks after and before the assignment."""
    core = on_days(journeys, "core").join(users, on="user_id")
    before = pl.col("first_at") < pl.col("start")
    lately = before & (pl.col("last_at") >= pl.col("start") - days(PAST_WINDOW))
    return core.group_by("user_id").agg(
        _inside(days(CORE_WINDOW)).sum().alias("_core_days"),
        lately.sum().cast(pl.Int64).alias("past"),
        before.any().alias("had_past"),
    )


def _passes(journeys: Journeys, users: pl.LazyFrame, link: str) -> pl.LazyFrame:
    """Say who passed a link within the window since the assignment, and who had before it."""
    before = pl.col("first_at") < pl.col("start")
    window = _window(journeys, link)
    if link == "activation":
        at, start = pl.col("activated_at"), pl.col("start")
        return users.select(
            "user_id",
            ((at >= start) & (at < start + window)).alias("_activation"),
            (at < start).alias("_activation_before"),
        )
    if link == "habit":
        uses = on_days(journeys, "core").join(users, on="user_id")
        uses = uses.filter(pl.col("day") > pl.col("_day"))
    elif link == "depth":
        uses = on_advanced_days(journeys).join(users, on="user_id")
        uses = uses.filter(pl.col("last_at") >= pl.col("activated_at"))
        uses = meets_depth_rule(uses, journeys.definition)
    else:
        uses = on_days(journeys, "advocacy").join(users, on="user_id")
        uses = uses.filter(pl.col("last_at") >= pl.col("activated_at"))
    return uses.group_by("user_id").agg(
        _inside(window).any().alias(f"_{link}"), before.any().alias(f"_{link}_before")
    )


def _harmed(journeys: Journeys, users: pl.LazyFrame, role: str) -> pl.LazyFrame:
    uses = on_days(journeys, role).join(users, on="user_id")
    return uses.group_by("user_id").agg(_inside(days(HARM_WINDOW)).any().alias(f"_{role}"))

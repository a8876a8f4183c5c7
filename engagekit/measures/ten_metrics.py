"""The ten metrics: the guide's equations, each tied to a link and to the play it supports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.diagnosis import UNSET, recent_signups
from engagekit.instants import AT, days
from engagekit.journeys import gathered, group_names
from engagekit.measures.clusters import ACCOUNT, account_name, account_of, accounts_effects
from engagekit.measures.rows import (
    Mean,
    Share,
    facts_of,
    mean_rows,
    share_rows,
    sums_of,
    time_to_value,
    unprompted_row,
    wait,
)
from engagekit.measures.user_facts import (
    BACK_DAYS,
    RECENT_DAYS,
    STAY_DAYS,
    advanced_names,
    recent_start,
    user_facts,
)
from engagekit.playbook import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engagekit.definition import Definition
    from engagekit.diagnosis import Recent
    from engagekit.journeys import Journeys

MEASURES: dict[str, Any] = {
    "metric": pl.String,
    "detail": pl.String,
    "link": pl.String,
    "play": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "value": pl.Float64,
    "unit": pl.String,
    "low": pl.Float64,
    "high": pl.Float64,
    "design_effect": pl.Float64,
    "note": pl.String,
}
BY_DAY = (1, 7, 14, 30, 60, 90)
# Beside the ten: what the guide reads with them.
BESIDE = {
    "unprompted share": ("habit", "Repeat Value"),
    "error rate": ("activation", "Contextual Guidance"),
    "support rate": ("activation", "Contextual Guidance"),
}
SUPPORTS = {m.name: (m.link, m.play) for m in METRICS} | BESIDE
ORDER = {name: place for place, name in enumerate(SUPPORTS)}


def metrics(
    journeys: Journeys, *, by: str | Sequence[str] | None = None, recent: Recent = UNSET
) -> pl.DataFrame:
    """Measure the guide's ten metrics, and beside them what they are read with.

    ``value = n / of``, with `of` users (or returns) that could be judged; time to value is a Kaplan-Meier median.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    by
        A property of the users, or a list of them; null is a group of its own.
    recent
        Count the sign-ups of the last ``activation_days + depth_days + recent`` days only; unset: the definition's
        `recent_days`; None: all sign-ups.

    Returns
    -------
    DataFrame
        The groups first, then one row per metric, or several where it has parts, in the playbook's order:
        `metric`; `detail` (which window, step, action or day; null where there is one); `link` it belongs to (null
        for re-engagement, which is none of the loop's four); `play` it supports; `n`, `of`, `value`, `unit`
        (``"share"``, ``"days"``, ``"actions per user"``, ``"per user"``), `low`, `high` (95 %); `design_effect` by which alike users (of one
        account, or a user with many returns) widen the interval, null where it plays no part; `note`: why there is no value, or what to bear in mind.

        - engagement rate: core action in the 28 days before the data end, of users activated before those days.
        - activation rate: activated within `activation_days`, of users whose window has passed.
        - time to value: median days to activation (`n` activated of `of` users); share activated by day 1, 7, 14,
          30, 60, 90, of users followed for that long.
        - return usage: core action on a later local day within 7 days, and within `habit_days`, of activation, of
          users activated that long ago.
        - feedback participation: gave feedback at or after they were first asked, of users asked.
        - engagement depth: core and advanced actions per user who did any, in the last 28 days.
        - advanced adoption: depth rule met with that action within `depth_days`, of users activated that long ago.
        - step drop-off: did not complete, of users who reached the step and whose activation window has passed.
        - re-engagement: core action within 7 days of the contact, of users contacted (for the first time) after
          `habit_days` of silence, at least 7 days ago.
        - post-return retention: core action in the three weeks after those 7 days, of users re-engaged at least 28
          days ago.
        - unprompted share: core days without outreach in the 72 hours before, of all core days after activation.
        - error rate, support rate: how many in the last 28 days, per user present in them: who signed up, activated,
          came to a step or through it, or did anything else that the definition names.

    Raises
    ------
    ParameterError
        `by` names no property, or one with a name this answer uses; `recent` is no number of days.

    Notes
    -----
    What cannot be observed yet is null. Whether something happened in a window is exact, and so is a count, except
    on the local day on which the 28 days begin: of three or more actions on it, those between the first and the last
    are taken as evenly spread. An advanced action that is core too counts once. Unprompted returns of one user are
    alike, so their interval widens by the design effect of users; users of one account are alike too, so where users
    have an `account_id` shares and means widen by that of accounts. A share has Wilson's interval, a mean
    number of actions ``± z·sd/√of``, a rate of errors or support Garwood's, widened where few users have most of
    them, and a median where its curve's bounds cross ½.

    References
    ----------
    The metric equations of the user engagement guide (`METRICS` holds them); Wilson (1927); Brookmeyer and
    Crowley (1982), Biometrics 38, 29-41; Garwood (1936), Biometrika 28, 437-442.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime
    >>> rows = [(user, event, datetime(2026, 1, day)) for user, event, day in
    ...         [(1, "join", 1), (1, "make", 2), (2, "join", 1), (2, "make", 3), (2, "make", 9), (3, "join", 1)]]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> definition = ek.Definition(signup="join", activation="make", core="make")
    >>> answer = metrics(ek.rollup(log, definition, as_of="2026-02-01"))
    >>> answer.filter(pl.col("metric").is_in(["activation rate", "return usage"])).select("metric", "n", "of").rows()
    [('activation rate', 2, 3), ('return usage', 1, 2)]
    """
    groups = group_names(journeys, by, taken=[*MEASURES])
    journeys = recent_signups(journeys, recent)
    definition = journeys.definition
    shares, means = _shares(journeys), _means(definition)
    keys = [f"by_{place}" for place in range(len(groups))] or ["everyone"]
    account = None if "account_id" in groups else account_name(journeys)
    facts = gathered(
        journeys,
        lambda part: _facts(part, groups, account, [*facts_of(shares, means), *wait(part)]),
    )
    sums = list(sums_of(shares, means))
    summed = facts.group_by(keys).agg(sums).sort(keys) if groups else facts.select(*sums)
    alike = accounts_effects(facts, keys, len(shares), len(means)) if account else pl.LazyFrame()
    counted, waits, effects = pl.collect_all(
        [summed, facts.select(*keys, "waited", "activated"), alike]
    )
    if account and groups:
        counted = counted.join(
            effects, on=keys, how="left", nulls_equal=True, maintain_order="left"
        )
    elif account:
        counted = pl.concat([counted, effects.drop("everyone")], how="horizontal")
    parts = waits.partition_by(keys, as_dict=True, include_key=False)
    nobody = waits.clear().drop(keys)
    rows = []
    for found in counted.iter_rows(named=True):
        group = {name: found[key] for name, key in zip(groups, keys, strict=False)}
        answers = [
            *time_to_value(parts.get(tuple(found.get(k, 0) for k in keys), nobody), definition),
            *share_rows(shares, found),
            *mean_rows(means, found),
            *unprompted_row(found, definition),
        ]
        rows += [group | answer for answer in [*answers, *_missing(answers, definition)]]
    properties = {name: counted.schema[key] for name, key in zip(groups, keys, strict=False)}
    return _table(rows, properties)


def _facts(
    journeys: Journeys, groups: Sequence[str], account: str | None, facts: Sequence[pl.Expr]
) -> pl.LazyFrame:
    known = [*groups, *([account] if account else [])]
    found = user_facts(journeys, known).with_columns(pl.lit(0, pl.UInt8).alias("everyone"))
    if account:
        found = found.with_columns(account_of(f"by_{len(groups)}")).drop(f"by_{len(groups)}")
    return found.select("^by_.*$", "everyone", f"^{ACCOUNT}$", *facts)


def _table(rows: list[dict[str, Any]], properties: dict[str, Any]) -> pl.DataFrame:
    table = pl.DataFrame(
        [row | dict(zip(("link", "play"), SUPPORTS[row["metric"]], strict=True)) for row in rows],
        schema=properties | MEASURES,
        orient="row",
    )
    place = pl.col("metric").replace_strict(list(ORDER), list(ORDER.values()), return_dtype=pl.Int8)
    return table.sort(*properties, place, maintain_order=True)


def _shares(journeys: Journeys) -> list[Share]:
    definition, end = journeys.definition, pl.lit(journeys.as_of, AT)
    signed, activated = pl.col("signed_up_at"), pl.col("activated_at")
    window = days(definition.activation_days)
    found = [
        Share(
            "engagement rate",
            f"last {RECENT_DAYS} days",
            activated < recent_start(journeys),
            pl.col("core_actions") > 0,
        ),
        Share("activation rate", None, signed + window <= end, activated < signed + window),
    ]
    found += [
        Share(
            "time to value",
            f"activated by day {day}",
            signed + days(day) <= end,
            activated < signed + days(day),
        )
        for day in BY_DAY
    ]
    found += [
        Share(
            "return usage",
            f"within {day} days",
            activated + days(day) <= end,
            pl.col("returned_at") < activated + days(day),
        )
        for day in dict.fromkeys((7, definition.habit_days or 7))
    ]
    if definition.feedback_asked is not None and definition.feedback_given is not None:
        asked = pl.col("asked_at")
        found.append(
            Share("feedback participation", None, asked.is_not_null(), pl.col("gave_at") >= asked)
        )
    found += [
        Share(
            "advanced adoption",
            action,
            activated + days(definition.depth_days or 0) <= end,
            pl.col(f"adopted_{place}"),
        )
        for place, action in enumerate(advanced_names(journeys))
    ]
    found += [
        Share(
            "step drop-off",
            step.name,
            (signed + window <= end) & pl.col(f"reached_{place}"),
            ~pl.col(f"completed_{place}"),
        )
        for place, step in enumerate(definition.steps)
    ]
    return found + _re_engagement(definition, end)


def _re_engagement(definition: Definition, end: pl.Expr) -> list[Share]:
    if definition.outreach is None:
        return []
    contacted, back = pl.col("contacted_at"), pl.col("came_back")
    first, last = BACK_DAYS, STAY_DAYS
    return [
        Share("re-engagement", f"within {first} days", contacted + days(first) <= end, back),
        Share(
            "post-return retention",
            f"days {first + 1} to {last}",
            back & (contacted + days(last) <= end),
            pl.col("stayed"),
        ),
    ]


def _means(definition: Definition) -> list[Mean]:
    core, advanced = pl.col("core_actions"), pl.col("advanced_actions")
    both = core + pl.col("beyond_core")
    active = both > 0
    unit, span = "actions per user", f"last {RECENT_DAYS} days"
    depth = "engagement depth"
    found = [Mean(depth, f"core and advanced, {span}", unit, both, active)]
    if definition.advanced:
        found += [
            Mean(depth, f"core, {span}", unit, core, active),
            Mean(depth, f"advanced, {span}", unit, advanced, active),
        ]
    rates = {
        "error rate": (definition.errors, "errors"),
        "support rate": (definition.support, "support"),
    }
    return found + [
        Mean(metric, span, "per user", pl.col(count), pl.col("present"), rare=True)
        for metric, (matcher, count) in rates.items()
        if matcher is not None
    ]


def _missing(answers: Sequence[dict[str, Any]], definition: Definition) -> Iterator[dict[str, Any]]:
    """Say of each metric that has no row which events the definition lacks."""
    lacking = {
        "feedback participation": ("feedback_asked and feedback_given", "share"),
        "advanced adoption": ("advanced actions", "share"),
        "step drop-off": ("steps", "share"),
        "re-engagement": ("outreach", "share"),
        "post-return retention": ("outreach", "share"),
        "unprompted share": ("outreach", "share"),
        "error rate": ("errors", "per user"),
        "support rate": ("support", "per user"),
    }
    have = {answer["metric"] for answer in answers}
    for metric, (what, unit) in lacking.items():
        if metric not in have:
            note = f"The definition of {definition.name} names no {what}."
            yield dict.fromkeys(MEASURES) | {"metric": metric, "unit": unit, "note": note}

"""The ten metrics: the guide's equations, each tied to a link and to the play it supports."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.diagnosis import UNSET, recent_since
from engagekit.instants import AT, days, local_day
from engagekit.journeys import ANSWER_DAYS, RECENT_DAYS, advanced_roles, group_names, recent_start
from engagekit.measures.clusters import account_name
from engagekit.measures.prompts import PROMPT_HOURS, prompted_of, returns_of
from engagekit.measures.rows import (
    BLOCK,
    Mean,
    Share,
    compared_rows,
    depth_median,
    facts_of_each,
    mean_blocks,
    prompted_rows,
    share_blocks,
    time_to_value,
    wait,
)
from engagekit.measures.silences import (
    BACK_DAYS,
    STAY_DAYS,
    compare_returns,
    compare_stays,
    silences_of,
)
from engagekit.measures.taken import take
from engagekit.playbook import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from engagekit.definition import Definition
    from engagekit.diagnosis import Recent
    from engagekit.journeys import Journeys
    from engagekit.measures.prompts import Returns
    from engagekit.measures.silences import Silences
    from engagekit.measures.taken import Taken

MEASURES: dict[str, Any] = {
    "metric": pl.String,
    "reading": pl.String,
    "link": pl.String,
    "play": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "value": pl.Float64,
    "unit": pl.String,
    "low": pl.Float64,
    "high": pl.Float64,
    "design_effect": pl.Float64,
    "since": pl.Date,
    "until": pl.Date,
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
# These stand on whoever was active, not on recent sign-ups.
OF_EVERYONE = ("engagement depth", *BESIDE)
BACK, STAYED = "re-engagement", "post-return retention"
SPAN = f"last {RECENT_DAYS} days"


def metrics(
    journeys: Journeys, *, by: str | Sequence[str] | None = None, recent: Recent = UNSET
) -> pl.DataFrame:
    """Measure the guide's ten metrics, and beside them what they are read with.

    ``value = n / of``, with `of` users (or returns) that could be judged, unless the reading says otherwise.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    by
        A property of the users, or a list of them; null is a group of its own.
    recent
        Count the sign-ups of the last ``depth_days + recent`` days only; unset: the definition's
        `recent_days`; None: all sign-ups. It holds for shares of users who signed up; engagement depth, errors,
        support and the unprompted share stand on all active users.

    Returns
    -------
    DataFrame
        The groups first, then one row per metric and `reading`, in the playbook's order: `metric`; `reading` (which
        window, step, action, day or comparison); `link` it belongs to (null for re-engagement, which is none of the
        loop's four); `play` it supports; `n`, `of`, `value`, `unit` (``"share"``, ``"days"``, ``"actions per user"``,
        ``"per user"``, ``"difference"`` of two shares, ``"times"`` as often), `low`, `high` (95 %); `since`, `until`:
        the local days of the first and last sign-up counted (null: everybody active); `design_effect` by which alike
        users of one account widen the interval (null: accounts are not known, or play no part); `note`: why there is no value,
        or what to bear in mind. `n` is null where the value is no count over another.

        Each with the guide's equation in `METRICS`, and where it goes another way:

        - engagement rate: core action in the 28 days before the data end, of users activated before those days.
          "Eligible" is activated; of recent sign-ups, since over all of a growing log the rate only falls. Who signed
          up before the log counts where the log shows their activation.
        - activation rate: activated within `activation_days`, of users whose window has passed.
        - time to value: median days to activation of those who activate within `activation_days` (`n`), of users whose
          window has passed (`of`): over all sign-ups it does not exist where fewer than half activate, as in the
          average product. Beside it the share activated by day 1, 7, 14, 30, 60, 90, of users followed for that long.
        - return usage: core action on a later local day within 7 days, and within `habit_days`, of activation, of
          users activated that long ago. The guide's 7 days suit a weekly product; a repeat on the same day is no return.
        - feedback participation: gave feedback within 14 days of being asked, of users first asked that long ago. The
          guide names no window; without one the share grows with age.
        - engagement depth: core and advanced actions in the last 28 days per user who did any: median, mean, and the
          share of users with two or more. A few users' many actions carry the mean, not the median.
        - advanced adoption: depth rule met with that action within `depth_days`, of users activated that long ago.
          Stricter than the guide's "users who use feature": one try is no adoption.
        - step drop-off: did not complete, of users who reached the step and whose activation window has passed.
        - re-engagement: core action within 7 days of the contact, of users contacted (for the first time) after
          `habit_days` of silence, at least 7 days ago; "of those not contacted": what it would have been anyway, by
          users as long silent before any contact; and the difference, which alone is the contact's.
        - post-return retention: core action on days 8 to 28 after the contact, of users re-engaged at least 28 days
          ago; beside it the same of users who came back without contact from silences as long, as many days later.
        - unprompted share: of all returns (core days later than the activation's), those that outreach did not bring:
          one less the returns in the 72 hours after it beyond what the same users' other days would have had. Beside
          it those returns as counted, their excess, and how many times as often users returned.
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
    are taken as evenly spread. An advanced action that is core too counts once. A share has Wilson's interval, a median
    that of its ranks, a mean number of actions ``± z·sd/√of``, a rate of errors or support Garwood's, widened where few
    users have most of them.

    Users of one account are alike: where users have an `account_id`, shares and means widen by the design effect of
    accounts.

    Re-engagement's comparison: ``expected = 1 - exp(-Σ rate · product days)`` over a contacted user's next seven days,
    `rate` being returns per product day at that length of silence among silences not contacted so far. Who is
    contacted at once, as by a daily mail, has nobody beside them, and the note says so. The unprompted share's: Mantel
    and Haenszel's rate ratio within users, weekdays and lengths of silence, days weighed by what the product's other
    users did on them. Both compare what was not assigned at random: a message sent because a user was about to return
    anyway gets the credit. Both intervals are by user.

    References
    ----------
    The metric equations of the user engagement guide (`METRICS` holds them); Wilson (1927); Thompson (1936), Annals of
    Mathematical Statistics 7, 122-128; Garwood (1936), Biometrika 28, 437-442; Whitaker and others (2006), Statistics
    in Medicine 25, 1768-1797, for comparing users with themselves; Gran and others (2010), Statistics in Medicine 29,
    2757-2768, for comparing with those not treated yet; Greenland and Robins (1985), Biometrics 41, 55-68.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime
    >>> rows = [(user, event, datetime(2026, 1, day)) for user, event, day in
    ...         [(1, "join", 1), (1, "make", 2), (2, "join", 1), (2, "make", 3), (2, "make", 8), (3, "join", 1)]]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> definition = ek.Definition(signup="join", activation="make", core="make")
    >>> answer = metrics(ek.rollup(log, definition, as_of="2026-02-01"))
    >>> answer.filter(pl.col("metric").is_in(["activation rate", "return usage"])).select("metric", "n", "of").rows()
    [('activation rate', 2, 3), ('return usage', 1, 2)]
    """
    groups = group_names(journeys, by, taken=[*MEASURES])
    since = recent_since(journeys, recent)
    definition = journeys.definition
    shares, means = _shares(journeys), _means(definition)
    account = None if "account_id" in groups else account_name(journeys)
    asked = [*facts_of_each(shares, means), wait(journeys).alias("waited")]
    taken = take(journeys, groups, account, since, asked)
    size = taken.groups.height
    counted = taken.counted(shares, means)
    first = 2 + len(means)
    blocks = [
        time_to_value(taken.users, size, definition),
        depth_median(taken.users, size, f"median, {SPAN}"),
        *mean_blocks(means, counted, range(2, first)),
        *share_blocks(shares, counted, range(first, first + len(shares))),
        taken.drop_offs(definition, "step drop-off", first + len(shares)),
    ]
    if definition.outreach is not None:
        blocks.append(_outreach(journeys, taken, first + len(shares) + len(definition.steps)))
    blocks.append(_missing(blocks, definition, size))
    return _table(blocks, taken.groups, groups, _sign_ups(journeys, since))


def _outreach(journeys: Journeys, taken: Taken, place: int) -> pl.DataFrame:
    """Write, group by group, what the contacted are compared with, and what of the returns outreach brought."""
    silences, returns = silences_of(journeys), returns_of(journeys)
    one_by_one = taken.users.select("g", "user_id", "counts")
    mine = one_by_one.partition_by("g", as_dict=True, include_key=False)
    nobody = one_by_one.clear().drop("g")
    rows = [
        {"g": group, "place": place + number} | row
        for group in range(taken.groups.height)
        for number, row in enumerate(_beside(silences, returns, mine.get((group,), nobody)))
    ]
    return pl.DataFrame(rows, schema=BLOCK, orient="row")


def _beside(silences: Silences, returns: Returns, users: pl.DataFrame) -> Iterator[dict[str, Any]]:
    recent = silences.of(users.filter("counts").select("user_id"))
    yield from compared_rows(BACK, "contacted users", compare_returns(recent))
    yield from compared_rows(STAYED, "re-engaged users", compare_stays(recent))
    yield from prompted_rows(prompted_of(returns.of(users.select("user_id"))), PROMPT_HOURS)


def _sign_ups(journeys: Journeys, since: datetime | None) -> dict[str, Any]:
    """Say which sign-ups the shares stand on."""
    at = pl.col("signed_up_at")
    users = journeys.users.lazy()
    counted = users if since is None else users.filter(at >= pl.lit(since, AT))
    day = local_day(at, journeys.timezone)
    return (
        counted.select(day.min().alias("since"), day.max().alias("until")).collect().to_dicts()[0]
    )


def _table(
    blocks: Sequence[pl.DataFrame],
    known: pl.DataFrame,
    groups: Sequence[str],
    sign_ups: dict[str, Any],
) -> pl.DataFrame:
    metric = pl.col("metric")
    order = metric.replace_strict(list(ORDER), list(ORDER.values()), return_dtype=pl.Int8)
    supports = [
        metric.replace_strict(
            list(SUPPORTS), [each[place] for each in SUPPORTS.values()], return_dtype=pl.String
        ).alias(name)
        for place, name in enumerate(("link", "play"))
    ]
    everyone = metric.is_in(OF_EVERYONE)
    days = [pl.when(~everyone).then(pl.lit(day, pl.Date)).alias(c) for c, day in sign_ups.items()]
    nobody = pl.DataFrame(schema=BLOCK)
    rows = pl.concat([nobody, *(each.select(*BLOCK) for each in blocks if each.height)])
    rows = rows.with_columns(order.alias("order"), *supports, *days).sort("g", "order", "place")
    named = known.select(pl.col(f"by_{i}").alias(name) for i, name in enumerate(groups))
    told = rows.select(pl.col(c).cast(kind) for c, kind in MEASURES.items())
    return named[rows["g"]].hstack(told) if groups else told


def _shares(journeys: Journeys) -> list[Share]:
    definition, end = journeys.definition, pl.lit(journeys.as_of, AT)
    signed, activated = pl.col("signed_up_at"), pl.col("activated_at")
    window = days(definition.activation_days)
    in_time = f"within {definition.activation_days} days"
    found = [Share("activation rate", in_time, signed + window <= end, activated < signed + window)]
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
        asked_long_ago = pl.col("asked_at") + days(ANSWER_DAYS) <= end
        reading = f"within {ANSWER_DAYS} days of being asked"
        found.append(Share("feedback participation", reading, asked_long_ago, pl.col("gave")))
    found += [
        Share(
            "advanced adoption",
            action.removeprefix("advanced:"),
            activated + days(definition.depth_days or 0) <= end,
            pl.col(f"adopted_{place}"),
        )
        for place, action in enumerate(advanced_roles(definition))
    ]
    found += [] if definition.outreach is None else _re_engagement()
    # Of recent sign-ups that the log has from the start.
    counts = pl.col("recent") & ~pl.col("late")
    found = [dataclasses.replace(share, of=share.of & counts) for share in found]
    return [*_of_the_active(journeys), *found]


def _of_the_active(journeys: Journeys) -> list[Share]:
    """List the shares that those who signed up before the log have a part in."""
    core = pl.col("core_actions")
    actions = core + pl.col("beyond_core")
    engaged = pl.col("recent") & (pl.col("activated_at") < pl.lit(recent_start(journeys), AT))
    return [
        Share("engagement rate", SPAN, engaged, core > 0),
        Share("engagement depth", f"2 or more, {SPAN}", actions > 0, actions > 1),
    ]


def _re_engagement() -> list[Share]:
    back = pl.col("came_back")
    return [
        Share(BACK, f"within {BACK_DAYS} days", pl.col("back_known"), back),
        Share(
            STAYED,
            f"days {BACK_DAYS + 1} to {STAY_DAYS}",
            back & pl.col("stay_known"),
            pl.col("stayed"),
        ),
    ]


def _means(definition: Definition) -> list[Mean]:
    core, advanced = pl.col("core_actions"), pl.col("advanced_actions")
    both = core + pl.col("beyond_core")
    active = both > 0
    unit, depth = "actions per user", "engagement depth"
    found = [Mean(depth, f"mean, {SPAN}", unit, both, active)]
    if definition.advanced:
        found += [
            Mean(depth, f"mean of core, {SPAN}", unit, core, active),
            Mean(depth, f"mean of advanced, {SPAN}", unit, advanced, active),
        ]
    rates = {
        "error rate": (definition.errors, "errors"),
        "support rate": (definition.support, "support"),
    }
    return found + [
        Mean(
            metric, SPAN, "per user", pl.col(count), pl.col("present") & ~pl.col("late"), rare=True
        )
        for metric, (matcher, count) in rates.items()
        if matcher is not None
    ]


def _missing(blocks: Sequence[pl.DataFrame], definition: Definition, size: int) -> pl.DataFrame:
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
    have = {metric for block in blocks for metric in block["metric"].unique()}
    rows = [
        {"metric": metric, "unit": unit, "note": f"The definition of {definition.name} names no {what}."}
        for metric, (what, unit) in lacking.items()
        if metric not in have
    ]  # fmt: skip
    told = pl.DataFrame(rows, schema=BLOCK, orient="row").drop("g", "place")
    told = told.with_columns(place=pl.lit(0, pl.Int32))
    groups = pl.DataFrame({"g": range(size)}, schema={"g": pl.Int64})
    return told.join(groups, how="cross").select(*BLOCK)

"""The edges of a log as SQL, by the rule of `edges`: where the body begins and ends, without a look at the log."""

from __future__ import annotations

from typing import Any

from engagekit.ingest import FEW_EVENTS, FEW_USERS, GAP, NEAR, SHARE, THIN, TIMES
from engagekit.rollups.sql_dialects import DAY_US, ibis


def body_of(log: Any, end: Any = None) -> Any:
    """Say where the body of a log begins and ends.

    Parameters
    ----------
    log
        An Ibis table with ``user_id`` and ``t`` (microseconds since 1970).
    end
        Up to when the log counts, in microseconds; None: to its end.

    Returns
    -------
    ibis.Table
        One row: ``start_t`` and ``last_t``, the first and the last instant of the body.
    """
    seen = log.mutate(d=(log.t // DAY_US).cast("int64"))
    days = seen.group_by("d").aggregate(
        times=seen.count(), first_t=seen.t.min(), last_t=seen.t.max()
    )
    if end is not None:
        days = days.filter(days.first_t < end)
    there = seen.semi_join(days, "d").select("user_id", "d").distinct()
    days = _counted(days, there, log)
    gaps = days.filter(days.before_d.notnull()).select(lo="before_d", hi="d", gap=days.d - days.before_d - 1)  # fmt: skip
    body = _between(days, gaps)
    return _before_tail(body, days, gaps, there)


def _few(events: Any, users: Any, days: Any) -> Any:
    most = (events <= FEW_EVENTS) & (events * THIN <= days.all_times - events)
    one_in = round(1 / SHARE)  # whole numbers only: not every dialect writes others
    little = (events * one_in < days.all_times) | most
    return little & ((users <= FEW_USERS) | (users * one_in < days.all_users))


def _counted(days: Any, there: Any, log: Any) -> Any:
    """Add to each day what lies before and behind it: events, users, and the next days with events."""
    spans = there.group_by("user_id").aggregate(from_d=there.d.min(), to_d=there.d.max())
    came = spans.group_by(d="from_d").aggregate(came=spans.count())
    went = spans.group_by(d="to_d").aggregate(went=spans.count())
    whole = log.aggregate(all_users=log.user_id.nunique())
    days = days.left_join(came, "d").drop("d_right").left_join(went, "d").drop("d_right")
    days = days.cross_join(whole)
    days = days.mutate(came=days.came.coalesce(0), went=days.went.coalesce(0))
    i = ibis()
    up = i.window(order_by=days.d, preceding=(None, 1))
    down = i.window(order_by=days.d, following=(1, None))
    days = days.mutate(
        before_d=days.d.lag().over(i.window(order_by=days.d)),
        behind_d=days.d.lead().over(i.window(order_by=days.d)),
        before_times=days.times.sum().over(up).coalesce(0),
        before_users=days.came.sum().over(up).coalesce(0),
        behind_times=days.times.sum().over(down).coalesce(0),
        behind_users=days.went.sum().over(down).coalesce(0),
    )
    return days.mutate(all_times=days.before_times + days.times + days.behind_times)


def _between(days: Any, gaps: Any) -> Any:
    """Take the shortest stretch between gaps that are long against those inside, and cut little off."""
    first = days.before_d.isnull()
    cuts = (days.d - days.before_d - 1 > GAP) & _few(days.before_times, days.before_users, days)
    starts = days.filter(first | cuts).select(start_d="d", start_t="first_t", front=days.d - days.before_d - 1)  # fmt: skip
    last = days.behind_d.isnull()
    cuts = (days.behind_d - days.d - 1 > GAP) & _few(days.behind_times, days.behind_users, days)
    ends = days.filter(last | cuts).select(end_d="d", end_t="last_t", back=days.behind_d - days.d - 1)  # fmt: skip
    pairs = starts.cross_join(ends)
    pairs = pairs.filter(pairs.start_d <= pairs.end_d)
    inner = pairs.left_join(gaps, [gaps.lo >= pairs.start_d, gaps.hi <= pairs.end_d])
    keys = ["start_d", "start_t", "front", "end_d", "end_t", "back"]
    longest = inner.group_by(keys).aggregate(
        in_front=inner.gap.max(where=inner.lo - inner.start_d <= NEAR).coalesce(0),
        in_back=inner.gap.max(where=inner.end_d - inner.hi <= NEAR).coalesce(0),
    )
    fit = longest.filter(
        longest.front.isnull() | (longest.front > TIMES * longest.in_front),
        longest.back.isnull() | (longest.back > TIMES * longest.in_back),
    )
    fit = fit.mutate(span=fit.end_d - fit.start_d)
    return fit.order_by("span", "start_d", "end_d").limit(1).select("start_d", "start_t", "end_d", "end_t")  # fmt: skip


def _before_tail(body: Any, days: Any, gaps: Any, there: Any) -> Any:
    """Take a thin tail off its end."""
    i = ibis()
    inside = there.cross_join(body)
    inside = inside.filter(inside.d >= inside.start_d, inside.d <= inside.end_d)
    latest = inside.group_by("user_id").aggregate(to_d=inside.d.max())
    edges = days.select("d", "last_t").cross_join(body)
    edges = edges.filter(edges.d >= edges.start_d, edges.end_d - edges.d > GAP)
    edges = edges.mutate(length=edges.end_d - edges.d)
    # Who was there behind an edge, who was there before it, and the gaps near it, each counted on its own.
    tails = edges.join(latest, latest.to_d > edges.d).group_by("d").aggregate(tail=i._.count())
    tails = tails.filter(tails.tail <= FEW_USERS)
    some = edges.inner_join(tails, "d")
    near = i.least(some.length, NEAR)
    crowd = inside.select("user_id", was_d="d")
    before = some.join(crowd, [crowd.was_d <= some.d, crowd.was_d > some.d - near])
    before = before.group_by("d").aggregate(users=before.user_id.nunique())
    close = some.left_join(
        gaps, [gaps.hi <= some.d, gaps.lo >= some.start_d, some.d - gaps.hi <= NEAR]
    )
    close = close.group_by("d", "last_t", "length", "tail").aggregate(
        longest=close.gap.max().coalesce(0)
    )
    thin = close.inner_join(before, "d")
    thin = thin.filter(thin.length > TIMES * thin.longest, thin.users >= THIN * thin.tail)
    edge = thin.order_by("d").limit(1).select(edge_t="last_t")
    found = body.left_join(edge, True)  # noqa: FBT003 -- whatever the one row of the other holds
    return found.select("start_t", last_t=i.coalesce(found.edge_t, found.end_t))


def ends_of(log: Any, end: Any = None) -> Any:
    """Say where a log begins and ends, stray events included: `start_t` and `last_t`."""
    seen = log if end is None else log.filter(log.t < end)
    return seen.aggregate(start_t=seen.t.min(), last_t=seen.t.max())

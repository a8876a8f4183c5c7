"""Counts behind the loop: made once per log, so that another target is arithmetic on a small table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.definition import LINKS
from engagekit.diagnosis import link_flags, recent_days, span_days
from engagekit.instants import AT, local_day
from engagekit.intervals import design_effect, weeks_effect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engagekit.diagnosis import Recent
    from engagekit.journeys import Journeys

ENOUGH = 200  # judged users from which a span is not widened
WIDENED = 2  # how often a span is doubled at most
DAY = 86_400_000_000  # microseconds
ACCOUNT, QUARTER, SIGNED, WEEK = "_account", "_quarter", "_day", "_week"
KEYS = (
    "link",
    "n",
    "of",
    "weeks",
    "weeks_effect",
    "accounts_effect",
    "design_effect",
)  # no names of groups


@dataclass(frozen=True)
class SignUps:
    """The first and last sign-up of journeys, and of each link the latest that can be judged there (null: none).

    `ends` are `as_of` less each link's windows.
    """

    first: datetime | None
    last: datetime | None
    until: dict[str, datetime | None]
    ends: dict[str, datetime]


@dataclass(frozen=True)
class Span:
    """The sign-ups a link is judged on: from `since` to `until`, `days` days long (null: all there are).

    `widened` says that it is longer than was asked for, as too few could be judged.
    """

    since: datetime | None
    until: datetime | None
    days: int | None
    widened: bool


@dataclass(frozen=True)
class LoopCounts:
    """Who was judged on each link and who passed it, by day of sign-up.

    `cells` has one row per group, link, day, week and quarter of sign-up, and account where known: the groups, `link`,
    ``_day`` and ``_week`` (of 24 hours and 7 such days, counted back from the latest sign-up that can be judged on that
    link; below 0 after it), ``_quarter`` (its first local day), ``_account``, `n` (passed), `of` (judged). `spans` has the recent sign-ups of each link, `quarters` the first local days of the
    quarters in which anybody signed up.
    """

    cells: pl.DataFrame
    spans: Mapping[str, Span]
    groups: tuple[str, ...]
    known: SignUps
    width: int | None
    quarters: tuple[date, ...]


def count_links(
    journeys: Journeys, *, groups: Sequence[str] = (), recent: Recent = None
) -> LoopCounts:
    """Count who is judged on and who passed each link, by day of sign-up, group and account.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk; they are read part by part.
    groups
        Properties to count by.
    recent
        How many days of sign-ups are recent; None: all.
    """
    width = recent_days(recent, journeys.definition)
    known = sign_ups(journeys, width)
    accounts = accounts_of(journeys)
    cells = _cells(journeys, known, groups, accounts)
    spans = {link: _span(cells, known, link, width, journeys.log_start) for link in LINKS}
    quarters = journeys.users.lazy().select(_quarter(journeys)).unique().collect().to_series()
    begun = tuple(sorted(day for day in quarters if day is not None))
    return LoopCounts(cells, spans, tuple(groups), known, width, begun)


def _cells(
    journeys: Journeys, known: SignUps, groups: Sequence[str], accounts: str | None
) -> pl.DataFrame:
    keys = [*groups, "link", SIGNED, WEEK, QUARTER, *([ACCOUNT] if accounts else [])]
    parts = []
    for part in journeys.parts():
        flags = counted_flags(part, groups).collect().lazy()
        parts += [
            link_cells(flags, link, known.until[link] or known.ends[link], groups) for link in LINKS
        ]
    counted = pl.concat(pl.collect_all(parts)).lazy().group_by(keys).agg(pl.col("n", "of").sum())
    place = pl.col("link").replace_strict(list(LINKS), range(len(LINKS)), return_dtype=pl.Int8)
    return counted.sort(*groups, place, *keys[len(groups) + 1 :]).collect()


def counted_flags(journeys: Journeys, groups: Sequence[str] = ()) -> pl.LazyFrame:
    """Say who is judged on and passed each link, with the groups, the quarter of sign-up, and the account where known."""
    accounts = accounts_of(journeys)
    kept = list(dict.fromkeys([*groups, *([accounts] if accounts else [])]))
    return link_flags(journeys, keep=kept).with_columns(_quarter(journeys), *_account(accounts))


def _quarter(journeys: Journeys) -> pl.Expr:
    return local_day(pl.col("signed_up_at"), journeys.timezone).dt.truncate("1q").alias(QUARTER)


def link_cells(
    flags: pl.LazyFrame, link: str, until: datetime, groups: Sequence[str] = ()
) -> pl.LazyFrame:
    """Count one link by group, day before `until`, quarter of sign-up, and account where known; see `LoopCounts`."""
    account = [ACCOUNT] if ACCOUNT in flags.collect_schema() else []
    return (
        flags.filter(f"{link}_of")
        .group_by(
            *groups,
            pl.lit(link).alias("link"),
            _day(until).alias(SIGNED),
            _ago(until).floordiv(7 * DAY).cast(pl.Int32).alias(WEEK),
            QUARTER,
            *account,
        )
        .agg(
            pl.col(f"{link}_n").sum().cast(pl.Int64).alias("n"),
            pl.len().cast(pl.Int64).alias("of"),
        )
    )  # fmt: skip


def _account(accounts: str | None) -> list[pl.Expr]:
    """Name the account of each user; who has none stands for themselves."""
    if accounts is None:
        return []
    alone = pl.concat_str(pl.lit("user "), pl.col("user_id").cast(pl.String))
    named = pl.concat_str(pl.lit("account "), pl.col(accounts).cast(pl.String))
    return [pl.coalesce(named, alone).alias(ACCOUNT)]


def _ago(until: datetime) -> pl.Expr:
    return (pl.lit(until, AT) - pl.col("signed_up_at")).dt.total_microseconds()


def _day(until: datetime) -> pl.Expr:
    """Count the whole days before `until`; a sign-up exactly so many days before belongs to the day it ends.

    So a span of 91 days holds days 0 to 90, and both of its ends.
    """
    ago = _ago(until)
    return pl.when(ago == 0).then(0).otherwise((ago + DAY - 1).floordiv(DAY) - 1).cast(pl.Int32)


def _span(
    cells: pl.DataFrame, known: SignUps, link: str, width: int | None, log_start: datetime
) -> Span:
    until = known.until[link]
    if width is None:
        return Span(known.first, known.last, None, widened=False)
    if until is None:
        return Span(None, None, width, widened=False)
    mine = cells.lazy().filter(pl.col("link") == link, pl.col(SIGNED) >= 0)
    days = width
    for _ in range(WIDENED):
        judged = mine.filter(pl.col(SIGNED) < days).select(pl.col("of").sum()).collect().item()
        if judged >= ENOUGH or until - timedelta(days=days) <= log_start:
            break
        days *= 2
    return Span(until - timedelta(days=days), until, days, widened=days > width)


def sign_ups(journeys: Journeys, width: int | None) -> SignUps:
    """Find, link by link, the latest sign-up that can be judged.

    That is `as_of` less the link's windows; the last sign-up before that where sign-ups ended earlier, or where none
    fell into the `width` days before it.
    """
    at = pl.col("signed_up_at")
    ends = {
        link: journeys.as_of - timedelta(days=span_days(journeys.definition, link))
        for link in LINKS
    }
    found = (
        journeys.users.lazy()
        .select(
            at.min().alias("first"),
            at.max().alias("last"),
            *[at.filter(at <= pl.lit(end, AT)).max().alias(link) for link, end in ends.items()],
        )
        .collect()
        .row(0, named=True)
    )
    until: dict[str, datetime | None] = {}
    for link, end in ends.items():
        latest = found[link]
        goes_on = latest is not None and found["last"] > end
        near = goes_on and (width is None or end - latest <= timedelta(days=width))
        until[link] = end if near else latest
    return SignUps(found["first"], found["last"], until, ends)


def just_after(journeys: Journeys, moment: datetime) -> datetime:
    """Give the bound that leaves a sign-up at that moment inside, where bounds are exclusive."""
    return moment + (timedelta(days=1) if journeys.dates_only else timedelta(microseconds=1))


def within(journeys: Journeys, span: Span) -> pl.Expr:
    """Hold a sign-up (`signed_up_at`) to a span; one of so many days that has no ends holds nobody."""
    if span.days is None:
        return pl.lit(value=True)
    if span.since is None or span.until is None:
        return pl.lit(value=False)
    at = pl.col("signed_up_at")
    return (at >= span.since) & (at < just_after(journeys, span.until))


def accounts_of(journeys: Journeys) -> str | None:
    """Name the property that says which account a user belongs to, where users are the unit and it is known."""
    known = journeys.unit == "user" and "account_id" in journeys.properties
    return "account_id" if known else None


def recent_cells(counts: LoopCounts, *, ago: int = 0) -> pl.DataFrame:
    """Keep the cells of each link's recent span, or of the span as long, `ago` such spans before."""
    if counts.width is None:
        return counts.cells if ago == 0 else counts.cells.clear()
    rows = []
    for link, span in counts.spans.items():
        days = span.days or 0
        inside = pl.col(SIGNED).is_between(ago * days, (ago + 1) * days - 1)
        rows.append(counts.cells.filter(pl.col("link") == link, inside))
    return pl.concat(rows)


def past_quarters(counts: LoopCounts, days: int) -> pl.DataFrame:
    """Count each link per span of so many days, counted back from its recent span.

    Returns
    -------
    DataFrame
        The groups, `link`, ``_ago`` (0: just before the recent span), `n`, `of`.
    """
    ends = pl.DataFrame(
        {"link": list(counts.spans), "_width": [span.days for span in counts.spans.values()]},
        schema={"link": pl.String, "_width": pl.Int32},
    )
    before = pl.col(SIGNED) - pl.col("_width")
    return (
        counts.cells.lazy()
        .join(ends.lazy(), on="link")
        .filter(before >= 0)
        .group_by(*counts.groups, "link", before.floordiv(days).alias("_ago"))
        .agg(pl.col("n", "of").sum())
        .sort(*counts.groups, "link", "_ago")
        .collect()
    )


def totals(cells: pl.DataFrame, keys: Sequence[str] = ()) -> pl.DataFrame:
    """Add cells up per key and link, with the design effect of weeks of sign-up, and of accounts where known.

    Returns
    -------
    DataFrame
        One row per key and each of the four links, also where nobody is judged: the keys, `link`, `n`, `of`, `weeks`
        with somebody judged, `weeks_effect`, `accounts_effect` (1 where accounts are not known) and `design_effect`,
        the larger of the two (1 where nobody is judged).
    """
    whole = [*keys, "link"]
    # In order, so that the same data give the same digits.
    by_week = cells.lazy().group_by(*whole, WEEK).agg(pl.col("n", "of").sum()).sort(*whole, WEEK)
    found = by_week.group_by(whole, maintain_order=True).agg(
        pl.col("n", "of").sum(),
        (pl.col("of") > 0).sum().cast(pl.Int64).alias("weeks"),
        weeks_effect("n", "of").alias("weeks_effect"),
    )
    if ACCOUNT in cells.columns:
        alike = (
            cells.lazy()
            .group_by(*whole, ACCOUNT)
            .agg(pl.col("n", "of").sum())
            .sort(*whole, ACCOUNT)
            .group_by(whole, maintain_order=True)
            .agg(design_effect("n", "of").alias("accounts_effect"))
        )
        found = found.join(alike, on=whole, how="left", nulls_equal=True)
    else:
        found = found.with_columns(pl.lit(1.0).alias("accounts_effect"))
    links = pl.LazyFrame({"link": LINKS, "_place": range(len(LINKS))})
    every = cells.lazy().select(keys).unique().join(links, how="cross") if keys else links
    return (
        every.join(found, on=whole, how="left", nulls_equal=True)
        .sort(*keys, "_place")
        .select(
            *whole,
            pl.col("n", "of", "weeks").fill_null(0),
            pl.col("weeks_effect", "accounts_effect").fill_null(1.0),
        )
        .with_columns(pl.max_horizontal("weeks_effect", "accounts_effect").alias("design_effect"))
        # The last digits of a sum depend on how it was cut up.
        .with_columns(pl.col("weeks_effect", "accounts_effect", "design_effect").round_sig_figs(12))
        .collect()
    )

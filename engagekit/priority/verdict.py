"""The priority: where momentum breaks earliest for most users, how sure that is, and what to do first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import Remark
from engagekit.diagnosis import FLAGS, RULES, Rule, diagnose, largest_early_problem, link_flags
from engagekit.errors import ParameterError
from engagekit.instants import AT, days
from engagekit.intervals import wilson_columns
from engagekit.journeys import Basis, basis, check_journeys, gathered, group_names
from engagekit.priority.breakdowns import SEGMENT, by_quarter, by_segment
from engagekit.priority.counts import COUNTS, EFFECTS, accounts_of
from engagekit.priority.earliest import Verdict, earliest_broken, holds_between, times_to_settle
from engagekit.priority.loop_table import Loop, Marks, loop
from engagekit.priority.reference_targets import Targets, marks_for
from engagekit.priority.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.definition import Definition
    from engagekit.journeys import Journeys

__all__ = ["Priority", "earliest_broken", "prioritize"]

LABEL_OF = {"habit": "vanished", "depth": "plateau"}
UNDEFINED = {"depth": "advanced actions", "advocacy": "advanced actions or no advocacy events"}
ELSEWHERE = "breaks elsewhere"  # the kind of remark about one group
RECENT_WEEKS = 8  # the present rate of sign-ups is that of so many weeks


@dataclass(frozen=True)
class Priority:
    """The earliest broken link, and all that says how sure it is.

    `verdict` is ``"named"``, ``"undecided"`` or ``"none broken"``; `link`, `problem` and `play` are null unless
    named (a problem of acquisition or tracking, or of advocacy, has no play). `probability` is that of the verdict,
    or of the likelier candidate (0 where no link can be judged); `p_none` that no link is broken. From `holds_from` to `holds_to` the link's
    target could move without changing the answer (without targets: the share that counts as "most").
    `candidates` are the two an undecided case lies between (none where no link can be judged), and `more_users` about how many more sign-ups would
    settle it (null where hardly any number would). `sentence` can be read aloud. `table` is the loop,
    `by_quarter` the same per quarter of sign-up, `segments` one row per value of `by`, `drift` the share of those
    who came back and drifted since. `remarks` say what to bear in mind, `warnings` are their texts. `basis`, `definition` and
    `signups_per_week` say what it stands on.
    """

    verdict: Verdict
    link: str | None
    problem: str | None
    play: str | None
    probability: float
    holds_from: float | None
    holds_to: float | None
    sentence: str
    table: pl.DataFrame
    by_quarter: pl.DataFrame
    segments: pl.DataFrame | None
    candidates: tuple[str, ...]
    more_users: int | None
    p_none: float
    drift: pl.DataFrame
    remarks: tuple[Remark, ...]
    basis: Basis
    definition: Definition
    signups_per_week: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """The texts of the remarks."""
        return tuple(remark.text for remark in self.remarks)

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence


def prioritize(
    journeys: Journeys, *, targets: Targets = None, by: str | Sequence[str] | None = None
) -> Priority:
    """Say where momentum breaks earliest for most users, how sure that is, and what to do first.

    With targets ``P_k = P(rate_k < target_k)`` from ``Beta(n + 1/2, of - n + 1/2)`` and
    ``P(earliest = k) = P_k · Π_{j<k} (1 - P_j)``. Without any, ``P_k = P(reached_k < 1/2)``, made
    non-decreasing, and ``P(earliest = k) = P_k - P_(k-1)``; advocacy does not take part. A link is named from 0.8 on.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    targets
        Link name to rate between 0 and 1; a link without one is shown but cannot be named. Default: the
        definition's. ``{}``: none. ``"previous quarter"``: the last 91 days of sign-ups against what the 91 days
        before leave plausible (the lower Wilson bound of their rate). ``"best cohort"``: the best month of
        sign-ups, shrunk towards the mean.
    by
        A property of the users, or a list of them: judges each of its values as well.

    Returns
    -------
    Priority
        `verdict`, `link`, `problem`, `play`, `probability`, `holds_from`, `holds_to`, `sentence` and more, see
        there. `table` has one row per link: `link`, `n` (passed in time), `of` (judged), `rate`, `low`, `high`,
        `reached` (share of the sign-ups whose whole span is over that passed every link up to here), `target`,
        `target_from` (team, given, previous quarter, best cohort), `p_broken`, `p_earliest`, `extra_users` (how
        many more would reach the end, if the link rose to its target and the new ones went on like the others),
        `extra_users_half` and `extra_users_zero` (if half as likely; if none went on), `extra_passing` (more past
        this link), `reached_n`, `reached_of`, `reached_low`, `reached_high` (95 %), `design_effect` (of `n` and `of`) and
        `reached_design_effect` (of `reached_n` and `reached_of`, which decide where there are no targets).
        `segments` has the groups, `users`, `verdict`, `link`, `problem`, `probability`, `candidates`,
        `elsewhere` (breaks at another link than all users together) and each link's rate and count.

    Raises
    ------
    ParameterError
        `targets` or `by` cannot be used.

    Notes
    -----
    Each link judges those who passed the one before and whose window is over; `of` of activation leaves out who
    signed up too recently. Where users have an `account_id`, `n` and `of` behind intervals and probabilities are
    divided by the design effect of the accounts. Neither the lowest rate nor the largest loss decides: the first belongs to the
    rarest action, the second to the first link, whatever is broken.

    References
    ----------
    The order of operations of the user engagement guide; Jeffreys' prior; Kish (1965) for the design effect.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime
    >>> rows = [(u, e, datetime(2026, 1, d)) for u in range(40)
    ...         for e, d in [("join", 1), ("make", 2)] + ([("make", 5)] if u % 4 == 0 else [])]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> definition = ek.Definition(signup="join", activation="make", core="make", targets={"activation": 0.35, "habit": 0.5})
    >>> found = prioritize(ek.rollup(log, definition, as_of="2026-04-01"))
    >>> found.verdict, found.link, found.play, round(found.probability, 3)
    ('named', 'habit', 'Repeat Value', 0.999)
    """
    check_journeys(journeys)
    accounts = accounts_of(journeys)
    groups = group_names(
        journeys, by, taken=[*SEGMENT, "problem", "elsewhere", *FLAGS, *COUNTS, *EFFECTS]
    )
    keep = list(dict.fromkeys(filter(None, [*groups, accounts])))
    flags = gathered(journeys, lambda part: link_flags(part, keep=keep)).collect().lazy()
    counts, marks = marks_for(journeys, flags, targets, accounts)
    found = loop(counts, marks)
    labels = diagnose(journeys)
    stands_on, drift = basis(journeys), _drift(labels)
    judgment = found.judgment
    rule = _rule(judgment.link, labels)
    holds = None if judgment.link is None else holds_between(found.seen, judgment.link)
    more = _more_users(found)
    segments = _segments(journeys, flags, marks, groups, found) if groups else None
    return Priority(
        verdict=judgment.verdict,
        link=judgment.link,
        problem=rule.problem if rule else "advocacy" if judgment.link else None,
        play=rule.play if rule else None,
        probability=judgment.probability,
        holds_from=holds and holds[0],
        holds_to=holds and holds[1],
        sentence=sentence(
            found, rule, holds, more, drift.row(0, named=True), journeys.definition, stands_on
        ),
        table=found.table,
        by_quarter=by_quarter(journeys, flags, marks, accounts),
        segments=segments,
        candidates=judgment.candidates,
        more_users=more,
        p_none=judgment.p_none,
        drift=drift,
        remarks=(*stands_on.remarks, *_remarks(found, marks, segments, groups)),
        basis=stands_on,
        definition=journeys.definition,
        signups_per_week=_signups_per_week(journeys),
    )


def rate_of(priority: Priority, link: str) -> dict[str, Any]:
    """Take one link's row of the table.

    Raises
    ------
    ParameterError
        Nobody can be judged on that link yet.
    """
    row = priority.table.row(by_predicate=pl.col("link") == link, named=True)
    if row["rate"] is None:
        raise ParameterError(
            f"Nobody can be judged on {link} yet, so there is no rate to improve on."
        )
    return row


def _rule(link: str | None, labels: pl.DataFrame) -> Rule | None:
    if link == "activation":
        return largest_early_problem(labels)
    return next((rule for rule in RULES if rule.label == LABEL_OF.get(link or "")), None)


def _more_users(found: Loop) -> int | None:
    times = times_to_settle(found.seen)
    side = "reached_of" if found.seen.lost else "of"
    signups = found.table[side][0]
    if found.judgment.verdict != "undecided" or times is None or not signups:
        return None
    return _roughly((times - 1) * signups)


def _roughly(number: float) -> int:
    """Round up to two digits: more would promise too much."""
    unit: int = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)
    return math.ceil(number / unit) * unit


def _drift(labels: pl.DataFrame) -> pl.DataFrame:
    row = labels.filter(pl.col("label") == "drift").select("n", pl.col("could_show").alias("of"))
    return row.with_columns(*wilson_columns())


def _signups_per_week(journeys: Journeys) -> float:
    known = (journeys.as_of - journeys.log_start).total_seconds() / 86_400
    span = min(7.0 * RECENT_WEEKS, known)
    recent = pl.col("signed_up_at") >= pl.lit(journeys.as_of, AT) - days(span)
    count = journeys.users.lazy().select(recent.sum()).collect().item()
    return float(count / (span / 7)) if span > 0 else 0.0


def _segments(
    journeys: Journeys, flags: pl.LazyFrame, marks: Marks, groups: list[str], found: Loop
) -> pl.DataFrame:
    table = by_segment(flags, marks, groups, accounts_of(journeys))
    labels = diagnose(journeys, by=groups)
    problems = []
    for row in table.iter_rows(named=True):
        mine = labels.filter(
            pl.all_horizontal(pl.col(g).eq_missing(pl.lit(row[g])) for g in groups)
        )
        rule = _rule(row["link"], mine)
        problems.append(rule.problem if rule else "advocacy" if row["link"] else None)
    elsewhere = pl.col("link").is_not_null() & (
        pl.lit(found.judgment.link is None) | (pl.col("link") != pl.lit(found.judgment.link))
    )
    at = table.columns.index("link") + 1
    return table.insert_column(at, pl.Series("problem", problems, pl.String)).with_columns(
        elsewhere.fill_null(value=False).alias("elsewhere")
    )


def _remarks(
    found: Loop, marks: Marks, segments: pl.DataFrame | None, groups: list[str]
) -> list[Remark]:
    said = [
        Remark(
            "target without events",
            (link,),
            f"{link} has a target, but the definition names no {UNDEFINED[link]}, so it cannot be judged.",
        )
        for link in marks.targets
        if link not in marks.defined
    ]
    if segments is None:
        return said
    named = segments.filter(pl.col("link").is_not_null())
    for row in named.filter("elsewhere").iter_rows(named=True):
        who = ", ".join(f"{g} {row[g]}" for g in groups)
        text = f"For {who}, momentum breaks at {row['link']}; {_in_total(found)}."
        said.append(Remark(ELSEWHERE, tuple(row[g] for g in groups), text))
    if named.height and named["elsewhere"].all() and named.height == segments.height:
        text = f"No group breaks where all users together do: {_in_total(found)}. Read the groups, not the total."
        said.append(Remark("groups against the whole", (), text))
    if found.judgment.link is not None and not (named["link"] == found.judgment.link).any():
        text = f"All users together break at {found.judgment.link}, but no group by itself surely does."
        said.append(Remark("groups against the whole", (), text))
    return said


def _in_total(found: Loop) -> str:
    if found.judgment.link is not None:
        return f"for all users together at {found.judgment.link}"
    return f"for all users together the verdict is '{found.judgment.verdict}'"

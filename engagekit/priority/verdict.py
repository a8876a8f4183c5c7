"""The priority: where momentum breaks earliest for most users, how sure that is, and what to do first."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import Remark, as_html, plain_fields
from engagekit.diagnosis import UNSET
from engagekit.errors import ParameterError
from engagekit.journeys import Basis, check_journeys
from engagekit.priority.breakdowns import by_quarter, by_segment
from engagekit.priority.counts import recent_cells, totals
from engagekit.priority.earliest import (
    Judgment,
    Verdict,
    earliest_broken,
    holds_between,
    judge,
    range_to_settle,
    times_to_settle,
)
from engagekit.priority.late_returns import late_remark
from engagekit.priority.loop_facts import loop_facts
from engagekit.priority.loop_table import Loop, Marks, evidence, loop
from engagekit.priority.problems import Problem, problem_from, problem_of
from engagekit.priority.reference_targets import (
    OWN_PAST,
    Targets,
    own_past,
    ran_between,
    team_marks,
)
from engagekit.priority.sentences import BEFORE, EVER, More, Told, sentence
from engagekit.priority.withheld import withheld

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.definition import Definition
    from engagekit.diagnosis import Recent
    from engagekit.journeys import Journeys
    from engagekit.priority.counts import LoopCounts
    from engagekit.priority.loop_facts import LoopFacts

__all__ = ["Priority", "earliest_broken", "prioritize"]

UNDEFINED = {"depth": "advanced actions", "advocacy": "advanced actions or no advocacy events"}
ELSEWHERE = "breaks elsewhere"  # the kind of remark about one group
ENOUGH_TO_SAY = 30  # judged users from which it is said how many more would settle it


@dataclass(frozen=True)
class Priority:
    """The earliest broken link, and all that says how sure it is.

    `verdict` is ``"named"``, ``"undecided"``, ``"none broken"`` or ``"no targets"``; `link` is null unless named.
    `problem` and `play` are null unless they are sure enough too (a problem of acquisition or tracking, or of advocacy,
    has no play); `p_problem` is the probability of the likeliest problem where the link leaves several open, and
    `problem_candidates` then are the two it lies between. `probability` is that of the verdict, or of the likelier
    candidate (0 where no link can be judged); `p_none` that no link is broken. From `holds_from` to `holds_to` the
    link's target could move without changing the answer. `candidates` are the two an undecided case lies between (none
    where no link can be judged), and `more_users` about how many more sign-ups would settle it (null where hardly any
    number would, or too few are judged to say), from `more_users_low` to `more_users_high` (null: no end to be seen).
    `sentence` can be read aloud. `table` is the loop of the recent sign-ups, `by_quarter` the same per quarter of
    sign-up over the whole log, `segments` one row per value of `by`, `drift` the share of those who came back and
    drifted since. `remarks` say what to bear in mind, `warnings` are their texts. `basis`, `definition` and
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
    p_problem: float | None = None
    problem_candidates: tuple[str, ...] = ()
    more_users_low: int | None = None
    more_users_high: int | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The texts of the remarks."""
        return tuple(remark.text for remark in self.remarks)

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence

    def __repr__(self) -> str:
        """Say the verdict in a line."""
        what = f" {self.link}" if self.link else ""
        return f"<Priority: {self.verdict}{what}, probability {self.probability:.2f}>"

    def _repr_html_(self) -> str:
        return as_html(self.sentence, self.remarks)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values that JSON can hold: tables as lists of rows, days and instants as text."""
        return plain_fields(self) | {"warnings": list(self.warnings)}


def prioritize(
    journeys: Journeys,
    *,
    targets: Targets = None,
    by: str | Sequence[str] | None = None,
    recent: Recent = UNSET,
) -> Priority:
    """Say where momentum breaks earliest for most users, how sure that is, and what to do first.

    A link is broken if its rate lies more than `margin` below its target: ``P_k = P(rate_k < target_k - margin)``
    from ``Beta(n/δ + 1/2, (of - n)/δ + 1/2)``, and ``P(earliest = k) = P_k · Π_{j<k} (1 - P_j)``, with ``δ`` the design
    effect of sign-up weeks and accounts. A link is named from 0.8 on.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    targets
        Link name to rate between 0 and 1; a link without one is shown but cannot be named. Default: the
        definition's. Without any (or ``{}``), no link can be called broken; but where a link has at least four earlier
        quarters with 50 judged each, it is asked whether it has fallen below its own past, and a fall is named from
        0.95 on. ``"own past"`` asks that whatever the definition's targets.
    by
        A property of the users, or a list of them: judges each of its values as well.
    recent
        How many days of sign-ups each link is judged on; unset: the definition's `recent_days` (91); None: all.

    Returns
    -------
    Priority
        `verdict`, `link`, `problem`, `play`, `p_problem`, `probability`, `holds_from`, `holds_to`, `sentence` and
        more, see there. `table` has one row per link: `link`, `n` (passed in time), `of` (judged), `rate`, `low`,
        `high` (95 %, Wilson, of counts divided by δ), `reached` (the product of the rates up to here), `target`,
        `target_from` (team, given, own past), `p_broken`, `p_earliest`, `extra_users` (how many more of the recent
        sign-ups would reach the end, if the link rose to its target and the new ones went on like the others),
        `design_effect` (δ), `since` and `until` (the first and last instant of sign-up it is judged on),
        `extra_users_half` and `extra_users_zero` (if half as likely; if none went on), `extra_passing` (more past
        this link), `weeks` of sign-ups with somebody judged. `segments` has the groups, `users`, `verdict`, `link`,
        `problem`, `probability`, `candidates`, `elsewhere` (breaks at another link than all users together) and each
        link's rate and count.

    Raises
    ------
    ParameterError
        `targets`, `by` or `recent` cannot be used.

    Notes
    -----
    Each link judges those who passed the one before and whose window is over. It stands on a span of sign-ups of its
    own, which ends with the latest that can be judged there and is doubled, at most twice, until 200 are judged: one span for
    all would bring back what has long changed. Groups are shrunk towards all the others (beta-binomial) before any is said
    to break elsewhere. Neither the lowest rate nor the largest loss decides: the first belongs to the rarest action,
    the second to the first link, whatever is broken.

    References
    ----------
    The order of operations of the user engagement guide; Jeffreys' prior; Kish (1965) for the design effect; Kruschke
    (2018) for the margin.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime
    >>> rows = [(u, e, datetime(2026, 1, d)) for u in range(80)
    ...         for e, d in [("join", 1), ("make", 2)] + ([("make", 5)] if u % 4 == 0 else [])]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> definition = ek.Definition(signup="join", activation="make", core="make", targets={"activation": 0.35, "habit": 0.5})
    >>> found = prioritize(ek.rollup(log, definition, as_of="2026-04-01"))
    >>> found.verdict, found.link, found.play, round(found.probability, 3)
    ('named', 'habit', 'Repeat Value', 0.999)
    """
    check_journeys(journeys)
    found = priority_of(loop_facts(journeys, by=by, recent=recent), targets=targets)
    return withheld(found, journeys)


def priority_of(facts: LoopFacts, *, targets: Targets = None) -> Priority:
    """Judge what was counted against targets: what `prioritize` says, without another look at the journeys.

    Raises
    ------
    ParameterError
        `targets` cannot be used.
    """
    definition, counts = facts.definition, facts.counts
    marks = team_marks(targets, definition)
    found, past = judged(counts, definition, marks, required=targets == OWN_PAST)
    judgment = found.judgment
    problem = _problem(facts, judgment.link)
    holds = _holds(found)
    more, few = _more(found, facts)
    segments = _segments(facts, marks, found) if counts.groups else None
    told = Told(
        found=found, problem=problem, holds=holds, more=more, few=few, drift=facts.drift.row(0, named=True),
        definition=definition, basis=facts.basis, spans=dict(counts.spans),
        signups=(counts.known.first, counts.known.last), others=_others(facts, marks), past=past,
    )  # fmt: skip
    return Priority(
        verdict=judgment.verdict,
        link=judgment.link,
        problem=problem.problem if problem else None,
        play=problem.play if problem else None,
        p_problem=problem.probability if problem else None,
        problem_candidates=tuple(rule.problem or "" for rule in problem.candidates) if problem else (),
        probability=judgment.probability,
        holds_from=holds and holds[0],
        holds_to=holds and holds[1],
        sentence=sentence(told),
        table=found.table,
        by_quarter=by_quarter(counts, marks, facts.timezone),
        segments=segments,
        candidates=judgment.candidates,
        more_users=more.about if more else None,
        more_users_low=more.low if more else None,
        more_users_high=more.high if more else None,
        p_none=judgment.p_none,
        drift=facts.drift,
        remarks=(
            *facts.basis.remarks,
            *filter(None, [late_remark(facts.later, definition)]),
            *_remarks(found, marks, segments, counts.groups),
        ),
        basis=facts.basis,
        definition=definition,
        signups_per_week=facts.signups_per_week,
    )  # fmt: skip


def judged(
    counts: LoopCounts, definition: Definition, marks: Marks, *, required: bool = False
) -> tuple[Loop, tuple[float, float] | bool]:
    """Judge the recent sign-ups: against targets, else against their own past; and say what of that past is known."""
    recent = totals(recent_cells(counts))
    found = loop(recent, marks, counts.spans)
    if marks.targets:
        return found, False
    # Groups are asked about apart; the whole is one group.
    whole = dataclasses.replace(counts, groups=())
    past = own_past(whole, definition).get(())
    if past is None and required:
        raise ParameterError(
            f"targets={OWN_PAST!r} cannot be used: no link has four quarters before the recent sign-ups with 50 judged "
            "users each; set targets such as {'habit': 0.5}."
        )
    fallen = None if past is None else loop(recent, past, counts.spans)
    if fallen is not None and fallen.judgment.link is not None:
        return fallen, ran_between(whole, fallen.judgment.link)
    verdict: Verdict = "no targets" if found.table["of"][0] else "undecided"
    judgment = dataclasses.replace(found.judgment, verdict=verdict, probability=0.0, candidates=())
    return dataclasses.replace(found, judgment=judgment), past is not None


def _holds(found: Loop) -> tuple[float, float] | None:
    link = found.judgment.link
    if link is None:
        return None
    low, high = holds_between(found.seen, link)
    return low + found.marks.margin, min(1.0, high + found.marks.margin)


def _others(facts: LoopFacts, marks: Marks) -> tuple[tuple[str, Judgment], ...]:
    """Judge the span before the recent one, and all sign-ups, against the same targets."""
    if not marks.targets or facts.counts.width is None:
        return ()
    spans = {
        BEFORE: recent_cells(facts.counts, ago=1),
        EVER: facts.counts.cells,
    }
    return tuple((when, judge(evidence(totals(cells), marks))) for when, cells in spans.items())  # fmt: skip


def _problem(facts: LoopFacts, link: str | None) -> Problem | None:
    early = facts.early.group_by("label").agg(pl.col("n").sum())
    return problem_of(link, early, steps=bool(facts.definition.steps))


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


def _more(found: Loop, facts: LoopFacts) -> tuple[More | None, bool]:
    """Say about how many more sign-ups would settle an undecided case, and whether too few are judged to say."""
    times = times_to_settle(found.seen)
    candidates = [name for name in found.judgment.candidates if name in facts.counts.spans]
    if found.judgment.verdict != "undecided" or not candidates:
        return None, False
    judged = dict(found.table.select("link", "of").iter_rows())
    if min(judged[name] for name in candidates) < ENOUGH_TO_SAY:
        return None, all(judged[name] for name in candidates)
    if times is None:
        return None, False
    # Of a link with a wider span, as many users again take as many more sign-ups.
    days = {name: span.days or 1 for name, span in facts.counts.spans.items()}
    wider = max(days[name] / days["activation"] for name in candidates)
    signups = judged["activation"] * wider
    low, high = range_to_settle(found.seen)
    # Rates seen so near their marks that they ask for more than most rates which may be the true ones are hardly true.
    times = min(times, high)
    return More(
        _roughly((times - 1) * signups),
        _roughly((low - 1) * signups) if math.isfinite(low) else None,
        _roughly((high - 1) * signups) if math.isfinite(high) else None,
    ), False


def _roughly(number: float) -> int:
    """Round up to one digit: more would promise too much."""
    unit: int = 10 ** math.floor(math.log10(max(number, 1)))
    return max(1, math.ceil(number / unit)) * unit


def _segments(facts: LoopFacts, marks: Marks, found: Loop) -> pl.DataFrame:
    table = by_segment(facts.counts, marks, facts.definition)
    early: dict[tuple[Any, ...], dict[str, int]] = {}
    for *group, label, n in facts.early.iter_rows():
        early.setdefault(tuple(group), {})[label] = n
    seen: dict[tuple[int, ...], list[float]] = {}
    problems = [
        problem_from(
            link, early.get(tuple(group), {}), steps=bool(facts.definition.steps), seen=seen
        )
        for *group, link in table.select(*facts.counts.groups, "link").iter_rows()
    ]
    elsewhere = pl.col("link").is_not_null() & (
        pl.lit(found.judgment.link is None) | (pl.col("link") != pl.lit(found.judgment.link))
    )
    at = table.columns.index("link") + 1
    named = pl.Series("problem", [p.problem if p else None for p in problems], pl.String)
    return table.insert_column(at, named).with_columns(
        elsewhere.fill_null(value=False).alias("elsewhere")
    )


def _remarks(
    found: Loop, marks: Marks, segments: pl.DataFrame | None, groups: Sequence[str]
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
    said += [
        Remark(
            "target within margin",
            (link,),
            f"The target of {link} is no larger than the margin, so no rate can lie below it by that much; set a smaller margin.",
        )
        for link, target in marks.targets.items()
        if target <= marks.margin and link in marks.defined
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

"""Names and ids of a log, looked over: events that nobody did, spellings that look alike, ids written in several ways."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engagekit.errors import listing, nearest
from engagekit.ingest.event_forms import normal_form, respelt
from engagekit.ingest.id_forms import ALIKE, ROUNDED, SHARED, forms_of, of_ids
from engagekit.matchers import condition_faults, event_names, label, matches, property_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engagekit.definition import Definition

IDS = ("ids that differ only by how they are written", "ids that a spreadsheet has rounded", "ids that stand for many")  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One row: `count` of `of` (None: not checked), with an example and an advice if there is any."""

    check: str
    count: int | None = None
    of: int | None = None
    example: str | None = None
    advice: str | None = None


def of_names(
    log: pl.LazyFrame, days: pl.DataFrame, definition: Definition | None
) -> Iterator[Finding]:
    """Find names that look alike, and names of the definition that nobody did."""
    counts: dict[str, int] = dict(days.group_by("event").agg(pl.col("events").sum()).iter_rows())
    yield _spellings(counts)
    # What only looks alike is one name, as it is for rollup.
    wanted = () if definition is None else definition.event_names()
    if spelling := respelt(counts, wanted):
        log = log.with_columns(pl.col("event").cast(pl.String).replace(spelling))
        spelt: Counter[str] = Counter()
        for each, times in counts.items():
            spelt[spelling.get(each, each)] += times
        counts = dict(spelt)
    if definition is None:
        yield Finding("unknown events in the definition")
        yield Finding("events no one did")
        return
    unknown = [name for name in wanted if name not in counts]
    told = " ".join(f"{name!r} is in no event.{nearest(name, counts)}" for name in unknown[:5])
    yield Finding(
        "unknown events in the definition",
        len(unknown),
        len(wanted),
        told,
        f"Correct the definition, or take the names out.{_commonest(counts)}",
    )
    yield _undone(log, definition, counts)


def _commonest(counts: dict[str, int]) -> str:
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return f" Events there are: {listing(ordered)}." if ordered else ""


def _undone(log: pl.LazyFrame, definition: Definition, counts: dict[str, int]) -> Finding:
    meant = definition.matchers()
    schema = log.collect_schema()
    # A bare name that occurs was done. What asks for a property there is not, or for a text where numbers are, can be
    # true of no event.
    asking = {role: matcher for role, matcher in meant.items() if property_names(matcher)}
    known = {
        r: m
        for r, m in asking.items()
        if all(c in schema for c in property_names(m)) and not condition_faults(schema, [m])
    }
    found = [matches(m, any_part=True).any().alias(role) for role, m in known.items()]
    done = log.select(found).collect() if found else pl.DataFrame()
    never = [role for role in known if not (done.height and done[role].item())]
    never += [role for role in asking if role not in known]
    # A role all of whose names are unknown is told already, as unknown.
    never = [r for r in never if any(name in counts for name in event_names(meant[r]))]
    return Finding(
        "events no one did",
        len(never),
        len(meant),
        "; ".join(f"{role}: {label(meant[role])}" for role in never[:5]),
        "The name occurs, but never with these values. Look at the values the property has, and whether it was kept: keep=...",
    )


def _spellings(counts: dict[str, int]) -> Finding:
    groups: dict[str, list[str]] = {}
    for name in counts:
        groups.setdefault(" ".join(normal_form(name).split()).casefold(), []).append(name)
    doubled = [sorted(g, key=lambda n: (-counts[n], n)) for g in groups.values() if len(g) > 1]
    doubled.sort(key=lambda g: (-sum(counts[n] for n in g[1:]), g[0]))
    rarer = sum(counts[name] for group in doubled for name in group[1:])
    shown = "; ".join(
        " and ".join(f"{_visibly(n)} ({counts[n]:,})" for n in group) for group in doubled[:3]
    )
    return Finding(
        "names that differ only by case or blanks",
        rarer,
        sum(counts.values()),
        shown,
        "They count as different events. Name them all in the definition, as a list, or mend the log.",
    )


def _visibly(name: str) -> str:
    """Write a name so that what nobody sees in it shows."""
    return repr(name) if normal_form(name) == name else ascii(name)


def of_id_forms(users: pl.DataFrame) -> list[Finding]:
    """Find ids that may be the same people, or stand for many."""
    found = {remark.kind: remark for remark in of_ids([forms_of(users.select("user_id"))])}
    advice = {
        ALIKE: "Write ids alike in the source, or join them with identities: the same people may be counted as several.",
        ROUNDED: "A spreadsheet has rounded them, and different people may have become one. Take the log from its source again.",
        SHARED: "They may stand for many people. Leave them out with exclude.",
    }
    return [
        Finding(
            check, (found[kind].users if kind in found else 0), users.height, None, advice[kind]
        )
        for check, kind in zip(IDS, (ALIKE, ROUNDED, SHARED), strict=True)
    ]

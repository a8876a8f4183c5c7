"""What each kind of event means to a definition, as lists to look it up in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engagekit.matchers import goals, is_goal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engagekit.definition import Definition
    from engagekit.matchers import Goal
    from engagekit.rollups.coded_log import Coded
    from engagekit.rollups.id_lookup import Numbers


@dataclass(frozen=True)
class Tags:
    """Names that kinds of events bear: `lists` hold a place in `names` for each kind, or -1; together all of them."""

    names: list[str]
    lists: list[Numbers]

    def borne_by(self, kinds: Numbers) -> tuple[Numbers, Numbers]:
        """Give each event once for each name that it bears: its row, and the place of the name."""
        rows, tags = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for each in self.lists:
            tag = each[kinds]
            has = np.flatnonzero(tag >= 0)
            rows.append(has)
            tags.append(tag[has])
        if len(self.lists) == 1:
            return rows[1], tags[1]
        return np.concatenate(rows), np.concatenate(tags)


@dataclass(frozen=True)
class Meanings:
    """What kinds of events mean; all but the tags tell of each kind whether it is meant."""

    events: Numbers  # the place of each kind's name
    names: list[str]
    roles: Tags
    sides: Tags  # activation, and the sides of steps
    signup: Numbers | None  # None: the first event is the sign-up
    outreach: Numbers
    telling: Numbers  # can hardly come before a sign-up: activation, and the core action
    goals: list[list[tuple[Numbers, int]]]  # of an activation of several events: any of these, all parts of it, each so often  # fmt: skip


def meanings_of(definition: Definition, coded: Coded) -> Meanings:
    """Look up what a definition makes of the kinds of events in a log."""
    sides: dict[str, Goal] = {"activation": definition.activation}
    for position, step in enumerate(definition.steps):
        for side, matcher in (("reached", step.reached), ("completed", step.completed)):
            if matcher is not None:
                sides[f"{position} {side}"] = matcher
    nothing, activation = np.zeros(len(coded.events), np.bool_), definition.activation
    ways = goals(activation) if is_goal(activation) else ()
    return Meanings(
        events=coded.events,
        names=coded.names,
        roles=_tags(dict(sorted(definition.roles().items())), coded),
        sides=_tags(sides, coded),
        signup=None if definition.signup is None else coded.hits(definition.signup),
        outreach=nothing if definition.outreach is None else coded.hits(definition.outreach),
        telling=coded.hits(definition.activation) | coded.hits(definition.core),
        goals=[[(coded.hits(part), times) for part, times in parts] for parts in ways],
    )


def _tags(named: Mapping[str, Goal], coded: Coded) -> Tags:
    of_kind: list[list[int]] = [[] for _ in coded.events]
    for tag, matcher in enumerate(named.values()):
        for kind in np.flatnonzero(coded.hits(matcher)):
            of_kind[kind].append(tag)
    lists = [
        np.array([tags[slot] if slot < len(tags) else -1 for tags in of_kind], np.int64)
        for slot in range(max(map(len, of_kind), default=0))
    ]
    return Tags(list(named), lists)

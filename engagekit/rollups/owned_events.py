"""Which events count, and for whom: sorted by unit, as one packed whole number for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engagekit.rollups.id_lookup import SLICE, Places, slices
from engagekit.rollups.population import OUT

if TYPE_CHECKING:
    import polars as pl

    from engagekit.rollups.coded_log import Coded
    from engagekit.rollups.id_lookup import Keys, Numbers

NO_TIME = 2**62  # when nobody's sign-up is


class Collision(Exception):  # noqa: N818 -- it is no error: the log is then read otherwise
    """Two ids go by one number."""


@dataclass(frozen=True)
class Owned:
    """Events that count.

    `order` holds for each, sorted, the place of its unit and in the last `bits` its row in the log. Besides: how many
    events come `too_soon`, before their unit's sign-up; the units that were so `late` that one of these is telling; and
    the keys of `strangers`, who are not among the owners.
    """

    order: Numbers
    bits: int
    too_soon: int
    late: Numbers
    strangers: Numbers


def owned(
    coded: Coded, owners: pl.DataFrame, since: Numbers, telling: Numbers, within: Numbers | None
) -> Owned:
    """Find the units of all events.

    Parameters
    ----------
    coded
        The log.
    owners
        What `Members` says of each known user.
    since
        From when on what each unit does counts: its sign-up, less what clocks may differ by.
    telling
        Of each kind of event, whether it can hardly come before a sign-up.
    within
        Of each event, whether it lies in the log's body; None: all do.

    Raises
    ------
    Collision
        The ids must be read by other keys.
    """
    count, bits = len(since), len(coded.at).bit_length()
    since = np.append(since, NO_TIME)  # behind the others: nobody
    places, checks, layers = _units(owners, coded.keys, count, len(coded.ids))
    begins = [since[layer] for layer in layers]
    order = np.empty(len(layers) * len(coded.ids), np.int64)
    filled = too_soon = 0
    late, strangers = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for start, stop in slices(len(coded.ids), SLICE):
        place = places.of(coded.ids[start:stop])
        if checks is not None and coded.check is not None:
            _check(place, checks, coded.check[start:stop])
        body = None if within is None else within[start:stop]
        unknown = place < 0 if body is None else (place < 0) & body
        strangers.append(np.unique(coded.ids[start:stop][unknown]))
        at, kinds = coded.at[start:stop], coded.kinds[start:stop]
        for layer, begun in zip(layers, begins, strict=True):
            counts = at >= begun[place]
            before = ~counts if body is None else ~counts & body
            mine = np.flatnonzero(counts if body is None else counts & body)
            order[filled : filled + len(mine)] = layer[place[mine]].astype(np.int64) << bits | (
                mine + start
            )
            filled += len(mine)
            soon = np.flatnonzero(before)
            soon = soon[layer[place[soon]] < count]
            too_soon += len(soon)
            late.append(np.unique(layer[place[soon]][telling[kinds[soon]]]))
    found = order[:filled]
    found.sort()
    return Owned(found, bits, too_soon, _distinct(late), _distinct(strangers))


def _distinct(parts: list[Numbers]) -> Numbers:
    return np.unique(np.concatenate(parts))


def _check(place: Numbers, checks: Numbers, check: Numbers) -> None:
    known = place >= 0
    if (checks[place[known]] != check[known]).any():
        raise Collision


def _units(
    owners: pl.DataFrame, keys: Keys, count: int, asked: int
) -> tuple[Places, Numbers | None, list[Numbers]]:
    """List the known users by their keys: their second hashes, and the units of each, one after the other."""
    key = owners.select(keys.key()).to_series().to_numpy()
    unit = owners["u"].to_numpy().astype(np.int64)
    unit[unit == OUT] = count
    order = np.argsort(key, kind="stable")
    key, unit = key[order], unit[order]
    new = np.append(True, key[1:] != key[:-1])[: len(key)]
    place = np.cumsum(new) - 1
    nth = np.arange(len(key)) - np.flatnonzero(new)[place]
    checks = None
    if keys.hashed:
        if owners["user_id"].n_unique() != np.count_nonzero(new):
            raise Collision
        checks = owners.select(keys.check()).to_series().to_numpy()[order][new]
    layers = []
    for number in range(int(nth.max(initial=0)) + 1):
        layer = np.full(np.count_nonzero(new) + 1, count, np.int32)
        layer[place[nth == number]] = unit[nth == number]
        layers.append(layer)  # its last place, where -1 points to, is nobody's
    return Places(key[new], asked), checks, layers

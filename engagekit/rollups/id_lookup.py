"""By which whole numbers ids go, and their places in a list of known ones: gathered, where joining would hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Numbers: TypeAlias = "NDArray[Any]"
SLICE = 1 << 20  # ids looked up at a time
DENSE = (
    8  # a table of all numbers from the first to the last is worth it for so many numbers an event
)
ODD = np.uint64(0x9E3779B97F4A7C15)  # multiplying by it maps no two numbers of 64 bits to one


@dataclass(frozen=True)
class Keys:
    """By which whole number of 64 bits an id goes.

    A whole number goes by itself, a text by its hash, or, where two texts have the same one, by its place in `listed`,
    the list of all texts.
    """

    kind: pl.DataType
    listed: pl.Series | None = None

    @property
    def hashed(self) -> bool:
        """Whether two ids may go by one number."""
        wide = self.kind in (pl.Int128, pl.UInt128)
        return self.listed is None and (wide or not self.kind.is_integer())

    def key(self) -> pl.Expr:
        """Give the number of each ``user_id``."""
        user = pl.col("user_id")
        if self.listed is not None:
            return user.cast(pl.String).cast(self.listed.dtype).to_physical().cast(pl.Int64)
        if self.hashed:
            return _hash(user, 0).reinterpret(signed=True)
        return user.reinterpret(signed=True) if self.kind == pl.UInt64 else user.cast(pl.Int64)

    def check(self) -> pl.Expr:
        """Give a second hash of each id: where it differs and the first does not, two ids go by one number."""
        return (_hash(pl.col("user_id"), 1) // 2**32).cast(pl.UInt32)

    def exact(self) -> Keys:
        """Give keys under which no two ids go by one number."""
        return Keys(self.kind, text_list())


def text_list() -> pl.Series:
    """Begin a list of texts of its own: texts cast to its type go by their places in it, as long as it is held."""
    return pl.Series([], dtype=pl.Categorical(pl.Categories.random()))


def _hash(user: pl.Expr, seed: int) -> pl.Expr:
    return user.hash(seed)


def texts_of(listed: pl.Series) -> pl.Series:
    """Give the texts of a list by their places."""
    kind: Any = listed.dtype
    texts: pl.Series = kind.categories.to_series()
    return texts


class Places:
    """Sorted distinct whole numbers, and how to find one's place among them quickly."""

    def __init__(self, keys: Numbers, asked: int) -> None:
        """Take the numbers, and how many will be asked for."""
        self.keys = keys
        span = int(keys[-1]) - int(keys[0]) if len(keys) else 0
        self.dense = span < DENSE * max(asked, 1024)
        if self.dense:
            self.table = np.full(span + 2, -1, np.int32)
            self.table[keys - keys[:1]] = np.arange(len(keys), dtype=np.int32)
            return
        mixed = _mixed(keys)
        self.order = np.argsort(mixed).astype(np.int32)
        self.mixed = mixed[self.order]
        bits = len(keys).bit_length() + 1
        self.shift = np.uint64(64 - bits)
        starts = np.searchsorted(self.mixed >> self.shift, np.arange(1 << bits, dtype=np.uint64))
        self.starts = np.minimum(starts, len(keys) - 1).astype(np.int32)

    def of(self, ids: Numbers) -> Numbers:
        """Give the place of each id; -1 where it is not among them."""
        found = np.full(len(ids), -1, np.int32)
        for start, stop in slices(len(ids), SLICE) if len(self.keys) else ():
            some = ids[start:stop]
            found[start:stop] = self._listed(some) if self.dense else self._near(some)
        return found

    def _listed(self, ids: Numbers) -> Numbers:
        away = (ids - self.keys[0]).view(np.uint64)  # what is less comes out huge
        found: Numbers = self.table[np.minimum(away, np.uint64(len(self.table) - 1))]
        return found

    def _near(self, ids: Numbers) -> Numbers:
        """Look where a number's first bits point to, then one further and so on while there are smaller ones."""
        found = np.full(len(ids), -1, np.int32)
        wanted = _mixed(ids)
        rows, place = np.arange(len(ids)), self.starts[wanted >> self.shift]
        while len(rows):
            there = self.mixed[place]
            hit = there == wanted
            found[rows[hit]] = self.order[place[hit]]
            on = (there < wanted) & (place + 1 < len(self.mixed))
            rows, wanted, place = rows[on], wanted[on], place[on] + 1
        return found


def _mixed(numbers: Numbers) -> Numbers:
    """Spread numbers over all 64 bits, each to one of its own."""
    return numbers.view(np.uint64) * ODD


class Columns:
    """Columns of numbers that grow at their end; so much room is only reserved, and taken as it is filled."""

    def __init__(self, kinds: str, room: int) -> None:
        """Reserve room for so many rows of columns of these kinds, as in ``"i8 u4"``."""
        self._columns = [np.empty(room, kind) for kind in kinds.split()]
        self.rows = 0

    def add(self, *columns: Numbers) -> None:
        """Put rows behind the others."""
        stop = self.rows + len(columns[0])
        if stop > len(self._columns[0]):
            self._columns = [self._wider(whole, stop) for whole in self._columns]
        for whole, column in zip(self._columns, columns, strict=True):
            whole[self.rows : stop] = column
        self.rows = stop

    def _wider(self, whole: Numbers, least: int) -> Numbers:
        found = np.empty(max(least, 2 * len(whole)), whole.dtype)
        found[: self.rows] = whole[: self.rows]
        return found

    def taken(self) -> list[Numbers]:
        """Hand over the columns, and keep none."""
        found = [whole[: self.rows] for whole in self._columns]
        self._columns = []
        return found


def slices(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut a count of rows into stretches."""
    for start in range(0, count, size):
        yield start, min(start + size, count)

"""The table of days as arrays, in the order of user, role and day: where tables are grouped, neighbours are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.journeys.kept import kept_of, once
from engagekit.journeys.schema import EARLY_EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from engagekit.journeys.tables import Journeys

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

NEVER = -(2**63)  # an instant that never came
ADVANCED = "advanced:"
DAY_ARRAYS = "day arrays"  # under which they are kept


class _Gathered(dict[str, Any]):
    """Some rows of columns, each gathered when it is first looked at: most questions look at two or three."""

    def __init__(self, whole: Mapping[str, NDArray[Any]], rows: NDArray[Any]) -> None:
        super().__init__()
        self._whole, self._rows = whole, rows

    def __missing__(self, name: str) -> NDArray[Any]:
        self[name] = found = self._whole[name].take(self._rows)
        return found


@dataclass(frozen=True)
class DayArrays:
    """One row per user, role and local day, sorted so; its columns by name.

    - `user`: the place among `users`, and after them `late`;
    - `role`: the place in `roles`; `day`: days since 1970;
    - `first`, `last`: instants in microseconds; `times`.
    """

    columns: Mapping[str, NDArray[Any]]
    roles: tuple[str, ...]

    @property
    def user(self) -> NDArray[np.int32]:
        """Whose row it is."""
        return self.columns["user"]

    @property
    def role(self) -> NDArray[np.int16]:
        """What was done."""
        return self.columns["role"]

    @property
    def day(self) -> NDArray[np.int32]:
        """On which local day."""
        return self.columns["day"]

    @property
    def first(self) -> Ints:
        """When first on it."""
        return self.columns["first"]

    @property
    def last(self) -> Ints:
        """When last on it."""
        return self.columns["last"]

    @property
    def times(self) -> NDArray[np.uint32]:
        """How often."""
        return self.columns["times"]

    def among(self, rows: NDArray[Any]) -> DayArrays:
        """Keep some rows, by their places or by a flag each."""
        import numpy as np

        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return DayArrays(_Gathered(self.columns, places), self.roles)

    def of(self, role: str) -> DayArrays:
        """Keep the rows of one role."""
        import numpy as np

        number = self.roles.index(role) if role in self.roles else -1
        return self.among(np.flatnonzero(self.role == number))

    def among_roles(self, chosen: list[bool]) -> Flags:
        """Flag the rows of some roles, given a truth for each of `roles`."""
        import numpy as np

        flags: Flags = np.array([*chosen, False], np.bool_)[self.role]
        return flags

    def advanced(self) -> DayArrays:
        """Keep the rows of advanced actions."""
        import numpy as np

        chosen = [role.startswith(ADVANCED) for role in self.roles]
        return self.among(np.flatnonzero(self.among_roles(chosen)))


def day_arrays(journeys: Journeys) -> DayArrays:
    """Take the days of journeys as arrays; kept with them."""
    return once(journeys, DAY_ARRAYS, _day_arrays)


def keep_days(journeys: Journeys, days: DayArrays) -> None:
    """Keep the days with journeys just made of them: making them again of the table takes longer than an answer."""
    kept_of(journeys)[DAY_ARRAYS] = days


def _day_arrays(journeys: Journeys) -> DayArrays:
    import numpy as np

    days = (
        journeys.days.lazy()
        .select("user_id", pl.col("role").cast(pl.String), "day", "first_at", "last_at", "times")
        .collect()
    )
    user, known = places(days["user_id"], everybody(journeys))
    roles, role = _coded(days["role"])
    columns: dict[str, Any] = {
        "user": user,
        "role": role,
        "day": days["day"].to_physical().to_numpy(),
        "first": instants(days["first_at"]),
        "last": instants(days["last_at"]),
        "times": days["times"].to_numpy(),
    }
    made = DayArrays(columns, roles)
    if not known.all():
        made = made.among(known)
    return made if _in_order(made) else made.among(np.lexsort((made.day, made.role, made.user)))


def _coded(texts: pl.Series) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """List the texts there are, sorted, and the place of each row's among them; each text is looked up once."""
    import numpy as np

    found = texts.cast(pl.Categorical(pl.Categories.random()))
    kind: Any = found.dtype
    known: pl.Series = kind.categories.to_series()
    place = np.empty(known.len(), np.int16)
    place[known.arg_sort().to_numpy()] = np.arange(known.len())
    return tuple(known.sort()), place[found.to_physical().to_numpy()]


def _in_order(days: DayArrays) -> bool:
    """Say whether rows stand in the order of user, role and day, as `rollup` leaves them."""
    same = days.user[1:] == days.user[:-1]
    role = days.role[1:] == days.role[:-1]
    later = (days.role[1:] > days.role[:-1]) | (role & (days.day[1:] >= days.day[:-1]))
    return bool(((days.user[1:] > days.user[:-1]) | (same & later)).all())


def users_in_order(journeys: Journeys) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take `users` and `late`, read once: tables on disk that are narrowed may come in another order the next time."""
    return once(journeys, "users in order", _users_in_order)


def _users_in_order(journeys: Journeys) -> tuple[pl.DataFrame, pl.DataFrame]:
    users, late = (t.lazy().drop(EARLY_EVENTS) for t in (journeys.users, journeys.late))
    both = pl.collect_all([users, pl.concat([users.head(0), late], how="diagonal")])
    return both[0], both[1]


def everybody(journeys: Journeys) -> pl.Series:
    """List the ids of `users`, and after them of `late`."""
    users, late = users_in_order(journeys)
    return pl.concat([users["user_id"], late["user_id"]]).rechunk()


def places(ids: pl.Series, known: pl.Series) -> tuple[NDArray[Any], Flags]:
    """Find where ids stand among known ones, which stand once each; and which of them are known.

    Ids that stand one after the other are looked up once, so that sorted tables cost little.
    """
    import numpy as np

    begins = (ids != ids.shift(1)).fill_null(value=True).arg_true()
    place, there = _ranked(ids.gather(begins), known)
    lengths = np.diff(np.append(begins.to_numpy(), ids.len()))
    return np.repeat(place, lengths), np.repeat(there, lengths)


def _ranked(ids: pl.Series, known: pl.Series) -> tuple[NDArray[Any], Flags]:
    import numpy as np

    if known.len() and known.dtype.is_integer() and known.is_sorted():
        place = np.minimum(np.searchsorted(known.to_numpy(), ids.to_numpy()), known.len() - 1)
        return place.astype(np.int32), known.to_numpy()[place] == ids.to_numpy()
    ranked = known.alias("user_id").to_frame().with_row_index("place")
    runs = ids.alias("user_id").to_frame()
    found = runs.join(ranked, on="user_id", how="left", maintain_order="left")["place"]
    return found.fill_null(0).to_numpy().astype(np.int32), found.is_not_null().to_numpy()


def instants(column: pl.Series) -> Ints:
    """Take instants as microseconds; `NEVER` where there is none."""
    found: Ints = column.to_physical().fill_null(NEVER).to_numpy()
    return found


def first_rows(user: NDArray[Any]) -> NDArray[np.intp]:
    """Find where each user's rows begin, among rows sorted by user."""
    import numpy as np

    if not len(user):
        return np.zeros(0, np.intp)
    return np.flatnonzero(np.r_[True, user[1:] != user[:-1]])

"""Who was retained and who churned: the two groups that first weeks are compared between."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import whole_faults
from engagekit.errors import ColumnError, EngagekitWarning, ParameterError, nearest, private
from engagekit.instants import AT, days
from engagekit.intervals import RATE, wilson_columns
from engagekit.journeys import check_journeys, gathered, outcome_days_of
from engagekit.log import as_lazy
from engagekit.matchers import event_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys
    from engagekit.log import Frame

RETAINED, CHURNED, TOO_NEW, LEFT_OUT = "retained", "churned", "not yet observable", "left out"
OUTCOME = pl.Enum([RETAINED, CHURNED, TOO_NEW, LEFT_OUT])
FEW_STRANGERS = 0.1  # so many of the ids given may be of nobody in the journeys, without a word
OUTCOMES: dict[str, Any] = {"outcome": pl.String, "reason": pl.String} | RATE


def outcomes(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    core_days: int = 1,
    people: bool = False,
) -> pl.DataFrame:
    """Say how many users were retained, how many churned, and who cannot be judged.

    ``rate = retained / (retained + churned)``; retained: the core action on at least `core_days` different days
    within the definition's `outcome_days` since sign-up.

    Parameters
    ----------
    journeys
        Rolled-up journeys.
    outcome
        A frame ``user_id, retained`` (true or false) that says it in place of the rule: renewed, passed, still paying.
        Users who are not in it, or null, count as not yet observable; so do users whose first days are not over.
    among
        A frame with `user_id`: only these users.
    core_days
        How many different local days with the core action make a user retained.
    people
        Return the users instead.

    Returns
    -------
    DataFrame
        ``outcome, reason, n, of, rate, low, high``: one row for ``"retained"`` and one for ``"churned"`` (`of` is both
        together), then rows ``"not yet observable"`` and ``"left out"``, each with its `reason`, without a rate.
        With ``people=True``: ``outcome, user_id``, for the users who are in the journeys.

    Raises
    ------
    ColumnError
        `outcome` or `among` lacks a column or holds the wrong kind.
    EventLogError
        `outcome` or `among` is no table.
    ParameterError
        `core_days` means nothing, or stands beside `outcome`.

    Notes
    -----
    The outcome window lies wholly after the early days, and only users whose window has fully passed are judged.

    Examples
    --------
    >>> from engagekit.definition import Definition
    >>> from engagekit.rollups import rollup
    >>> log = pl.DataFrame({"user_id": [1, 1, 2, 3], "event": ["start", "work", "start", "start"],
    ...     "at": ["2026-01-01", "2026-02-03", "2026-01-02", "2026-03-01"]},
    ... ).with_columns(pl.col("at").str.to_date())
    >>> definition = Definition(signup="start", activation="work", core="work", outcome_days=(28, 42))
    >>> outcomes(rollup(log, definition, as_of="2026-03-10")).select("outcome", "n", "of").rows()
    [('retained', 1, 2), ('churned', 1, 2), ('not yet observable', 1, None)]
    """
    if outcome is None and among is None:
        frame = gathered(journeys, lambda part: _classed(part, core_days=core_days))
    else:
        frame = _classed(journeys, outcome=outcome, among=among, core_days=core_days)
    if people:
        named = frame.select(pl.col("outcome").cast(pl.String), "user_id")
        return named.sort("outcome", "user_id").collect()
    counts = frame.group_by("outcome").agg(pl.len().cast(pl.Int64).alias("n")).collect()
    known = dict(counts.iter_rows())
    judged = known.get(RETAINED, 0) + known.get(CHURNED, 0)
    waiting = _window_said(journeys) if outcome is None else _waiting_said(journeys, frame)
    rows = [(name, "", known.get(name, 0), judged) for name in (RETAINED, CHURNED)]
    rows += [(TOO_NEW, waiting, known[TOO_NEW], None)] if TOO_NEW in known else []
    rows += (
        [(LEFT_OUT, "not among the users asked for", known[LEFT_OUT], None)]
        if LEFT_OUT in known
        else []
    )
    rows += [
        (LEFT_OUT, reason, count, None)
        for reason, count, unit in journeys.left_out.select("reason", "count", "unit").iter_rows()
        if unit != "events"
    ]
    table = pl.DataFrame(rows, schema=["outcome", "reason", "n", "of"], orient="row")
    return table.with_columns(wilson_columns()).select(
        [pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items()]
    )


def judged_users(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    core_days: int = 1,
    keys: Sequence[str] = (),
) -> list[pl.DataFrame]:
    """Take the users whose outcome is known, part by part.

    Columns ``user_id, signed_up_at, retained``, the properties as `stand_ins`, and ``_row``: where they stand in the
    users of their part.
    """
    check_journeys(journeys)

    def judged(part: Journeys) -> pl.DataFrame:
        frame = _classed(part, outcome=outcome, among=among, core_days=core_days, keys=keys)
        known = frame.filter(pl.col("outcome").is_in([RETAINED, CHURNED]))
        retained = (pl.col("outcome") == RETAINED).alias("retained")
        return known.select("user_id", "signed_up_at", retained, *stand_ins(keys), "_row").collect()

    if outcome is None and among is None:
        return [judged(part) for part in journeys.parts()]
    # What came from outside is looked through once, not once for each part.
    return _cut(judged(journeys), journeys) if journeys.pieces else [judged(journeys)]


def _cut(users: pl.DataFrame, journeys: Journeys) -> list[pl.DataFrame]:
    where = pl.concat(
        part.users.lazy().select("user_id", _part=pl.lit(number, pl.UInt32)).with_row_index("_row")
        for number, part in enumerate(journeys.parts())
    )
    placed = users.drop("_row").join(where.collect(), on="user_id", how="left")
    cut = placed.partition_by("_part", as_dict=True, include_key=False)
    return [cut.get((number,), users.clear()) for number in range(len(journeys.pieces))]


def stand_ins(keys: Sequence[str]) -> list[str]:
    """Name properties by their place while counting: a property may bear the name of any column in between."""
    return [f"_by_{place}" for place in range(len(keys))]


def defining(journeys: Journeys, outcome: Frame | None) -> Sequence[str]:
    """Name the actions that decide who is retained; an outcome from outside is decided by none."""
    return event_names(journeys.definition.core) if outcome is None else ()


def account_of(journeys: Journeys) -> str | None:
    """Name the property that says which account a user belongs to, where users are the unit and it is known."""
    known = journeys.unit == "user" and "account_id" in journeys.properties
    return "account_id" if known else None


def account_numbers(accounts: pl.Series) -> Any:
    """Give each account a number; users without one stand for themselves."""
    import numpy as np

    number = accounts.rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()
    alone = np.arange(len(number)) + number.max(initial=0) + 1
    return np.where(number < 0, alone, number)


def belonging(journeys: Journeys, outcome: Frame | None) -> dict[str, str]:
    """Say of the events that make up the loop what they are in it: they are links to mend, and no levers for themselves."""
    definition = journeys.definition
    asked: list[tuple[str, object]] = (
        [] if outcome is not None else [("core action", definition.core)]
    )
    asked += [("sign-up", definition.signup), ("activation", definition.activation)]
    for step in definition.steps:
        asked += [
            (f"step {step.name!r} reached", step.reached),
            (f"step {step.name!r}", step.completed),
        ]
    asked += [("advanced action", matcher) for matcher in definition.advanced]
    asked += [("advocacy", matcher) for matcher in definition.advocacy]
    found: dict[str, str] = {}
    for what, matcher in asked:
        for name in event_names(matcher) if matcher else ():
            found.setdefault(name, what)
    return found


def _window_said(journeys: Journeys) -> str:
    start, end = outcome_window(journeys)
    return f"days {start} to {end} since sign-up are not over"


def _waiting_said(journeys: Journeys, frame: pl.LazyFrame) -> str:
    """Say why users cannot be judged by an outcome from outside: it is not given, or they are too new all the same."""
    first_days = journeys.definition.first_days
    too_new = pl.col("signed_up_at") + days(first_days) > pl.lit(journeys.as_of, AT)
    waiting = frame.filter(pl.col("outcome") == TOO_NEW).select(too_new.sum(), n=pl.len())
    young, n = waiting.collect().row(0)
    if not young:
        return "no outcome is given"
    said = f"days 0 to {first_days} since sign-up are not over"
    return said if young == n else f"no outcome is given, or {said} ({young:,} of them)"


def outcome_window(journeys: Journeys) -> tuple[int, int]:
    """Return the resolved outcome window of journeys, in days since sign-up."""
    window = journeys.definition.outcome_days
    if window is None:
        raise ParameterError(
            "The definition in these journeys has no outcome_days; roll the log up, or set outcome_days=(28, 42)."
        )
    return window


def _classed(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    core_days: int,
    keys: Sequence[str] = (),
) -> pl.LazyFrame:
    """Give every user of the journeys an outcome."""
    check_journeys(journeys)
    if faults := whole_faults("core_days", core_days):
        raise ParameterError(*faults)
    if outcome is not None and core_days != 1:
        raise ParameterError(
            f"core_days={core_days} and outcome both say who was retained; leave one of them out."
        )
    inner = stand_ins(keys)
    properties = [pl.col(key).alias(name) for key, name in zip(keys, inner, strict=True)]
    users = journeys.users.lazy().select("user_id", "signed_up_at", *properties)
    users = users.with_row_index("_row")
    end = pl.lit(journeys.as_of, AT)
    if outcome is None:
        after = outcome_window(journeys)[1]
        known = _returned(journeys, core_days)
    else:
        after = journeys.definition.first_days
        known = _given(outcome, users, "outcome", ["retained"])
    if outcome is None and isinstance(journeys.users, pl.DataFrame):  # both in the users' order
        table = pl.concat([users, known.select("retained")], how="horizontal")
    else:
        table = users.join(known, on="user_id", how="left", maintain_order="left")
    if outcome is None:
        table = table.with_columns(pl.col("retained").fill_null(value=False))
    observable = (pl.col("signed_up_at") + days(after) <= end) & pl.col("retained").is_not_null()
    asked = pl.lit(value=True)
    if among is not None:
        chosen = _given(among, users, "among").select("user_id", pl.lit(value=True).alias("_asked"))
        table = table.join(chosen, on="user_id", how="left", maintain_order="left")
        asked = pl.col("_asked").is_not_null()
    named = (
        pl.when(~asked)
        .then(pl.lit(LEFT_OUT, OUTCOME))
        .when(~observable)
        .then(pl.lit(TOO_NEW, OUTCOME))
        .when("retained")
        .then(pl.lit(RETAINED, OUTCOME))
        .otherwise(pl.lit(CHURNED, OUTCOME))
    )
    return table.select("user_id", "signed_up_at", named.alias("outcome"), *inner, "_row")


def _returned(journeys: Journeys, core_days: int) -> pl.LazyFrame:
    """Find users with enough core days in the outcome window: a day counts if its core actions reach into it."""
    enough = (pl.col("outcome_days") >= core_days).alias("retained")
    return outcome_days_of(journeys).select("user_id", enough)


def _given(
    frame: Frame, users: pl.LazyFrame, name: str, columns: Sequence[str] = ()
) -> pl.LazyFrame:
    """Check a frame of users that came from outside, and keep one row for each of them."""
    lazy = as_lazy(frame, what=f"The frame given as {name}")
    schema, ids = lazy.collect_schema(), users.collect_schema()["user_id"]
    faults = [
        f"there is no column {c!r}.{nearest(c, schema.names())}"
        for c in ("user_id", *columns)
        if c not in schema
    ]
    if not faults and not same_kind(schema["user_id"], ids):
        faults.append(
            f"'user_id' holds {schema['user_id']}, the journeys' holds {ids}; cast one to the other."
        )
    faults += [
        f"{column!r} holds {schema[column]}; it takes true and false."
        for column in columns
        if column in schema and not (schema[column] == pl.Boolean or schema[column].is_numeric())
    ]
    if faults:
        raise ColumnError.from_faults(f"The frame given as {name} cannot be used", faults)
    # An id that the journeys' type cannot hold is none of theirs.
    same = pl.col("user_id").cast(ids, strict=False)
    lazy = lazy.select(same, *columns).drop_nulls("user_id")
    for column in columns:
        lazy = _true_or_false(lazy, column, name)
    lazy = lazy.unique()
    twice = lazy.filter(pl.col("user_id").is_duplicated()).select("user_id").head(1).collect()
    if twice.height:
        raise ColumnError(
            f"The frame given as {name} says two things about user {private(repr(twice.item()))}; keep one row for each."
        )
    _check_ids(lazy, users, name)
    return lazy


def _check_ids(lazy: pl.LazyFrame, users: pl.LazyFrame, name: str) -> None:
    """Refuse a frame of quite other ids; warn of one that knows these users in part.

    Some of its ids may be of users who are left out of the journeys, so a few say nothing.
    """
    ids = lazy.select("user_id")
    given, known = pl.collect_all(
        [
            ids.select(pl.len()),
            ids.join(users.select("user_id"), on="user_id", how="semi").select(pl.len()),
        ]
    )
    given, known = given.item(), known.item()
    some = users.select("user_id").head(1).collect()
    if not given or not some.height or given - known <= FEW_STRANGERS * given:
        return
    frame = f"of the {given:,} ids of the frame given as {name}"
    if not known:
        raise ParameterError(
            f"None {frame} is of a user in these journeys; write the ids as the log does."
        )
    warnings.warn(
        f"Only {known:,} {frame} are of users in these journeys. The others are of users left out (see left_out), or written "
        "differently; if it is the latter, write them as the log does.",
        EngagekitWarning,
        stacklevel=2,
    )


def same_kind(one: pl.DataType, other: pl.DataType) -> bool:
    """Say whether ids of two types can be the same ids: both whole numbers, or both text."""
    texts = (pl.String, pl.Categorical, pl.Enum)
    return (one.is_integer() and other.is_integer()) or all(
        isinstance(each, texts) for each in (one, other)
    )


def _true_or_false(lazy: pl.LazyFrame, column: str, name: str) -> pl.LazyFrame:
    """Read 1 and 0 as true and false, not-a-number as unknown; refuse other numbers, such as probabilities."""
    schema = lazy.collect_schema()
    if schema[column] == pl.Boolean:
        return lazy
    if schema[column].is_float():
        lazy = lazy.with_columns(pl.col(column).fill_nan(None))
    other = lazy.filter(pl.col(column) != 0, pl.col(column) != 1).select(column).head(1).collect()
    if other.height:
        raise ColumnError(
            f"The frame given as {name} cannot be used: {column!r} holds {other.item()!r}; it takes true and false, or 1 and 0."
        )
    return lazy.with_columns(pl.col(column) == 1)

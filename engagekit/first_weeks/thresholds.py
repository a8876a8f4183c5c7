"""How often within how many days: the grid of thresholds, chosen on one half of the users and reported on the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import (
    is_whole,
    percent,
)
from engagekit.errors import ColumnError, ParameterError, TooFewUsersError, listing, nearest
from engagekit.first_weeks.activity_strata import ACTIVE_DAYS, Early, Logged, early_of, logged
from engagekit.first_weeks.retained import (
    account_numbers,
    account_of,
    defining,
    judged_users,
    same_kind,
    stand_ins,
)
from engagekit.first_weeks.sentences import late_said
from engagekit.ingest import normal_form
from engagekit.instants import AT, days
from engagekit.journeys import check_journeys, group_names
from engagekit.log import open_log
from engagekit.strata import association, benjamini_hochberg, chi2_tail

if TYPE_CHECKING:
    from engagekit.first_weeks.threshold_trials import Cells
    from engagekit.journeys import Journeys
    from engagekit.log import Frame

MOST_TIMES = 10**9  # nobody does anything more often, and larger numbers fit no column
GRID: dict[str, Any] = {
    "action": pl.String,
    "at_least": pl.Int64,
    "within_days": pl.Int64,
    "unit": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "reach": pl.Float64,
    "precision": pl.Float64,
    "base_rate": pl.Float64,
    "lift": pl.Float64,
    "sensitivity": pl.Float64,
    "specificity": pl.Float64,
    "npv": pl.Float64,
    "risk_ratio": pl.Float64,
    "adjusted_risk_ratio": pl.Float64,
    "adjusted_low": pl.Float64,
    "adjusted_high": pl.Float64,
    "same_day_risk_ratio": pl.Float64,
    "phi": pl.Float64,
    "phi_choosing": pl.Float64,
    "chosen": pl.Boolean,
    "p": pl.Float64,
    "q": pl.Float64,
    "confirmed": pl.Boolean,
    "part_of_definition": pl.Boolean,
    "launched_at": AT,
    "sentence": pl.String,
}

DEFAULT_WITHIN = (1, 3, 7, 14)
CLEAR = 0.05
ANOTHER_LOG = "give the log that they were rolled up from (of accounts: with the account in place of the user)."


def find_threshold(
    journeys: Journeys,
    *,
    actions: str | Sequence[str] | None = None,
    outcome: Frame | None = None,
    among: Frame | None = None,
    thresholds: Sequence[int] = (1, 2, 3, 5, 10),
    within: Sequence[int] | None = None,
    events: Any = None,
    core_days: int = 1,
    adjust: str | Sequence[str] = (),
) -> pl.DataFrame:
    """Say which "did it at least k times within d days" goes with being retained, and how well it tells.

    ``precision = retained and did / did``, ``lift = precision / base_rate``, ``sensitivity = retained and did / retained``,
    ``phi`` as in `engagekit.strata.association`.

    Parameters
    ----------
    journeys, outcome, among, core_days, adjust
        As for `engagekit.first_weeks.compare_first_weeks`.
    actions
        An event name or a list of them; None: all.
    thresholds
        The k of the grid.
    within
        The d of the grid, in days since sign-up, up to the definition's `first_days`; None: 1, 3, 7, 14 below these, and
        all of them.
    events
        The event log. Journeys know on which of the first days an action was done, not how often on each; so without
        the log k counts different days, with it every time.

    Returns
    -------
    DataFrame
        One row per action and cell of the grid, each action's chosen cell first, the strongest action first: `action`,
        `at_least`, `within_days`, `unit` (``"days"`` or ``"times"``); on the half of the users that did not choose: `n` users
        who did, of `of`; `reach`; `precision` beside `base_rate` and `lift`; `sensitivity`, `specificity`, `npv`;
        `risk_ratio`; `adjusted_risk_ratio` with `adjusted_low`, `adjusted_high`: the trials' (null with fewer than 10 users on
        a side); `phi`; then `phi_choosing` on the half that chose; `chosen`; for chosen cells `same_day_risk_ratio`, `p` (the
        larger chance of the two adjusted figures) and, over actions, `q` (which does not count active days, nor actions that
        define the outcome); `confirmed`: q is at most 0.05 and every figure lies above 1; `part_of_definition`; `launched_at`: the action
        was launched late and only users who signed up later are compared; `sentence`.

    Raises
    ------
    ParameterError
        `thresholds` or `within` means nothing, or an action is not in the first days: all faults. Or `events` is not
        the log of these journeys.
    ColumnError
        `outcome`, `among` or `events` lacks a column or holds the wrong kind.
    TooFewUsersError
        Nobody can be judged yet.

    Notes
    -----
    A cell is chosen where, on the choosing half, users who reached it were most surely retained more often in the trials
    (see `engagekit.first_weeks.compare_first_weeks`; within d days: the trials of these days). With `events` the trials are
    of those who reach k times on a day, against those who had done it equally often before. The best of a grid flatters
    itself: with 300 users and 50 actions phi of pure noise is 0.23 on the half that chose, and 0 on the other. So a cell
    tells who stays only if the other half confirms it. The halves are fixed by a hash of the user id.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=2000, seed=1, telling={"tour_taken": (0.8, 0.2)})
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> found = find_threshold(journeys, actions="tour_taken", within=(7, 14))
    >>> found.filter(action="tour_taken", chosen=True).select("at_least", pl.col("lift").round(1)).rows()
    [(1, 1.9)]
    """
    check_journeys(journeys)
    span = journeys.definition.first_days
    if within is None:
        within = [*[d for d in DEFAULT_WITHIN if d < span], span]
    _check(thresholds, within, span, actions)
    unit = "days" if events is None else "times"
    grid = [
        (k, d)
        for d in sorted({*within})
        for k in sorted({*thresholds})
        if unit == "times" or k <= d
    ]
    account, inner = account_of(journeys), group_names(journeys, adjust)
    names = list(dict.fromkeys([*inner, *([account] if account else [])]))
    judged = judged_users(journeys, outcome=outcome, among=among, core_days=core_days, keys=names)
    if not any(part.height for part in judged):
        raise TooFewUsersError("Nobody's outcome is known yet, so no threshold can be found.")
    held = dict(zip(names, stand_ins(names), strict=True))
    early = early_of(journeys, judged, adjust=[held[name] for name in inner])
    found = logged(journeys, early, names=_known(early, actions))
    if events is not None:
        found = _timed(early, found, events, max(within))
    accounts = None if account is None else account_numbers(early.people[held[account]])
    return _told(_cells(early, found, grid, accounts), grid, unit, defining(journeys, outcome))


def _check(thresholds: Sequence[int], within: Sequence[int], span: int, actions: object) -> None:
    faults = []
    for name, values, most in (("thresholds", thresholds, None), ("within", within, span)):
        whole = isinstance(values, Sequence) and all(is_whole(v, most=MOST_TIMES) for v in values)
        if not whole or not values:
            faults.append(
                f"{name} is {values!r}; it takes whole numbers of at least 1, up to a billion."
            )
        elif most is not None and max(values) > most:
            faults.append(
                f"{name} goes up to {max(values)}; journeys know the first {most} days (first_days)."
            )
    names = [actions] if actions is None or isinstance(actions, str) else actions
    if not isinstance(names, Sequence) or not names:
        faults.append(f"actions is {actions!r}; it takes an event name or a list of them.")
    if faults:
        raise ParameterError.from_faults("No threshold can be looked for", faults)


def _known(early: Early, actions: str | Sequence[str] | None) -> list[str] | None:
    """Refuse actions that nobody did in the first days."""
    if actions is None:
        return None
    asked = [actions] if isinstance(actions, str) else list(actions)
    events = early.asked(lambda did: did.select(pl.col("event").unique()))
    known = events.unique().collect()["event"].cast(pl.String).to_list()
    names = [name if name in known else normal_form(name) for name in asked]
    if missing := [name for name in names if name not in known]:
        hints = "".join(nearest(str(name), known) for name in missing)
        raise ParameterError(
            f"Nobody judged did {listing(missing, last='or')} in the first days.{hints}"
        )
    return names


def _timed(early: Early, found: Logged, events: Any, most: int) -> Logged:
    """Count every time of the actions on each day, from the log."""
    import numpy as np

    from engagekit.first_weeks.trials import Acts

    log, _ = open_log(events)
    ids = early.people.schema["user_id"]
    if not same_kind(log.collect_schema()["user_id"], ids):
        raise ColumnError(
            f"'user_id' of events holds {log.collect_schema()['user_id']}, the journeys' holds {ids}; {ANOTHER_LOG}"
        )
    people = early.people.lazy().select("user_id", "person", "signed_up_at")
    since = pl.col("at") - pl.col("signed_up_at")
    counted = (
        log.select(pl.col("user_id").cast(ids, strict=False), pl.col("event").cast(pl.String), "at")
        .filter(pl.col("event").is_in(found.names))
        .join(people, on="user_id")
        .filter(since >= days(0), since < days(most))
        .group_by("person", "event", (since.dt.total_days()).alias("day"))
        .agg(pl.len().cast(pl.UInt32).alias("times"))
        .collect()
    )
    acts, place = found.acts, {name: number for number, name in enumerate(found.names)}
    action = np.repeat(np.arange(acts.actions), np.diff(acts.starts))
    row = pl.DataFrame({"person": acts.user.astype(np.uint32), "_action": action}).with_row_index(
        "row"
    )
    code = pl.col("event").replace_strict(place, return_dtype=pl.Int64).alias("_action")
    placed = counted.with_columns(code, pl.col("person").cast(pl.UInt32)).join(
        row, on=["person", "_action"]
    )
    done = np.zeros((early.known.days + 1, len(acts.user)), np.int64)
    at = placed["day"].to_numpy() + 1, placed["row"].to_numpy()
    done[at] = placed["times"].to_numpy()
    # On which days it was done is known, and must be what the log says.
    bits = ((acts.days[None, :] >> np.arange(most, dtype=np.uint32)[:, None]) & 1) > 0
    if missing := int((bits & (done[1 : most + 1] == 0)).sum()):
        raise ParameterError(
            f"events lacks {missing:,} of the {int(bits.sum()):,} early actions that these journeys know; {ANOTHER_LOG}"
        )
    timed = Acts(acts.user, acts.days, acts.own, acts.starts, acts.able, done.cumsum(axis=0))
    return Logged(found.names, found.launched, timed)


def _cells(
    early: Early, found: Logged, grid: Sequence[tuple[int, int]], account: Any
) -> list[dict[str, Any]]:
    """Write a row per action and cell: the figures of the half that tells, and what the other half chose."""
    from engagekit.first_weeks.threshold_trials import cells, chosen_sums

    half = early.people["half"].to_numpy()
    halves = {}
    for side in (True, False):
        mine = half == side
        known, acts = early.known.only(mine), found.acts.among(mine)
        halves[side] = known, acts, cells(known, acts, grid)
    choosing, telling = halves[True][2], halves[False][2]
    best = choosing.best()
    known, acts, _ = halves[False]
    mine = None if account is None else account[~half]
    trial, beside, p, alike = chosen_sums(known, acts, grid, best, telling, mine)
    rows = []
    for action, name in enumerate(found.names):
        chances = choosing.chance[action, best[action]] if best[action] >= 0 else None
        for place in range(len(grid)):
            row = _figures(telling, action, place) | {
                "action": name, "mark": place, "rank": chances, "chosen": place == best[action],
                "phi_choosing": _phi(choosing, action, place), "launched_at": found.launched[action],
            }  # fmt: skip
            if row["chosen"]:
                row |= _adjusted(trial[action], row, alike, action)
                row |= {"p": _number(p[action]), "same_day_risk_ratio": _ratio(beside[action])}
            rows.append(row)
    if found.acts.done is None:
        rows += _activity(early, grid, half)
    return rows


def _figures(cells: Cells, action: int, place: int) -> dict[str, Any]:
    """Compute the plain figures of a cell, and the trials'."""
    row = _plain(*cells.table(action, place))
    return row | _adjusted(cells.sums[action, place], row, None, action)


def _plain(a: int, b: int, c: int, d: int) -> dict[str, Any]:
    found = association(a, b, c, d)
    return {
        "n": a + b, "of": a + b + c + d, "reach": _number(found.reach), "precision": _number(found.ppv),
        "base_rate": _number(found.base_rate), "lift": _number(found.lift),
        "sensitivity": _number(found.sensitivity), "specificity": _number(found.specificity),
        "npv": _number(found.npv), "phi": _number(found.phi),
        "risk_ratio": _number(a / (a + b) / (c / (c + d))) if a + b and c else None,
    }  # fmt: skip


def _adjusted(sums: Any, row: dict[str, Any], alike: Any, action: int) -> dict[str, Any]:
    from engagekit.first_weeks.contingency_tables import LEAST_USERS
    from engagekit.first_weeks.verdicts import ratio_of

    if min(row["n"], row["of"] - row["n"]) < LEAST_USERS:
        return {}
    effect, freedom = (
        (1.0, math.inf) if alike is None else (alike.effect[action], alike.freedom[action])
    )
    ratio = ratio_of(sums, float(effect), float(freedom), row["of"] - row["n"])
    names = ("adjusted_risk_ratio", "adjusted_low", "adjusted_high")
    return dict(zip(names, (ratio.ratio, ratio.low, ratio.high), strict=True))


def _ratio(sums: Any) -> float | None:
    from engagekit.first_weeks.verdicts import ratio_of

    return ratio_of(sums).ratio


def _phi(cells: Cells, action: int, place: int) -> float | None:
    return _number(association(*cells.table(action, place)).phi)


def _activity(early: Early, grid: Sequence[tuple[int, int]], half: Any) -> list[dict[str, Any]]:
    """Write the rows of active days, for which nothing is left to adjust: chosen by the plain table."""
    rows, volume, retained = [], early.known.volume > 0, early.known.retained
    for place, (k, d) in enumerate(grid):
        did = volume[:d].sum(axis=0) >= k
        tables = [
            tuple(int((mine & x & y).sum()) for x in (did, ~did) for y in (retained, ~retained))
            for mine in (half, ~half)
        ]
        choosing, telling = (_plain(*table) for table in tables)
        chance = _chance(choosing)
        rows.append(telling | {
            "action": ACTIVE_DAYS, "mark": place, "phi_choosing": choosing["phi"], "rank": chance,
            "chosen": False, "p": _chance(telling),
        })  # fmt: skip
    usable = [row for row in rows if row["rank"] is not None and (row["phi_choosing"] or 0) > 0]
    best = min(usable, key=lambda row: (row["rank"], row["mark"]), default=None)
    for row in rows:
        row["chosen"] = row is best
        row["rank"] = None if best is None else best["rank"]
        row["p"] = row["p"] if row["chosen"] else None
    return rows


def _chance(row: dict[str, Any]) -> float | None:
    from engagekit.first_weeks.contingency_tables import LEAST_USERS

    few = min(row["n"], row["of"] - row["n"]) < LEAST_USERS
    return None if few or row["phi"] is None else chi2_tail(row["of"] * row["phi"] ** 2)


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _told(
    rows: list[dict[str, Any]], grid: Sequence[tuple[int, int]], unit: str, core: Sequence[str]
) -> pl.DataFrame:
    for row in rows:
        row["at_least"], row["within_days"] = grid[row["mark"]]
        row["unit"], row["part_of_definition"] = unit, row["action"] in core
    # Active days and what defines the outcome are sure to stand out, and would make the rest look surer.
    family = [
        row for row in rows if not (row["part_of_definition"] or row["action"] == ACTIVE_DAYS)
    ]
    found = benjamini_hochberg(row.get("p") for row in family)
    for row, q in zip(family, found, strict=True):
        row["q"] = _number(q)
    for row in rows:
        above = [
            row[name]
            for name in ("lift", "adjusted_risk_ratio", "same_day_risk_ratio")
            if row.get(name) is not None
        ]
        clear = row.get("q") is not None and row["q"] <= CLEAR
        row["confirmed"] = bool(row["chosen"] and clear and min(above, default=0) > 1)
        row["sentence"] = _said({name: row.get(name) for name in GRID})
    table = pl.DataFrame(
        [{name: row.get(name) for name in (*GRID, "mark", "rank")} for row in rows],
        schema=GRID | {"mark": pl.Int64, "rank": pl.Float64}, orient="row",
    )  # fmt: skip
    table = table.sort("rank", "action", ~pl.col("chosen"), "mark", nulls_last=True)
    return table.select(list(GRID))


def _said(row: dict[str, Any]) -> str:
    often = (
        f"on at least {row['at_least']} days"
        if row["unit"] == "days"
        else f"at least {row['at_least']} times"
    )
    if row["at_least"] == 1:
        often = "at all"
    cell = (
        f"{row['action']!r} {often} within {row['within_days']} day{'s'[: row['within_days'] > 1]}"
    )
    if not row["n"]:
        return f"{cell}: nobody on the half that is reported."
    told = (
        f"{cell}: {percent(row['precision'])} of those who did were retained, against {percent(row['base_rate'])} of all "
        f"(lift {row['lift']:.2f}); {percent(row['sensitivity'])} of the retained did. "
        if row["lift"] is not None
        else f"{cell}: nobody was retained. "
    )
    fair = row["adjusted_risk_ratio"]
    beside = "" if fair is None else f"Of users alike until then {fair:.2f} times as often. "
    return f"{told}{beside}{_meaning(row)}{late_said(row)}"


def _meaning(row: dict[str, Any]) -> str:
    if not row["chosen"]:
        return "Another threshold was chosen on the other half."
    if row["part_of_definition"]:
        return "It is part of what counts as retained, so it says little about what to change."
    if row["action"] == ACTIVE_DAYS:
        return "Coming often and staying go together; that says nothing about what to change."
    if row["confirmed"]:
        return "It tells who stays; that it makes them stay is not shown."
    return "Chosen on one half of the users, and not confirmed by the other: it does not tell who stays."

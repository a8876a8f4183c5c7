"""From what was compared to rows: every figure of an action, its verdict, and its words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import is_whole
from engagekit.errors import ParameterError, listing, nearest
from engagekit.first_weeks.activity_strata import (
    ACTIVE_DAYS,
    Early,
    Logged,
    early_of,
    groups_of,
    logged,
)
from engagekit.first_weeks.retained import (
    account_numbers,
    account_of,
    belonging,
    defining,
    judged_users,
    stand_ins,
)
from engagekit.first_weeks.sentences import question, sentence
from engagekit.first_weeks.settling import is_lever, pace, settling, waiting_days
from engagekit.instants import AT
from engagekit.intervals import newcombe, newcombe_columns, z_of
from engagekit.journeys import LONGEST, group_names
from engagekit.strata import benjamini_hochberg, chi2_tail

if TYPE_CHECKING:
    from engagekit.first_weeks.contingency_tables import Tally
    from engagekit.first_weeks.trial_strata import Ints
    from engagekit.first_weeks.verdicts import Weighed
    from engagekit.journeys import Journeys
    from engagekit.log import Frame

COLUMNS: dict[str, Any] = {
    "action": pl.String,
    "at_least": pl.Int64,
    "n_retained": pl.Int64,
    "n_churned": pl.Int64,
    "did_retained": pl.Int64,
    "did_churned": pl.Int64,
    "share_retained": pl.Float64,
    "share_churned": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "retention_did": pl.Float64,
    "retention_not": pl.Float64,
    "risk_ratio": pl.Float64,
    "adjusted_risk_ratio": pl.Float64,
    "adjusted_low": pl.Float64,
    "adjusted_high": pl.Float64,
    "same_day_risk_ratio": pl.Float64,
    "uncompared": pl.Float64,
    "e_value": pl.Float64,
    "phi": pl.Float64,
    "phi_holdout": pl.Float64,
    "reach": pl.Float64,
    "tried": pl.Int64,
    "design_effect": pl.Float64,
    "p": pl.Float64,
    "q": pl.Float64,
    "trial_q": pl.Float64,
    "part_of_definition": pl.Boolean,
    "belongs_to": pl.String,
    "control": pl.Boolean,
    "controls": pl.Int64,
    "controls_clear": pl.Int64,
    "launched_at": AT,
    "test_users_per_arm": pl.Int64,
    "test_days": pl.Int64,
    "experiment": pl.String,
    "verdict": pl.String,
    "sentence": pl.String,
    "question": pl.String,
}
GROUPED: dict[str, Any] = {"scope": pl.String, "opposite": pl.Boolean}
CLAIMS = ("more in retained", "more in churned")
NOT_CLEAR, TOO_FEW = "not clear", "too few"
NAMED = 4  # tiers before this one hold what is named
DAYS_ARE = f"it takes whole numbers from 1 to {LONGEST}, such as (1, 2, 3)"


@dataclass(frozen=True)
class Asked:
    """What is compared: users, actions and plain counts."""

    journeys: Journeys
    early: Early
    logged: Logged
    counts: Tally
    half: Ints
    account: Ints | None
    days: tuple[int, ...]
    keys: tuple[str, ...]
    outcome: Frame | None

    @property
    def users(self) -> int:
        """How many users are compared."""
        return self.early.people.height


def days_faults(days: object) -> list[str]:
    """Say what is wrong with numbers of days."""
    whole = (
        isinstance(days, Sequence)
        and not isinstance(days, str)
        and all(is_whole(k, most=LONGEST) for k in days)
    )
    if whole and days:
        return []
    return [f"days is {days!r}; {DAYS_ARE}."]


def asked_for(
    journeys: Journeys,
    *,
    outcome: Frame | None,
    among: Frame | None,
    core_days: int,
    by: Sequence[str],
    adjust: Sequence[str],
    days: Sequence[int],
) -> Asked:
    """Take the judged users, their early actions and the plain counts."""
    import numpy as np

    from engagekit.first_weeks.contingency_tables import tally

    group_names(journeys, adjust)
    account = account_of(journeys)
    names = list(dict.fromkeys([*by, *adjust, *([account] if account else [])]))
    users = judged_users(journeys, outcome=outcome, among=among, core_days=core_days, keys=names)
    inner = dict(zip(names, stand_ins(names), strict=True))
    early = early_of(journeys, users, by=[inner[n] for n in by], adjust=[inner[n] for n in adjust])
    found, half = logged(journeys, early), early.people["half"].to_numpy().astype(np.int64)
    ladder = tuple(sorted(set(days)))
    return Asked(
        journeys, early, found, tally(found.acts, early.known, half, ladder), half,
        None if account is None else account_numbers(early.people[inner[account]]),
        ladder, tuple(inner[n] for n in by), outcome,
    )  # fmt: skip


def check_controls(asked: Asked, controls: Sequence[str]) -> list[str]:
    """Refuse controls that nobody did in the first days."""
    if missing := [name for name in controls if name not in asked.logged.names]:
        hints = "".join(nearest(name, asked.logged.names) for name in missing)
        raise ParameterError(
            f"controls: nobody judged did {listing(missing, last='or')} in the first days.{hints}"
        )
    return list(controls)


def rows_of(
    asked: Asked, found: Weighed, did: Ints, of: Ints, controls: Sequence[str]
) -> list[dict[str, Any]]:
    """Write a row per action: `did` actions x days x (churned, retained), `of` actions x (churned, retained)."""
    from engagekit.first_weeks.contingency_tables import held_out

    core, roles = (
        set(defining(asked.journeys, asked.outcome)),
        belonging(asked.journeys, asked.outcome),
    )
    told = held_out(asked.counts)
    rows = []
    for action, name in enumerate(asked.logged.names):
        place = int(found.place[action])
        row = figures(
            did[action, place], of[action], found.trial[action], found.same_day[action],
            effect=float(found.alike.effect[action]), freedom=float(found.alike.freedom[action]),
            exposed=int(found.exposed[action]), without=int(found.without[action]),
        )  # fmt: skip
        rows.append(row | {
            "action": name, "at_least": asked.days[place], "tried": int(found.tried[action]),
            "judged": bool(found.judged[action]), "phi_holdout": _known(told[action]),
            "p": _known(found.p[action]) if found.judged[action] else None,
            "alone": _known(found.alone[action]) if found.judged[action] else None,
            "part_of_definition": name in core, "belongs_to": roles.get(name),
            "control": name in controls, "launched_at": asked.logged.launched[action],
        })  # fmt: skip
    return rows


def figures(
    did: Ints,
    of: Ints,
    trial: Any,
    same_day: Any,
    *,
    effect: float = 1.0,
    freedom: float = math.inf,
    exposed: int | None = None,
    without: int | None = None,
) -> dict[str, Any]:
    """Compute every figure of one table: `did` and `of` are (churned, retained); the others are as in `Weighed`."""
    from engagekit.first_weeks.contingency_tables import phi
    from engagekit.first_weeks.trials import COMPARED, EXCESS
    from engagekit.first_weeks.verdicts import e_value, ratio_of

    b, a = (int(each) for each in did)
    n0, n1 = (int(each) for each in of)
    difference, low, high = newcombe(a, n1, b, n0)
    users, reached = n1 + n0, a + b
    with_it, others = _share(a, reached), _share(n1 - a, users - reached)
    exposed = reached if exposed is None else exposed
    without = users - reached if without is None else without
    ratio = ratio_of(trial, effect, freedom, without)
    beside = ratio_of(same_day, effect, freedom, without)
    return {
        "n_retained": n1, "n_churned": n0, "did_retained": a, "did_churned": b,
        "share_retained": _share(a, n1), "share_churned": _share(b, n0),
        "difference": _known(difference), "low": low if n1 and n0 else None,
        "high": high if n1 and n0 else None,
        "retention_did": with_it, "retention_not": others,
        "risk_ratio": None if with_it is None or not others else with_it / others,
        "adjusted_risk_ratio": ratio.ratio, "adjusted_low": ratio.low, "adjusted_high": ratio.high,
        "same_day_risk_ratio": beside.ratio, "e_value": e_value(ratio), "design_effect": effect,
        "uncompared": _share(exposed - float(trial[COMPARED]), exposed),
        "phi": _known(phi(did, of)), "reach": _share(reached, users),
        "sign": int(trial[EXCESS] > 0) - int(trial[EXCESS] < 0), "judged": True,
    }  # fmt: skip


def judge(rows: list[dict[str, Any]], q: float) -> None:
    """Add `q`, `trial_q` and `verdict`; what defines the outcome and controls are no part of the family."""
    from engagekit.first_weeks.verdicts import verdict

    family = [row for row in rows if not (row["part_of_definition"] or row["control"])]
    for row in rows:
        row |= {"q": None, "trial_q": None}
    for chance, name in (("p", "q"), ("alone", "trial_q")):
        found = benjamini_hochberg(row[chance] for row in family)
        for row, value in zip(family, found, strict=True):
            row[name] = _known(value)
        for row in rows:
            if row["control"] and not row["part_of_definition"]:
                beside = benjamini_hochberg([row[chance], *(other[chance] for other in family)])
                row[name] = _known(beside[0])
    for row in rows:
        row["verdict"] = verdict(row, q)
    controls = [row for row in rows if row["control"]]
    clear = sum(row["verdict"] in CLAIMS for row in controls)
    for row in rows:
        row |= {"controls": len(controls), "controls_clear": clear}


def named_lever(row: dict[str, Any]) -> bool:
    """Say whether a row names an action that is neither a control nor part of the definition."""
    return is_lever(row)


def held_to(claim: str, row: dict[str, Any]) -> str:
    """Keep a claim that other users' figures bear out, all three of them in its direction."""
    from engagekit.first_weeks.verdicts import points

    compared = row["judged"] and row["p"] is not None and row["p"] < 1
    return claim if compared and points(row) == claim else NOT_CLEAR


def activity_row(asked: Asked) -> dict[str, Any]:
    """Write the row that says on how many days users were active at all, for which nothing is left to adjust."""
    import numpy as np

    from engagekit.first_weeks.contingency_tables import LEAST_USERS, activity, held_out
    from engagekit.first_weeks.trials import SUMS

    counts = activity(asked.early.known.together(), asked.half, asked.days)
    did, of = counts.whole()
    nothing = np.zeros(SUMS)
    tables = [figures(did[0, place], of[0], nothing, nothing) for place in range(len(asked.days))]
    chances = [_plain(row) for row in tables]
    enough = [
        min(
            row["did_retained"] + row["did_churned"],
            asked.users - row["did_retained"] - row["did_churned"],
        )
        >= LEAST_USERS
        for row in tables
    ]
    order = sorted(range(len(tables)), key=lambda at: (not enough[at], chances[at], at))
    row = tables[order[0]]
    return row | {
        "action": ACTIVE_DAYS, "at_least": asked.days[order[0]], "tried": len(asked.days),
        "phi_holdout": _known(held_out(counts)[0]), "uncompared": None, "part_of_definition": False,
        "control": False, "verdict": NOT_CLEAR if enough[order[0]] else TOO_FEW,
    }  # fmt: skip


def _plain(row: dict[str, Any]) -> float:
    """Return the chance of the plain table."""
    users = row["n_retained"] + row["n_churned"]
    return 1.0 if row["phi"] is None else chi2_tail(users * row["phi"] ** 2)


def framed(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Put rows into a frame, with whatever they carry beside the columns of the answer."""
    schema: dict[str, Any] = COLUMNS | {"sign": pl.Int64}
    kept = [{name: row.get(name) for name in schema} for row in rows]
    return pl.DataFrame(kept, schema=schema, orient="row")


def with_groups(
    table: pl.DataFrame, rows: Sequence[dict[str, Any]], asked: Asked, found: Weighed, q: float
) -> pl.DataFrame:
    """Add each action's rows within groups, at the number of days chosen for all, and whether they point both ways."""
    import numpy as np

    from engagekit.first_weeks.verdicts import Alike, best_days, careful, weighed_groups

    keys, logged_ = list(asked.keys), asked.logged
    times = np.array(asked.days)[found.place]
    trial, beside = weighed_groups(asked.early.known, logged_.acts, times)
    did, of = asked.counts.of_groups()
    every = np.arange(len(times))
    schema = {key: asked.early.people.schema[key] for key in keys}
    nobody = [pl.lit(None, kind).alias(key) for key, kind in schema.items()]
    parts = [table.with_columns(*nobody, scope=pl.lit("all"))]
    for number, group in enumerate(groups_of(asked.early.people, keys).iter_rows(named=True)):
        mine, size = did[every, found.place, number], of[:, number]
        judged = best_days(trial[:, number, None], mine.sum(axis=1)[:, None], size.sum(axis=1))[2]
        alike = Alike(found.alike.effect, found.alike.freedom)
        p, alone = careful(trial[:, number], beside[:, number], found.tried, alike)
        inside = []
        for action, row in enumerate(rows):
            numbers = figures(
                mine[action], size[action], trial[action, number], beside[action, number],
                effect=float(alike.effect[action]), freedom=float(alike.freedom[action]),
            )  # fmt: skip
            kept = {
                name: row[name]
                for name in (
                    "action",
                    "at_least",
                    "tried",
                    "part_of_definition",
                    "belongs_to",
                    "control",
                    "launched_at",
                )
            }
            ok = bool(judged[action])
            chance = {
                "p": _known(p[action]) if ok else None,
                "alone": _known(alone[action]) if ok else None,
            }
            inside.append(numbers | kept | chance | {"judged": ok})
        judge(inside, q)
        inside.append(_active_in_group(asked, table, number))
        named = pl.DataFrame([group], schema=schema)
        parts.append(named.join(framed(inside).with_columns(scope=pl.lit("group")), how="cross"))
    whole = pl.concat(parts, how="diagonal")
    return whole.join(_opposed(whole), on="action", how="left")


def _active_in_group(asked: Asked, table: pl.DataFrame, number: int) -> dict[str, Any]:
    """Write the row of active days within one group."""
    import numpy as np

    from engagekit.first_weeks.contingency_tables import activity
    from engagekit.first_weeks.trials import SUMS

    pooled = table.row(by_predicate=pl.col("action") == ACTIVE_DAYS, named=True)
    did, of = activity(asked.early.known, asked.half, [pooled["at_least"]]).of_groups()
    row = figures(did[0, 0, number], of[0, number], np.zeros(SUMS), np.zeros(SUMS))
    kept = ("action", "at_least", "tried", "part_of_definition", "control", "verdict")
    return row | {name: pooled[name] for name in kept} | {"uncompared": None}


def _opposed(whole: pl.DataFrame) -> pl.DataFrame:
    """Find actions whose plain differences, pooled and within groups, clearly point both ways: ``action, opposite``."""
    groups = whole.filter(pl.col("scope") == "group").group_by("action").len()["len"].to_list()
    z = z_of(1 - 0.05 / max(groups, default=1))
    counts = [pl.col(c) for c in ("did_retained", "n_retained", "did_churned", "n_churned")]
    _, low, high = newcombe_columns(*counts, z=z)
    both = ((low > 0).any() & (high < 0).any()).alias("opposite")
    return whole.group_by("action").agg(both)


def finished(table: pl.DataFrame, asked: Asked, names: Sequence[str]) -> pl.DataFrame:
    """Rank and describe the rows: claims first, strongest first, each action's groups below it."""
    keys, journeys = list(asked.keys), asked.journeys
    ranked = _ranked(table, keys)
    wait, per_week = waiting_days(journeys), pace(journeys)
    words = []
    for row in ranked.with_columns(_group_said(keys, names)).iter_rows(named=True):
        test = settling(row, wait, per_week) if is_lever(row) else None
        words.append((
            *((None, None, None) if test is None else (test.users_per_arm, test.days, test.sentence)),
            sentence(row, journeys.definition.first_days), question(row),
        ))  # fmt: skip
    said = ("test_users_per_arm", "test_days", "experiment", "sentence", "question")
    told = pl.DataFrame(words, schema={name: COLUMNS[name] for name in said}, orient="row")
    columns: dict[str, Any] = (GROUPED if keys else {}) | COLUMNS
    return pl.concat([ranked.drop(said), told], how="horizontal").select(
        *[pl.col(key).alias(name) for key, name in zip(keys, names, strict=True)],
        *[pl.col(c).cast(t) for c, t in columns.items()],
    )


def _group_said(keys: Sequence[str], names: Sequence[str]) -> pl.Expr:
    if not keys:
        return pl.lit(None, pl.String).alias("group")
    parts = [
        pl.format("{}: {}", pl.lit(name), pl.col(key).cast(pl.String).fill_null("none"))
        for key, name in zip(keys, names, strict=True)
    ]
    said = pl.when(pl.col("scope") == "group").then(pl.concat_str(parts, separator=", "))
    return said.alias("group")


def _ranked(table: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    aside = pl.col("part_of_definition") | pl.col("control") | (pl.col("action") == ACTIVE_DAYS)
    loop = pl.col("belongs_to").is_not_null()
    order = {"more in retained": 0, "more in churned": 2, NOT_CLEAR: 6, TOO_FEW: 7}
    tier = pl.col("verdict").replace_strict(order, return_dtype=pl.Int32)
    tier = pl.when(loop & (tier < NAMED)).then(tier + 1).otherwise(tier)  # links after levers
    tier = pl.when(aside & (pl.col("verdict") != TOO_FEW)).then(5).otherwise(tier)
    # A claim without a ratio is the strongest: of those who did not, nobody comparable was retained.
    strength = -pl.col("adjusted_risk_ratio").log().abs().fill_null(math.inf)
    pooled = table.filter(pl.col("scope") == "all") if keys else table
    place = pl.when(pl.col("tier") < NAMED).then(strength).otherwise("p").alias("place")
    ranks = (
        pooled.with_columns(tier.alias("tier"))
        .with_columns(place)
        .sort("tier", "place", "action", nulls_last=True)
        .select("action")
        .with_row_index("rank")
    )
    inside = ["scope", *keys] if keys else []
    return table.join(ranks, on="action").sort("rank", *inside, nulls_last=True)


def _known(value: Any) -> float | None:
    """Write what cannot be known as nothing."""
    return None if value is None or not math.isfinite(value) else float(value)


def _share(n: float, of: float) -> float | None:
    return n / of if of else None

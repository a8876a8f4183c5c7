"""Is the verdict as sure as it says? Run by hand: python tests/bench_verdict.py [draws] [part ...]

Products whose true rates are known, by code that shares nothing with `ek.simulate` (`true_counts`), judged by the product's
own functions. Parts: calibration, rollup, recent, past, change, pooled. Truth is the long-run rate, not the weeks' draw.
"""

from __future__ import annotations

import itertools
import sys
import time

import numpy as np
import polars as pl
from true_counts import (
    MARGIN,
    NAMES,
    TARGETS,
    WEEKS,
    Draws,
    products,
    recent,
    truly_right,
    verdicts,
)
from true_logs import log_of_draw

import engagekit as ek
from engagekit.definition import Definition
from engagekit.priority.counts import LoopCounts, SignUps, Span, totals
from engagekit.priority.explained_change import Side, _drawn, _shares, _split
from engagekit.priority.loop_table import loop
from engagekit.priority.reference_targets import own_past

GRID = list(itertools.product((0.03, 0.05, 0.10), (20, 80, 400), (0.0, 0.05, 0.10), (1, 4)))
CHUNK = 250
LEAST_NAMED = 200


def weeks_needed(per_week: int) -> int:
    return 26 if per_week >= 400 else 52


def in_chunks(draws: int, rates_of, rng: np.random.Generator, **how):
    """Judge draws some at a time: named links, probabilities, and the true rates."""
    named, chance, truth = [], [], []
    for start in range(0, draws, CHUNK):
        rates = rates_of(min(CHUNK, draws - start))
        made = products(rng, rates, weeks=weeks_needed(how["per_week"]), **how)
        found = verdicts(made)
        named.append(found[0])
        chance.append(found[1])
        truth.append(rates)
    return np.concatenate(named), np.concatenate(chance), np.concatenate(truth)


def cell(draws: int, cell: tuple[float, int, float, int], seed: int) -> dict[str, float]:
    """Judge one cell of the grid: how many are named, how often that is right, and what was said."""
    apart, per_week, spread, account = cell
    rng = np.random.default_rng([seed, int(1000 * apart), per_week, int(100 * spread), account])
    named, chance, rates = in_chunks(
        draws, lambda size: np.clip(TARGETS + rng.normal(0, apart, (size, 3)), 0.02, 0.98), rng,
        per_week=per_week, spread=spread, account=account,
    )  # fmt: skip
    is_named = named >= 0
    right = truly_right(named, rates)
    return {
        "named": int(is_named.sum()),
        "right": int(right.sum()),
        "stated": float(chance[is_named].sum()),
    }


def calibration(draws: int) -> pl.DataFrame:
    rows = []
    for number, where in enumerate(GRID):
        found = cell(draws, where, number)
        share = found["right"] / max(found["named"], 1)
        stated = found["stated"] / max(found["named"], 1)
        judged = found["named"] >= LEAST_NAMED
        holds = "yes" if share >= stated - 0.05 else "NO" if judged else "(few)"
        rows.append((*where, found["named"], share, stated, holds))
    names = ["rates apart", "a week", "weekly sd", "account", "named", "right", "stated", "holds"]
    return pl.DataFrame(rows, schema=names, orient="row")


def at_or_above(draws: int) -> pl.DataFrame:
    rows = []
    for (name, above), per_week, spread, account in itertools.product(
        (("at target", 0.0), ("2 points above", 0.02)), (20, 80, 400), (0.0, 0.05, 0.10), (1, 4)
    ):
        rng = np.random.default_rng([7, per_week, int(100 * spread), account, int(100 * above)])
        rates = TARGETS + above
        named, _, _ = in_chunks(
            draws, lambda size, rates=rates: np.tile(rates, (size, 1)), rng,
            per_week=per_week, spread=spread, account=account,
        )  # fmt: skip
        most = 0.07 if above else 0.15 if per_week == 20 else 0.12
        share = float((named >= 0).mean())
        rows.append(
            (name, per_week, spread, account, share, most, "yes" if share <= most else "NO")
        )
    return pl.DataFrame(
        rows,
        schema=["rates", "a week", "weekly sd", "account", "named", "at most", "holds"],
        orient="row",
    )


def print_calibration(draws: int) -> None:
    grid = calibration(draws)
    whole = grid.select(pl.col("right") * pl.col("named")).sum().item() / grid["named"].sum()
    print(f"calibration, {draws} draws a cell: right given named, and what was stated")
    print(grid)
    print(f"pooled over cells at .8 and above: right in {whole:.3f} (at least .88)")
    print(at_or_above(draws))


def through_rollup(cells: int = 20, each: int = 3) -> pl.DataFrame:
    """Take cells of the grid as event logs through `rollup`: the same counts, effects and verdicts as from counts alone."""
    rng = np.random.default_rng(20)
    rows = []
    for number in rng.choice(len(GRID), cells, replace=False):
        apart, per_week, spread, account = GRID[number]
        rates = np.clip(TARGETS + rng.normal(0, apart, (each, 3)), 0.02, 0.98)
        made = products(
            rng,
            rates,
            per_week=per_week,
            weeks=weeks_needed(per_week),
            spread=spread,
            account=account,
        )
        n, of, effect = recent(made)
        named, chance = verdicts(made)
        for draw in range(each):
            journeys = log_of_draw(rng, made, draw, account=account, per_week=per_week)
            found = ek.prioritize(journeys)
            table = found.table.head(3)
            same = (
                table["n"].to_list() == n[draw].tolist()
                and table["of"].to_list() == of[draw].tolist()
                and np.allclose(
                    table["design_effect"].to_list(), np.where(of[draw] > 0, effect[draw], 1)
                )
            )
            told = -1 if found.link is None else NAMES.index(found.link)
            rows.append(
                (
                    *GRID[number],
                    draw,
                    same and told == named[draw] and np.isclose(found.probability, chance[draw]),
                )
            )
    names = ["rates apart", "a week", "weekly sd", "account", "draw", "same"]
    return pl.DataFrame(rows, schema=names, orient="row")


def mended_and_fallen(draws: int) -> list[str]:
    """A link mended a year ago is not named; one that fell from 5 points above to 5 below in the last 13 weeks is."""
    lines = []
    for per_week, spread in itertools.product((80, 200), (0.0, 0.02, 0.05)):
        rng = np.random.default_rng([9, per_week, int(100 * spread)])
        for link in range(3):
            rates = np.tile((TARGETS + 0.08)[None, :, None], (draws, 1, 117))
            rates[:, link, 65:] = (
                TARGETS[link] - 0.10
            )  # weeks count back from now: mended 65 weeks ago
            named, _ = verdicts(products(rng, rates, per_week=per_week, weeks=117, spread=spread))
            fell = np.tile((TARGETS + 0.05)[None, :, None], (draws, 1, 52))
            fell[:, link, :13] = TARGETS[link] - 0.05
            dropped, _ = verdicts(products(rng, fell, per_week=per_week, weeks=52, spread=spread))
            lines.append(
                f"  {per_week:>3} a week, weekly sd {spread:.2f}, {NAMES[link]:<10} mended a year ago and still named "
                f"{(named == link).mean():.3f}; fell in the last 13 weeks and named {(dropped == link).mean():.3f}, another {((dropped >= 0) & (dropped != link)).mean():.3f}"
            )
    return lines


def past_counts(made: Draws) -> LoopCounts:
    """Dress the draws up as the counts of one log whose groups are the draws."""
    cells = pl.concat(made.cells.values()).with_columns(
        (7 * pl.col("_week")).cast(pl.Int32).alias("_day"), pl.lit(None, pl.Date).alias("_quarter")
    )
    span = Span(None, None, 7 * WEEKS, widened=False)
    known = SignUps(None, None, {}, {})
    return LoopCounts(cells, dict.fromkeys(NAMES, span), ("draw",), known, 7 * WEEKS, ())


DEFINITION = Definition(activation="a", core="c", advanced=["d"], margin=MARGIN)


def against_own_past(
    draws: int,
    per_month: int,
    spread: float,
    *,
    fall: float = 0.0,
    link: int = 1,
    quarters: int = 5,
) -> np.ndarray:
    """Which link is said to have fallen in each draw (-1: none); months of 13/3 weeks differ by `spread`."""
    rng = np.random.default_rng([11, per_month, int(100 * spread), int(100 * fall), link])
    weeks = WEEKS * (quarters + 1)
    month = (np.arange(weeks) / (WEEKS / 3)).astype(int)
    base = np.array([0.38, 0.42, 0.45])
    named = []
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        rates = base[None, :, None] + rng.normal(0, spread, (size, 3, month.max() + 1))[:, :, month]
        rates[:, link, :WEEKS] -= fall
        made = products(
            rng, np.clip(rates, 0.01, 0.99), per_week=round(per_month * 12 / 52), weeks=weeks
        )
        counts = past_counts(made)
        marks = own_past(counts, DEFINITION)
        now = totals(counts.cells.filter(pl.col("_week") < WEEKS).drop("_quarter"), ["draw"])
        parts = {key: part for (key,), part in now.partition_by("draw", as_dict=True).items()}
        for draw in range(size):
            held = marks.get((draw,))
            found = None if held is None else loop(parts[draw], held).judgment.link
            named.append(-1 if found is None else NAMES.index(found))
    return np.array(named)


def print_past(draws: int) -> None:
    print(f"without targets, {draws} logs a cell, five quarters before the recent one")
    for per_month, spread in itertools.product((200, 1000, 5000), (0.0, 0.02, 0.04)):
        false = (against_own_past(draws, per_month, spread) >= 0).mean()
        found = [
            (against_own_past(draws, per_month, spread, fall=0.08, link=k) == k).mean()
            for k in (0, 1)
        ]
        print(
            f"  {per_month:>4} a month, month-to-month sd {spread:.2f}: named though nothing changed {false:.3f}; "
            f"a fall of 8 points named: activation {found[0]:.2f}, habit {found[1]:.2f}",
            flush=True,
        )


def sides(rng: np.random.Generator, rates: np.ndarray, per_week: int, spread: float) -> Side:
    made = products(rng, rates[None, :], per_week=per_week, weeks=WEEKS, spread=spread)
    cells = pl.concat(made.cells.values()).drop("draw")
    counted = totals(cells).head(3)
    n, of = (counted[c].to_numpy().astype(float)[None, :] for c in ("n", "of"))
    effect = counted["design_effect"].to_numpy()
    free = np.where(effect >= 2, counted["weeks"].to_numpy() - 1.0, 0.0)
    return Side(None, None, n, of, effect, free, 1.0)  # type: ignore[arg-type]


def explained(logs: int, per_week: int, spread: float, fall: float) -> tuple[float, np.ndarray]:
    """How often the planted link explains most, and how often each interval covers the split of the true rates."""
    rng = np.random.default_rng([13, per_week, int(100 * spread), int(1000 * fall)])
    old = np.array([0.40, 0.42, 0.45])
    new = old - np.array([0, fall, 0])
    truth = _split(*[(np.ones((1, 1)), r[None, None, :]) for r in (old, new)], mixed=False)[0]
    most, covered = 0, []
    for _ in range(logs):
        pair = [sides(rng, rates, per_week, spread) for rates in (old, new)]
        drawn = _split(*_drawn(pair, []), mixed=False)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        covered.append((low <= truth) & (truth <= high))
        exact = _split(*[_shares(side) for side in pair], mixed=False)[0]
        most += int(np.abs(exact).argmax() == 1)
    return most / logs, np.mean(covered, axis=0)


def print_change(logs: int) -> None:
    print(
        f"what changed, {logs} pairs of spans a cell: habit planted; explains most; intervals cover (activation, habit, depth)"
    )
    for per_week, spread, fall in itertools.product((80, 400), (0.0, 0.05, 0.10), (0.10, 0.15)):
        most, covered = explained(logs, per_week, spread, fall)
        print(
            f"  {per_week:>3} a week, weekly sd {spread:.2f}, fall {fall:.2f}: {most:.3f}; {', '.join(f'{c:.3f}' for c in covered)}",
            flush=True,
        )


def print_pooled(draws: int) -> None:
    print(f"pooled curves, {draws} curves a cell, twelve cohorts: coverage at sd 0, 2, 4, 8 points")
    for size in (50, 200, 1000, 5000):
        told = []
        for spread in (0.0, 0.02, 0.04, 0.08):
            rng = np.random.default_rng([17, size, int(100 * spread)])
            rate = np.clip(0.3 + rng.normal(0, spread, (draws, 12)), 0, 1)
            log, cohort = (each.ravel() for each in np.indices(rate.shape))
            n = rng.binomial(size, rate).ravel()
            table = pl.DataFrame({"log": log, "cohort": cohort, "n": n}).with_columns(
                period=pl.lit(1), of=pl.lit(size), complete=pl.lit(value=True)
            )
            curve = ek.pooled_curve(table)
            told.append(float(((curve["low"] <= 0.3) & (curve["high"] >= 0.3)).mean()))
        print(f"  {size:>4} users a cohort: {', '.join(f'{t:.3f}' for t in told)}")


if __name__ == "__main__":
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    parts = sys.argv[2:] or ["calibration", "rollup", "recent", "past", "change", "pooled"]
    pl.Config.set_tbl_rows(100)
    for part in parts:
        started = time.process_time()
        if part == "calibration":
            print_calibration(draws)
        elif part == "rollup":
            found = through_rollup()
            print(
                f"20 cells through rollup: {found['same'].sum()} of {found.height} logs the same as from counts"
            )
        elif part == "recent":
            print("\n".join(["old and new breaks", *mended_and_fallen(draws // 4)]))
        elif part == "past":
            print_past(draws)
        elif part == "change":
            print_change(draws // 2)
        elif part == "pooled":
            print_pooled(draws)
        print(f"({part}: {time.process_time() - started:.0f} s)", flush=True)

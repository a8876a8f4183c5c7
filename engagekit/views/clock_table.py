"""The product's clock, written out: which days weigh little, and why one might think so."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from engagekit.views.sheet import LONGEST, Sheet, checked, decimals, latest, moment, sheet, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

CLOCK = ("day", "active", "expected", "weight")
LIGHT = 0.5  # a day that weighs less passes quickly
USUAL = 0.75  # a weekday of which so many are light is a day off
WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
NAMED = 3  # stretches that the title names


def product_clock(clock: pl.DataFrame, *, most: int = 731) -> Sheet:
    """Write out what `product_clock` returns: weekdays off in one row each, other light days stretch by stretch."""
    frame, cut = shown_days(clock, most)
    rows = frame.to_dicts()
    off = days_off(rows)
    of_weekdays = [
        _row(name, [r for r in rows if r["day"].weekday() == number])
        for number, name in enumerate(WEEKDAYS)
        if number in off
    ]
    stretches = [_row(_span(days), days) for days in light_stretches(rows, off)]
    headers = ("Days that weigh little", "Days", "Active a day", "Usual then", "Product days")
    subtitle = (
        f"{cut}Bars: users with a core action. Line: what is usual around that day. Shaded: a day that weighs less than "
        "half a day when users are silent."
    )
    title = clock_title(rows, off)
    return sheet("Bar chart", title, subtitle, headers, [*of_weekdays, *stretches])


def shown_days(clock: pl.DataFrame, most: int) -> tuple[pl.DataFrame, str]:
    """Keep the latest days: more bars than these are no bars."""
    frame = checked(clock, CLOCK, "ek.product_clock", most=LONGEST)
    return latest(frame.drop_nulls([*CLOCK]), "day", most, noun="days")


def days_off(rows: list[dict[str, Any]]) -> set[int]:
    """Find the weekdays that are nearly always light, by number from Monday; at most five of the seven are days off."""
    found = set()
    for number in range(7):
        mine = [r["weight"] < LIGHT for r in rows if r["day"].weekday() == number]
        if mine and sum(mine) >= USUAL * len(mine):
            found.add(number)
    return found if len(found) <= 5 else set()


def light_stretches(rows: list[dict[str, Any]], off: set[int]) -> Iterator[list[dict[str, Any]]]:
    """List runs of light days, those of days off only left out."""
    for light, run in groupby(rows, key=lambda r: r["weight"] < LIGHT):
        days = list(run)
        if light and any(r["day"].weekday() not in off for r in days):
            yield days


def _row(name: str, days: list[dict[str, Any]]) -> tuple[str, ...]:
    count = len(days)
    active, expected, weight = (sum(r[c] for r in days) for c in ("active", "expected", "weight"))
    return (
        name,
        whole(count),
        decimals(active / count, 1),
        decimals(expected / count, 1),
        decimals(weight, 1),
    )


def _span(days: list[dict[str, Any]]) -> str:
    first, last = days[0]["day"], days[-1]["day"]
    return moment(first) if first == last else f"{moment(first)} to {moment(last)}"


def clock_title(rows: list[dict[str, Any]], off: set[int]) -> str:
    """Name the days off and the longest other stretches of light days."""
    if not rows:
        return "No day is covered by the log"
    longest = sorted(light_stretches(rows, off), key=len, reverse=True)
    parts = [WEEKDAYS[number] for number in sorted(off)]
    parts += [_span(days) for days in longest[:NAMED]]
    more = len(longest) - NAMED
    if more > 0:
        parts.append(f"{more} more stretch{'es' if more > 1 else ''}")
    if not parts:
        return "Every day counts: no day was less than half as active as usual"
    *before, last = parts
    listed = f"{', '.join(before)} and {last}" if before else last
    return f"These days hardly count when users are silent: {listed}"

"""The three real logs, read and rolled up once each."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl

import engagekit as ek

DEFINITIONS = Path(__file__).parent / "definitions"
CLICKS = (
    "homepage", "forumng", "subpage", "oucontent", "url", "resource", "quiz", "glossary", "oucollaborate",
    "dataplus", "ouelluminate", "sharedsubpage",
)  # fmt: skip


def definition(name: str) -> ek.Definition:
    return ek.Definition.load(DEFINITIONS / f"{name}.toml")


def events(shared: Path, name: str) -> pl.LazyFrame:
    """Read a log into the contract's columns; `name` is travelse, oulad or gcc."""
    file = {"gcc": "gcc_contributor"}.get(name, name)
    log = pl.scan_parquet(shared / "data" / f"{file}_events.parquet").rename({"timestamp": "at"})
    return log.with_columns(pl.col("event").cast(pl.String))


def users(shared: Path, name: str) -> pl.DataFrame | None:
    """Read the properties of users; oulad's sign up on the first day of their course."""
    if name == "gcc":
        return None
    table = pl.read_parquet(shared / "data" / f"{name}_users.parquet")
    if name == "travelse":
        return table.select("user_id", "arrival", "reputation", "signup", "last_seen")
    first_day = (
        events(shared, name)
        .filter(pl.col("course_day") == 0)
        .group_by("course")
        .agg(pl.col("at").first().alias("signed_up_at"))
        .collect()
    )
    return table.join(first_day, on="course", maintain_order="left")


@cache
def journeys(shared: Path, name: str) -> ek.Journeys:
    people = users(shared, name)
    if name == "travelse" and people is not None:
        people = people.drop("signup", "last_seen")
    return ek.rollup(events(shared, name), definition(name), users=people)


@cache
def course_weeks(shared: Path) -> ek.Journeys:
    """oulad with clicks alone, as a study of activity takes it."""
    log = events(shared, "oulad").filter(pl.col("event").is_in(CLICKS))
    plain = ek.Definition(
        name="Clicks", activation=list(CLICKS), core=list(CLICKS), outcome_days=(28, 42)
    )
    return ek.rollup(log, plain, users=users(shared, "oulad"))

"""Users in several accounts: each account is as if it had members of its own who do the same."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import ColumnError
from engagekit.journeys.tables import TABLES
from engagekit.rollups import duckdb_stream, local

MAKE = ek.Definition(
    signup="join", activation=ek.Match("make", times=2), core="make", steps=[ek.Step("Look", completed="look")],
    advanced=["look"], outreach="mail",
)  # fmt: skip


def made(seed):
    """Users of 0 to 3 accounts: the log, the table of memberships, and both with a user for each membership."""
    rng = random.Random(seed)
    begun = datetime(2026, 1, 5, tzinfo=UTC)
    log, rows = [], []
    for user in range(40):
        at = begun + timedelta(days=rng.randrange(60), hours=rng.randrange(24))
        log.append((user, "join", at))
        for _ in range(rng.randrange(12)):
            log.append((user, rng.choice(["make", "make", "look", "mail"]), at + timedelta(hours=rng.randrange(-5, 900))))  # fmt: skip
        accounts = rng.sample("abcdefgh", rng.choice([0, 1, 1, 2, 3]))
        rows += [(user, account, rng.choice(["free", "pro"])) for account in accounts]
    events = pl.DataFrame(log, schema=["user_id", "event", "at"], orient="row").sort("at")
    people = pl.DataFrame(rows, schema=["user_id", "account_id", "plan"], orient="row")
    apart = people.with_columns(own=pl.int_range(pl.len(), dtype=pl.Int64) + 1000)
    ones = events.join(apart.select("user_id", "own"), on="user_id", how="left").select(
        pl.coalesce("own", "user_id").alias("user_id"), "event", "at"
    )
    return events, people, ones, apart.select(pl.col("own").alias("user_id"), "account_id", "plan")


def assert_same(one, other):
    for name in TABLES:
        a, b = getattr(one, name), getattr(other, name)
        keys = [c for c in ("user_id", "step", "event", "day", "role") if c in a.columns]
        columns = sorted(a.columns)  # parts come one after the other
        assert a.select(columns).sort(keys).equals(b.select(columns).sort(keys)), name
    assert (one.as_of, one.log_start, one.definition) == (other.as_of, other.log_start, other.definition)  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("way", ["whole", "in parts", "duckdb", "duckdb, streamed"])
def test_an_account_is_as_if_its_members_were_its_own(seed, way, monkeypatch):
    events, people, ones, single = made(seed)
    as_of = datetime(2026, 4, 20, tzinfo=UTC)
    given = events
    if way == "in parts":
        monkeypatch.setattr(local, "LARGE", 50)
        monkeypatch.setattr(local, "PART", 60)
    if way == "duckdb":
        monkeypatch.setattr(duckdb_stream, "MOST", -1)
    if way.startswith("duckdb"):
        duckdb = pytest.importorskip("duckdb")
        connection = duckdb.connect()
        connection.register("events", events.to_arrow())
        given = connection.table("events")
    with pytest.warns(ek.errors.EngagekitWarning) if way == "in parts" else nothing():
        found = ek.rollup(given, MAKE, users=people, unit="account", as_of=as_of)
    monkeypatch.undo()
    expected = ek.rollup(ones, MAKE, users=single, unit="account", as_of=as_of)
    assert_same(found, expected)
    alone = events["user_id"].unique().is_in(people["user_id"].implode()).not_().sum()
    told = found.left_out.filter(pl.col("unit") == "users")["count"].sum()
    assert told == alone
    # Where nobody is in several, nothing is new.
    first = people.unique("user_id", keep="first", maintain_order=True)
    assert ek.rollup(events, MAKE, users=first, unit="account", as_of=as_of).users.height <= found.users.height  # fmt: skip


def nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_a_row_without_an_account_says_nothing_beside_one_with():
    events, people, _, _ = made(1)
    bare = pl.concat([people, people.head(3).with_columns(account_id=pl.lit(None, pl.String))])
    bare = bare.with_columns(plan=pl.lit("free"))
    known = people.with_columns(plan=pl.lit("free"))
    assert_same(
        ek.rollup(events, MAKE, users=bare, unit="account"),
        ek.rollup(events, MAKE, users=known, unit="account"),
    )


def test_a_user_twice_in_one_account_or_without_accounts_is_refused():
    events, people, _, _ = made(2)
    with pytest.raises(ColumnError, match="keep one row for each of their accounts"):
        ek.rollup(events, MAKE, users=pl.concat([people, people.head(1)]), unit="account")
    several = people.filter(pl.col("user_id").is_duplicated())
    with pytest.raises(ColumnError, match=r"keep one row for each\."):
        ek.rollup(events, MAKE, users=several.drop("account_id"))

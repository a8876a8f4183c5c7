"""The reading of a test: counts against a slow oracle, planted truths, and what is refused or set apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

import engagekit as ek
from engagekit.intervals import newcombe

START = datetime(2026, 1, 5, tzinfo=UTC)
DEFINITION = ek.Definition(
    signup="join", activation="make", core="make", advanced=["share"], errors="crash",
    habit_days=7, depth_days=35, targets={"habit": 0.5}, experiment=ek.Assignment("exposed", property="arm"),
)  # fmt: skip


def log_of(
    users: int,
    *,
    seed: int = 0,
    rates: tuple[float, ...] = (0.40, 0.40),
    weights: tuple[float, ...] = (0.5, 0.5),
    days: float = 120,
    old: float = 0.0,
    accounts: int = 0,
    alike: float = 0.0,
    whole: bool = True,
    crash: tuple[float, float] = (0.0, 0.0),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Draw a test on activation; `old` days between sign-up and assignment; accounts with a common leaning."""
    random = np.random.default_rng(seed)
    at = np.sort(random.uniform(0, days, users))
    account = random.integers(0, accounts, users) if accounts else np.arange(users)
    lot = random.choice(len(rates), accounts if accounts and whole else users, p=weights)
    arm = lot[account] if accounts and whole else lot
    lean = random.normal(0, alike, account.max() + 1)[account]
    base = np.array(rates)[arm]
    chance = 1 / (1 + np.exp(-(np.log(base / (1 - base)) + lean)))
    made, broke = (
        random.random(users) < chance,
        random.random(users) < np.array(crash)[np.minimum(arm, 1)],
    )
    names = np.array(["control", "new", "newer"])[arm]
    rows: list[tuple[Any, ...]] = []
    for u in range(users):
        moment = START + timedelta(days=float(at[u]))
        rows.append((u, "join", moment, None))
        rows.append((u, "exposed", moment + timedelta(days=old, minutes=1), names[u]))
        if made[u]:
            rows.append((u, "make", moment + timedelta(days=old, hours=2), None))
        if broke[u]:
            rows.append((u, "crash", moment + timedelta(days=old, hours=3), None))
    log = pl.DataFrame(rows, schema=["user_id", "event", "at", "arm"], orient="row")
    return log, pl.DataFrame({"user_id": range(users), "account_id": account})


def read(log: pl.DataFrame, users: pl.DataFrame | None = None, **more: Any) -> Any:
    journeys = ek.rollup(
        log, DEFINITION, users=users, as_of=START + timedelta(days=150), missing="allow"
    )
    return ek.experiment(journeys, **({"link": "activation"} | more))


def test_counts_and_intervals_are_those_of_a_slow_count() -> None:
    log, _ = log_of(600, rates=(0.3, 0.5), days=149)
    found = read(log)
    judged: dict[str, list[int]] = {}
    end = START + timedelta(days=150)
    for user, part in log.group_by("user_id"):
        del user
        ((arm, at),) = part.filter(event="exposed").select("arm", "at").rows()
        if at + timedelta(days=14) <= end:
            judged.setdefault(arm, []).append(part.filter(event="make").height)
    table = {row["variant"]: row for row in found.table.to_dicts()}
    for arm, made in judged.items():
        assert (table[arm]["n"], table[arm]["of"]) == (sum(made), len(made))
        assert table[arm]["too_early"] == table[arm]["users"] - len(made)
    a, b = judged["new"], judged["control"]
    assert (found.difference, found.low, found.high) == pytest.approx(
        newcombe(sum(a), len(a), sum(b), len(b))
    )
    assert found.low_any_time < found.low < found.high < found.high_any_time
    assert found.verdict == "better"
    assert "does better" in str(found)


def test_no_effect_and_worse() -> None:
    assert read(log_of(400, rates=(0.4, 0.4))[0]).verdict == "cannot tell yet"
    assert read(log_of(2000, rates=(0.5, 0.35))[0]).verdict == "worse"
    same = read(log_of(12_000, rates=(0.02, 0.02))[0])
    assert same.verdict == "no difference that matters"
    assert -0.02 < same.low_any_time < same.high_any_time < 0.02


def test_a_split_that_is_off_stops_the_reading() -> None:
    log, _ = log_of(12_000, rates=(0.4, 0.5), weights=(0.46, 0.54))
    found = read(log)
    assert found.verdict == "stop: the split is off"
    assert found.p_split < 0.001
    assert found.difference is found.low is found.p is found.adjusted is None
    assert found.guardrails.is_empty()
    assert found.table["difference"].null_count() == 2
    assert "split is off" in found.sentence


def test_a_split_that_is_changed_on_the_way_is_said_to_be_so() -> None:
    """One in ten at first and nine in ten at last: in all as many in either arm as meant, but not the same users."""
    random = np.random.default_rng(4)
    log, _ = log_of(6000)
    day = (pl.col("at").min().over("user_id") - START).dt.total_seconds() / 86400
    lots = pl.DataFrame({"user_id": range(6000), "lot": random.random(6000)})
    arm = pl.when(pl.col("lot") < pl.when(day < 60).then(0.1).otherwise(0.9)).then(pl.lit("new")).otherwise(pl.lit("control"))  # fmt: skip
    moved = log.join(lots, on="user_id").with_columns(arm=pl.when(pl.col("arm").is_not_null()).then(arm))  # fmt: skip
    found = read(moved.drop("lot"))
    users = dict(found.table.select("variant", "users").iter_rows())
    assert abs(users["new"] - users["control"]) < 300
    assert found.verdict == "stop: the split is off"
    assert "the split was changed on the way" in found.sentence
    day_of_worst = found.sentence.split("Up to ")[1][:10]
    assert "2026-02-01" < day_of_worst < "2026-03-10"
    assert found.p_split < 0.001
    assert f"control {users['control']:,}, new {users['new']:,} users" in found.sentence


def test_a_lopsided_split_that_was_meant_is_no_alarm() -> None:
    log, _ = log_of(4000, weights=(0.9, 0.1))
    assert read(log).verdict == "stop: the split is off"
    assert read(log, shares={"control": 0.9, "new": 0.1}).verdict == "cannot tell yet"


def test_users_seen_in_two_arms_are_set_apart() -> None:
    log, _ = log_of(400)
    moved = log.filter(event="exposed").head(30).with_columns(
        pl.col("at") + timedelta(days=1), pl.when(arm="new").then(pl.lit("control")).otherwise(pl.lit("new")).alias("arm")
    )  # fmt: skip
    found = read(pl.concat([log, moved]))
    assert found.crossed == 30
    assert found.table["of"].sum() == 370
    assert {r.kind for r in found.remarks} == {"crossed"}


def test_who_had_passed_before_the_assignment_is_left_out() -> None:
    log, _ = log_of(400, old=20, days=110)
    early = log.filter(event="join").head(50).with_columns(
        pl.lit("make").alias("event"), pl.col("at") + timedelta(hours=1)
    )  # fmt: skip
    found = read(pl.concat([log, early]))
    assert found.table["already"].sum() == 50
    assert found.table["of"].sum() == 350
    # The window starts at the assignment: 20 days after sign-up most activations count.
    assert found.table["n"].sum() > 100


def test_the_window_starts_at_the_assignment_and_ends() -> None:
    rows = [
        (u, e, START + timedelta(days=d), a)
        for u, arm in enumerate(["control", "new"] * 30)
        for e, d, a in [
            ("join", 0, None),
            ("exposed", 30, arm),
            ("make", 40 if u < 30 else 45, None),
        ]
    ]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at", "arm"], orient="row")
    found = read(log)
    assert found.table.select("n", "of").rows() == [(15, 30), (15, 30)]


def test_several_arms_share_the_level() -> None:
    log, _ = log_of(3000, rates=(0.4, 0.4, 0.55), weights=(1 / 3, 1 / 3, 1 / 3))
    found = read(log)
    assert found.table["variant"].to_list() == ["control", "new", "newer"]
    assert (found.verdict, found.variant) == ("better", "newer")
    verdicts = dict(found.table.select("variant", "verdict").rows())
    assert verdicts == {"control": None, "new": "cannot tell yet", "newer": "better"}


def test_accounts_widen_and_are_what_was_split() -> None:
    log, users = log_of(3000, accounts=150, alike=2.0)
    found = read(log, users)
    assert found.table["design_effect"].min() > 2
    (n2, of2, e2), (n1, of1, e1) = found.table.select("n", "of", "design_effect").rows()
    assert (found.difference, found.low, found.high) == pytest.approx(
        newcombe(n1 / e1, of1 / e1, n2 / e2, of2 / e2)
    )
    assert {r.kind for r in found.remarks} == {"accounts"}
    assert found.p_split > 0.01  # counted by users it would be off
    spilt, users = log_of(3000, accounts=150, alike=2.0, whole=False)
    assert "spill-over" in {r.kind for r in read(spilt, users).remarks}


def test_few_accounts_cannot_tell() -> None:
    log, users = log_of(4000, accounts=24, rates=(0.3, 0.6))
    assert read(log, users).verdict == "cannot tell yet"


def test_guardrails_see_harm() -> None:
    found = read(log_of(4000, crash=(0.02, 0.10))[0])
    rows = found.guardrails.filter(guardrail="errors", variant="new").to_dicts()
    assert rows[0]["harmed"]
    assert rows[0]["difference"] == pytest.approx(0.08, abs=0.03)
    assert "errors (new)" in found.sentence
    calm = read(log_of(4000, crash=(0.05, 0.05))[0])
    assert not calm.guardrails["harmed"].any()


def test_the_past_is_taken_off() -> None:
    random = np.random.default_rng(4)
    rows: list[tuple[Any, ...]] = []
    for u in range(800):
        busy, arm = random.uniform(0.05, 0.9), ["control", "new"][u % 2]
        rows += [(u, "join", START, None), (u, "make", START + timedelta(hours=1), None)]
        rows.append((u, "exposed", START + timedelta(days=40), arm))
        for day in range(1, 75):
            if random.random() < busy + (0.04 if arm == "new" and day >= 40 else 0):
                rows.append((u, "make", START + timedelta(days=day, hours=3), None))
    log = pl.DataFrame(rows, schema=["user_id", "event", "at", "arm"], orient="row")
    found = read(log, link="core_days")
    assert found.narrowed > 0.5
    assert found.adjusted == pytest.approx(0.04 * 28, abs=0.6)
    assert found.high_any_time - found.low_any_time < found.high - found.low
    assert found.verdict == "better"
    counts = log.filter(event="make").join(
        log.filter(event="exposed").select("user_id", pl.col("at").alias("s"), pl.col("arm").alias("put")), on="user_id"
    ).filter(pl.col("at") >= pl.col("s"), pl.col("at") < pl.col("s") + timedelta(days=28))  # fmt: skip
    expected = dict(
        counts.group_by("put").agg(pl.struct("user_id", pl.col("at").dt.date()).n_unique()).rows()
    )
    assert dict(found.table.select("variant", "n").rows()) == expected


def test_groups_are_read_for_themselves() -> None:
    log, users = log_of(1200, rates=(0.3, 0.5))
    users = users.with_columns(
        plan=pl.when(pl.col("user_id") % 2 == 0).then(pl.lit("free")).otherwise(pl.lit("pro"))
    ).drop("account_id")
    found = read(log, users, by="plan")
    assert found.segments.select("plan", "variant").rows() == [
        ("free", "control"),
        ("free", "new"),
        ("pro", "control"),
        ("pro", "new"),
    ]
    assert found.segments["users"].sum() == 1200


def test_refusals_name_every_fault() -> None:
    log, _ = log_of(100)
    with pytest.raises(ek.EngagekitError, match=r"(?s)link is.*shares is"):
        read(log, link="habits", shares={"control": 0.4, "new": 0.4})
    with pytest.raises(ek.EngagekitError, match=r"'contro'.*Did you mean"):
        read(log, control="contro")
    with pytest.raises(ek.EngagekitError, match="no property of users"):
        read(log, variant="plan")
    with pytest.raises(ek.EngagekitError, match="1 arm;"):
        read(log.with_columns(pl.when(event="exposed").then(pl.lit("new")).alias("arm")))
    import dataclasses

    bare = ek.rollup(log, dataclasses.replace(DEFINITION, experiment=None), missing="allow")
    with pytest.raises(ek.EngagekitError, match="no arms are known"):
        ek.experiment(bare)


def test_a_control_that_is_not_named_is_said() -> None:
    log, _ = log_of(200)
    renamed = log.with_columns(pl.col("arm").replace({"control": "x", "new": "y"}))
    found = read(renamed)
    assert (found.control, [r.kind for r in found.remarks]) == ("x", ["control guessed"])


def test_it_shows_itself_in_short_and_as_plain_values() -> None:
    import json

    found = read(log_of(300)[0])
    assert len(repr(found)) < 120
    assert json.loads(json.dumps(found.to_dict()))["verdict"] == found.verdict


@pytest.mark.parametrize("each", [0, 3])
def test_users_who_all_have_the_same_give_no_interval(each: int) -> None:
    """No spread is seen, which does not make the mean certain."""
    rows: list[tuple[Any, ...]] = []
    for u in range(40):
        moment = START + timedelta(days=u % 20)
        rows += [(u, "join", moment, None), (u, "exposed", moment, ["control", "new"][u % 2])]
        rows += [(u, "make", moment + timedelta(days=d + 0.5), None) for d in range(each)]
    rows.append((99, "make", START, None))  # the log knows the event
    log = pl.DataFrame(rows, schema=["user_id", "event", "at", "arm"], orient="row")
    found = read(log, link="core_days")
    assert found.table["rate"].to_list() == [each, each]
    assert found.table.select("low", "high", "difference_low", "difference_high").null_count().row(0) == (2, 2, 2, 2)  # fmt: skip
    assert (found.difference, found.low, found.high) == (0, None, None)
    assert found.verdict == "cannot tell yet"
    assert "no interval: the users of each arm all have the same" in found.sentence
    assert str(ek.tables.experiment(found))
    assert ek.charts.experiment(found).to_dict()

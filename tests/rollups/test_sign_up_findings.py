"""Sign-ups that are not what they seem: imports, sign-ups that are lost, and activation that nobody chose."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.journeys.coverage import BY_ITSELF
from engagekit.rollups import AT_ONCE, UNANNOUNCED

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 400
DEFINITION = ek.Definition(
    signup="join", activation="make", core="make", targets={"activation": 0.8, "habit": 0.6}
)
SCHEMA = {"user_id": pl.Int64, "event": pl.String, "at": pl.Datetime("us", "UTC")}


def product(users=800, first=0, since=0.0, activate=0.5, seed=0):
    """Users who sign up evenly from day `since` on; half of them make something some hours later, and then about weekly."""
    draw = random.Random(seed)
    rows = []
    for user in range(first, first + users):
        day = draw.uniform(since, DAYS)
        rows.append((user, "join", day))
        if draw.random() >= activate:
            continue
        day += draw.expovariate(3)
        while draw.random() < 0.9:
            rows.append((user, "make", day))
            day += draw.uniform(3, 9)
    return rows


def log(rows):
    kept = [(user, event, START + timedelta(days=day)) for user, event, day in rows if day < DAYS]
    return pl.DataFrame(kept, schema=SCHEMA, orient="row")


def kinds(journeys):
    return {remark.kind: remark for remark in journeys.remarks}


def told(rows, definition=DEFINITION, **options):
    return ek.rollup(log(rows) if isinstance(rows, list) else rows, definition, **options)


def imported(rows, day, users=100):
    """Users of long standing who get one sign-up time, and half of whom go on making things."""
    new = [(100_000 + n, "join", day) for n in range(users)]
    return rows + new + [(100_000 + n, "make", day + k + 0.1) for n in range(users // 2) for k in (1, 6, 11)]  # fmt: skip


def test_an_import_among_the_latest_sign_ups_leaves_no_verdict():
    journeys = told(imported(product(), day=350.0))
    remark = kinds(journeys)[AT_ONCE]
    assert (remark.users, remark.share) == (100, pytest.approx(100 / 900))
    assert "100 users of 900 have one and the same sign-up time, 2025-12-17 00:00:00" in remark.text
    found = ek.prioritize(journeys)
    assert (found.verdict, found.link) == ("undecided", None)
    assert found.sentence.startswith(f"No link is named: {remark.text} That bends")
    assert "The data are in doubt" in ek.plan(found).sentence


def test_an_import_of_long_ago_is_said_and_bends_nothing_now():
    journeys = told(imported(product(), day=100.0))
    found = ek.prioritize(journeys)
    assert (found.verdict, found.link) == ("named", "activation")
    assert kinds(journeys)[AT_ONCE].text in found.warnings
    assert AT_ONCE not in kinds(told(imported(product(), day=100.0, users=19)))
    assert AT_ONCE not in kinds(told(product()))


def test_dozens_of_instants_are_counted_together():
    once = imported(imported(product(), 350.0, 60), 350.5, 30)
    again = [(user + 5000 if user >= 100_000 and day >= 350.5 else user, event, day) for user, event, day in once]  # fmt: skip
    assert "(and 1 more instant like it)" in kinds(told(again))[AT_ONCE].text


def test_classes_that_sign_up_together_and_launches_are_no_imports():
    classes = product()
    for number in range(5):
        classes += [(200_000 + 100 * number + n, "join", 60.0 * (number + 1)) for n in range(30)]
    assert AT_ONCE not in kinds(told(classes))
    launch = product() + [(300_000 + n, "join", 350 + n / 1000) for n in range(300)]
    assert AT_ONCE not in kinds(told(launch))
    dates = log(imported(product(), day=350.0)).with_columns(pl.col("at").dt.date())
    assert AT_ONCE not in kinds(told(dates))


def lossy(rows, seed=1):
    """What is left where half of all sign-ups never arrive."""
    draw = random.Random(seed)
    return [row for row in rows if row[1] != "join" or draw.random() < 0.5]


def by_plain_counting(rows):
    """Users without a sign-up, and sign-ups, by the quarter of the log in which they come first."""
    times = [START + timedelta(days=row[2]) for row in rows if row[2] < DAYS]
    begin, end = min(times), max(times) + timedelta(microseconds=1)
    first, signed = {}, {}
    for user, event, day in rows:
        at = START + timedelta(days=day)
        if day < DAYS:
            first[user] = min(first.get(user, at), at)
            if event == "join":
                signed[user] = min(signed.get(user, at), at)
    third, last = begin + (end - begin) / 2, begin + (end - begin) * 3 / 4
    new = [at for user, at in first.items() if user not in signed]
    return [
        (sum(third <= at < last for at in some), sum(at >= last for at in some))
        for some in (new, signed.values())
    ]


def test_sign_ups_that_are_lost_all_along_leave_no_verdict():
    rows = lossy(product(activate=1.0))
    (before, bent), (_, signed) = by_plain_counting(rows)
    assert before > 20
    journeys = told(rows)
    remark = kinds(journeys)[UNANNOUNCED]
    assert (remark.users, remark.share) == (bent, pytest.approx(bent / (bent + signed)))
    assert remark.share > 0.2
    assert ek.prioritize(journeys).sentence.startswith(f"No link is named: {remark.text}")


@pytest.mark.thorough
@pytest.mark.parametrize("way", ["duckdb", "ibis", "prepared", "parts", "texts", "table"])
def test_it_is_found_on_every_road(way, tmp_path, monkeypatch):
    rows = lossy(product(activate=1.0))
    expected = kinds(told(rows))[UNANNOUNCED]
    events, options = log(rows), {}
    if way in ("duckdb", "ibis"):
        duckdb = pytest.importorskip("duckdb")
        connection = duckdb.connect()
        events = connection.from_arrow(events.to_arrow())
        monkeypatch.setattr("engagekit.rollups.duckdb_stream.MOST", 0)
        if way == "ibis":
            ibis = pytest.importorskip("ibis")
            events = ibis.memtable(log(rows).to_arrow())
    elif way == "prepared":
        events = ek.prepare_events(events, tmp_path / "prepared")
    elif way == "parts":
        monkeypatch.setattr("engagekit.rollups.local.LARGE", 100)
        monkeypatch.setattr("engagekit.rollups.local.PART", 1500)
        monkeypatch.setattr("engagekit.rollups.local.UNPREPARED", "{}")
    elif way == "texts":
        events = events.with_columns(pl.col("user_id").cast(pl.String))
    else:
        options["users"] = events.select("user_id").unique().with_columns(plan=pl.lit("free"))
    if way == "parts":
        with pytest.warns(ek.errors.EngagekitWarning):
            journeys = told(events, **options)
    else:
        journeys = told(events, **options)
    assert kinds(journeys)[UNANNOUNCED] == expected


def test_users_from_before_the_log_grow_fewer_and_are_no_lost_sign_ups():
    """A product of long standing whose log was cut: its users come weekly, monthly or once a quarter."""
    draw = random.Random(3)
    old = []
    for user in range(2000):
        pause, day = draw.choice([7, 30, 90]), 0.0
        while (day := day + draw.expovariate(1 / pause)) < DAYS:
            old.append((500_000 + user, "make", day))
    journeys = told(product() + old)
    assert journeys.left_out.filter(reason="no sign-up in the data")["count"].item() > 1900
    assert UNANNOUNCED not in kinds(journeys)


def test_few_of_them_short_logs_and_accounts_say_nothing():
    rows = lossy(product(activate=1.0))
    few = [row for row in rows if row[0] < 60]
    assert UNANNOUNCED not in kinds(told(few))
    short = log(rows).filter(pl.col("at") < START + timedelta(days=40))
    assert UNANNOUNCED not in kinds(told(short))
    accounts = log(rows).select("user_id", account_id="user_id").unique()
    assert UNANNOUNCED not in kinds(told(log(rows), users=accounts, unit="account"))
    known = product(users=4000) + [(900_000 + n, "make", 200.0 + 5 * n) for n in range(38)]
    assert UNANNOUNCED not in kinds(told(known))  # under one in twenty of the new faces


def test_an_activation_that_comes_with_the_sign_up_is_said_to_be_nobodys_choice():
    rows = product()
    given = rows + [(user, "make", day + 1e-5) for user, event, day in rows if event == "join"]
    remarks = {remark.kind: remark for remark in ek.prioritize(told(given)).remarks}
    assert "100% of the users activate within 5 seconds of signing up" in remarks[BY_ITSELF].text
    later = rows + [(user, "make", day + 1e-3) for user, event, day in rows if event == "join"]
    assert BY_ITSELF not in {remark.kind for remark in ek.prioritize(told(later)).remarks}
    dates = log(given).with_columns(pl.col("at").dt.date())
    assert BY_ITSELF not in {remark.kind for remark in ek.prioritize(told(dates)).remarks}

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.instants import days, instant, last_day, local_day


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        (date(2026, 3, 1), datetime(2026, 2, 28, 23, tzinfo=UTC)),
        (datetime(2026, 7, 1, 12), datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("2026-07-01T12:00:00Z", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        (
            datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=3))),
            datetime(2026, 7, 1, 9, tzinfo=UTC),
        ),
    ],
)
def test_what_has_no_offset_is_local(value, expected):
    assert instant(value, timezone="Europe/Berlin") == expected


@pytest.mark.parametrize("wrong", ["yesterday", "01.03.2026", 20260301, None, "0001-01-01"])
def test_what_is_no_time_is_refused_with_its_name(wrong):
    with pytest.raises(ParameterError, match="since is"):
        instant(wrong, timezone="Asia/Tokyo", name="since")


def test_unknown_zones_are_refused_with_near_names():
    with pytest.raises(ParameterError, match="'Europe/Paris'"):
        instant("2026-01-01", timezone="Europe/Pariss")


def test_local_days_on_the_night_the_clocks_change():
    at = pl.Series(
        [
            datetime(2025, 3, 9, 7, 59, tzinfo=UTC),
            datetime(2025, 3, 9, 8, tzinfo=UTC),
            datetime(2025, 3, 10, 6, 59, tzinfo=UTC),
        ]
    )
    found = pl.select(local_day(pl.lit(at), "US/Pacific")).to_series().to_list()
    assert found == [date(2025, 3, 8), date(2025, 3, 9), date(2025, 3, 9)]
    assert last_day(datetime(2025, 3, 10, 7, tzinfo=UTC), "US/Pacific") == date(2025, 3, 9)


def test_a_day_is_24_hours():
    assert pl.select(days(1.5)).item() == timedelta(hours=36)
    assert pl.select(days(pl.lit(2))).item() == timedelta(hours=48)


@pytest.mark.parametrize(
    ("zone", "as_of"),
    [
        ("Europe/Berlin", "2026-03-05T00:00:00+01:00"),
        ("America/New_York", "2026-03-05T06:00:00+01:00"),
        ("Australia/Sydney", datetime(2026, 3, 5, tzinfo=UTC)),  # as journeys say it themselves
    ],
)
def test_a_log_of_dates_is_held_against_the_local_clock(zone, as_of):
    """The instant at which the fifth of March begins there ends the fourth, whatever the day is in UTC."""
    days = [date(2026, 3, d) for d in (2, 3, 4, 5)]
    log = pl.DataFrame(
        {"user_id": [1, 1, 2, 1], "event": ["join", "make", "join", "make"], "at": days}
    )
    definition = ek.Definition(signup="join", activation="make", core="make", timezone=zone)
    answers = {
        "rollup": lambda end: ek.rollup(log, definition, as_of=end).as_of,
        "at": lambda end: ek.rollup(log, definition).at(end).users,
        "where": lambda end: ek.rollup(log, definition).where(signed_up=(None, end)).users,
        "lifecycle": lambda end: ek.lifecycle(log, period="day", timezone=zone, as_of=end),
        "since": lambda end: ek.lifecycle(log, period="day", timezone=zone, since=end, as_of="2026-03-07"),
        "stickiness": lambda end: ek.stickiness(log, timezone=zone, as_of=end),
        "checks": lambda end: ek.check_events(log, definition, as_of=end),
    }  # fmt: skip
    for name, answer in answers.items():
        found, local = answer(as_of), answer("2026-03-05")
        assert found == local if name == "rollup" else found.equals(local), name
    late = ek.check_events(log, definition, as_of=as_of).filter(check="times after as_of")
    assert late["count"].item() == 1

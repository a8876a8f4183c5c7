"""Small logs for the tests of cohort curves."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl


def log_of(*rows, **properties):
    """Make a log of rows ``user, event, time in UTC``; properties are columns."""
    return pl.DataFrame(
        {
            "user_id": [r[0] for r in rows],
            "event": [r[1] for r in rows],
            "at": [datetime.fromisoformat(r[2]).replace(tzinfo=UTC) for r in rows],
            **properties,
        }
    )


def column(table, name, cohort=None):
    rows = table if cohort is None else table.filter(pl.col("cohort") == cohort)
    return rows[name].to_list()


DAILY = {"start": "s", "back": "r", "period": "day", "periods": 4, "as_of": "2026-03-05"}
LOG = log_of(
    ("a", "s", "2026-03-02T10:00"),
    ("a", "r", "2026-03-02T11:00"),
    ("a", "r", "2026-03-03T09:00"),
    ("a", "r", "2026-03-04T12:00"),
    ("b", "s", "2026-03-02T20:00"),
    ("b", "r", "2026-03-04T19:00"),
    ("c", "s", "2026-03-04T08:00"),
)

"""Random logs and questions about retention: every meaningful combination of parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import engagekit as ek
from engagekit.instants import AT

SCHEMA = {
    "user_id": pl.String,
    "event": pl.String,
    "at": AT,
    "plan": pl.String,  # varies within a user
    "land": pl.String,  # fixed for a user
}
LANDS = {"a": "de", "b": None, "c": "fr"}
# The days around which clocks change: a spring with a skipped hour, an autumn with a doubled one, and none.
PLACES = [
    ("Europe/Berlin", datetime(2026, 3, 28, 20, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 20, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 6, 12, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 3, 12, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ("UTC", datetime(2024, 2, 27, 6, tzinfo=UTC)),
]
# Steps between which events lie, so that ties and window edges are common.
STEP = {
    "hour": timedelta(minutes=20),
    "day": timedelta(hours=4),
    "week": timedelta(hours=42),
    "month": timedelta(days=5),
}
MATCHERS = {  # start and return: as given, as a function, and the names a matcher mentions
    "s": ("s", lambda e: e["event"] == "s", {"s"}),
    "r": ("r", lambda e: e["event"] == "r", {"r"}),
    "both": (["s", "r"], lambda e: e["event"] in "sr", {"s", "r"}),
    "paid": (
        ek.Match("s", plan="u"),
        lambda e: e["event"] == "s" and e["plan"] == "u",
        {"s"},
    ),
    "any": (pl.lit(value=True), lambda e: True, None),
    "planned": (pl.col("plan") == "u", lambda e: e["plan"] == "u", None),
}


def log_of(events):
    return pl.DataFrame(events, schema=SCHEMA)


@st.composite
def logs(draw, period, origin, *, most=14):
    ticks = draw(st.lists(st.integers(0, 40), min_size=1, max_size=most))
    names = st.sampled_from("srx")
    return [
        {
            "user_id": (user := draw(st.sampled_from("abc"))),
            "event": draw(names),
            "at": origin + tick * STEP[period],
            "plan": draw(st.sampled_from(["u", "v", None])),
            "land": LANDS[user],
        }
        for tick in ticks
    ]


@st.composite
def questions(draw):
    """Draw a log and every parameter of a meaningful question."""
    zone, origin = draw(st.sampled_from(PLACES))
    period = draw(st.sampled_from(list(STEP)))
    events = draw(logs(period, origin))
    rolling = draw(st.booleans())
    cohorts = draw(st.sampled_from(["first", "first_ever", "each"]))
    by = draw(st.sampled_from([None, "plan", "land", ["land", "plan"]]))
    several = rolling and cohorts == "each"
    anchor = draw(st.sampled_from(["first", "each"])) if several else "first"
    last = max(e["at"] for e in events)
    edges = st.integers(0, 45).map(lambda tick: origin + tick * STEP[period])
    return events, {
        "start": draw(st.sampled_from(list(MATCHERS))),
        "back": draw(st.sampled_from([None, *MATCHERS])),
        "period": period,
        "periods": draw(st.integers(1, 6)),
        "cohorts": cohorts,
        "window": "rolling" if rolling else "calendar",
        "anchor": anchor,
        "granularity": draw(st.sampled_from(["exact", "truncated"])) if rolling else "exact",
        "mode": draw(st.sampled_from(["on", "on_or_after"])),
        "brackets": draw(st.sampled_from([None, None, [1, 2], [2, 3, 1]])),
        "min_times": draw(st.integers(1, 3)),
        "since": draw(st.none() | edges.filter(lambda at: at <= last)),
        "as_of": draw(st.none() | edges),
        "timezone": zone,
        "week_start": draw(st.sampled_from(["monday", "sunday"])),
        "by": by,
        "limit": draw(st.sampled_from([None, 1, 2])) if by else None,
        "period_zero": draw(st.sampled_from(["started", "returned"]))
        if (rolling, cohorts, anchor) != (True, "each", "each")
        else "started",
    }


def asked(frame, given_, **more):
    terms = dict(given_) | more
    terms["start"] = MATCHERS[terms["start"]][0]
    terms["back"] = MATCHERS[terms["back"]][0] if terms["back"] else None
    return ek.retention(frame, missing="allow", **terms)


def refused(events, given_):
    """Say whether the question has no answer: `since` is not before the data end, or these are before it all."""
    as_of = given_["as_of"]
    return as_of is not None and (given_["since"] is not None and given_["since"] >= as_of)


SLOW = settings(
    max_examples=2500,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

"""A team's own log in which every name was chosen by an enemy: events, users, properties, steps, team, votes, notes."""

from __future__ import annotations

import json

import polars as pl

import engagekit as ek
from engagekit.workshop import start
from engagekit.workshop.session import Session

# Whatever draws, quotes or links these must leave them text.
EVIL = [
    "<script>window.__pwned=1</script>",
    "<img src=x onerror=window.__pwned=1>",
    "</script><script>window.__pwned=1</script>",
    "[click](javascript:window.__pwned=1)",
    "'\"><svg onload=window.__pwned=1>",
    "datum['x'] || (window.__pwned=1)",
    "${window.__pwned=1}`window.__pwned=1`",
    "{{window.__pwned=1}}",
    "a|b **bold** <b>tag</b>",
]
SECRET = "secret-person"
QUESTIONS = (
    "Which number will we stop looking at?",
    "The problem, in one sentence, without naming a solution",
)


def log():
    """Take a made-up log and rename its events, users and properties; return events, users, definition."""
    made = ek.simulate(users=500, seed=6)
    events = made.events.lazy().with_columns(pl.col("event").cast(pl.String))
    names = events.select(pl.col("event").unique().sort()).collect()["event"]
    evil = {old: f"{EVIL[number % len(EVIL)]} {number}" for number, old in enumerate(names)}
    users = made.users.with_columns(pl.col("plan").cast(pl.String))
    plans = {old: EVIL[k] for k, old in enumerate(users["plan"].unique().drop_nulls().sort())}
    user = pl.concat_str(pl.lit(f"{SECRET}-"), pl.col("user_id").cast(pl.String)).alias("user_id")
    events = events.with_columns(user, pl.col("event").replace(evil))
    users = users.with_columns(user, pl.col("plan").replace(plans))
    return events, users, _renamed(made.definition, evil)


def _renamed(definition: ek.Definition, evil: dict[str, str]) -> ek.Definition:
    text = json.dumps(definition.to_table())
    for old, new in evil.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    table = json.loads(text) | {"name": EVIL[0]}
    table["steps"] = [step | {"name": EVIL[k]} for k, step in enumerate(table["steps"])]
    return ek.Definition.from_table(table)


def workshop(folder) -> Session:
    """Start a workshop on that log, with a session in which all that people type is hostile too."""
    events, users, definition = log()
    (team,) = start(folder, events=events, users=users, definition=definition, teams=[EVIL[1]])
    session = Session(team)
    for name in EVIL:
        session.vote(name, name)
        session.note(name, f"{name}\n{name}")
        session.decide(name, name)
    for question in QUESTIONS:
        session.decide(question, EVIL[1])
    session.set("votes revealed", value=True)
    session.set("play card", {"owner": EVIL[1], "doubt": EVIL[0]})
    return session

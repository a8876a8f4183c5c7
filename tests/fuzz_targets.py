"""What is fuzzed: the loader, definition files and session files, with inputs that once broke something."""

from __future__ import annotations

import contextlib
import json
import random
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import fuzz_loader
import tomli_w

import engagekit as ek
from engagekit._base.formatting import plain
from engagekit.definition import Definition
from engagekit.matchers import matches
from engagekit.workshop.session import FILE, PARTS, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def refused(error: ek.EngagekitError) -> str:
    """Hold that an error says something, and that a terminal can show it."""
    if not plain(error).strip():
        raise AssertionError("an error that says nothing") from error
    plain(error).encode()
    return "refused"


def loader(data: bytes, folder: Path) -> str:
    """Read an event log; the first byte chooses the kind of file and the options."""
    return fuzz_loader.attempt(data[0], data[1:], folder) if data else "skipped"


def definition(data: bytes, folder: Path) -> str:
    """Read a definition file; what is read must come back the same when written."""
    path, again = folder / "definition.toml", folder / "again.toml"
    path.write_bytes(data)
    try:
        made = Definition.load(path)
    except ek.EngagekitError as error:
        return refused(error)
    for matcher in made.matchers().values():
        matches(matcher)
    made.save(again)
    if Definition.load(again).to_table() != made.to_table():
        raise AssertionError("what was written is read otherwise")
    Definition.from_table(json.loads(json.dumps(made.to_table(), default=str)))
    made.resolved(5.0)
    return "read"


def session(data: bytes, folder: Path) -> str:
    """Read a session file and use it; one that is refused must stay as it is, and no change may lose another."""
    for left in ("definition.toml", "decision-record.md", "decision-record.html"):
        (folder / left).unlink(missing_ok=True)
    path = folder / FILE
    path.write_bytes(data)
    try:
        opened = Session(folder)
    except ek.EngagekitError as error:
        if path.read_bytes() != data:
            raise AssertionError("a file that was refused has changed") from error
        return refused(error)
    before = {part: opened.part(part) for part in PARTS}
    try:
        use(opened)
    except ek.EngagekitError as error:
        return refused(error)
    for part in PARTS:
        after = Session(folder).part(part)
        kept = {k: v for k, v in before[part].items() if k != "new"}
        after = {k: v for k, v in after.items() if k in kept}
        if json.dumps(after, sort_keys=True) != json.dumps(kept, sort_keys=True):
            raise AssertionError(f"{part} lost something")
    return "read"


def use(opened: Session) -> None:
    """Change the session in every way, and write its record."""
    opened.set("new", [1, {"a": None}])
    opened.note("new", "text")
    opened.vote("new", "habit")
    opened.decide("new", ["a"])
    opened.update("plan", {"new": 1})
    opened.update("about", {"new": "x"})
    opened.export()
    if "events" in opened.part("about"):
        with contextlib.suppress(ek.EngagekitError):
            opened.events()
        with contextlib.suppress(ek.EngagekitError):
            opened.journeys()


FULL = """schema_version = 1
name = "T\\u00e9st"
signup = "signed_up"
activation = ["a", {event = "b", where = {kind = ["x", 1, true, 2.5]}}]
core = {event = "c", where = {n = 3}}
advanced = ["d", ["e", "f"], {event = "g"}]
advocacy = ["h"]
timezone = "Europe/Berlin"
week_start = "sunday"
burn_in_days = 0
outcome_days = [28, 42]
usage_interval_days = 3.5

[[steps]]
name = "One"
reached = "i"
completed = ["j"]

[targets]
activation = 0.35
habit = 0.5
"""
STATE = {
    "schema_version": 1,
    "about": {"team": "A", "events": "../log", "users": "../users.parquet", "as_of": "2026-01-01"},
    "controls": {"x": 0.5, "y": [1, None]},
    "votes": {"Ada": "habit"},
    "decisions": {"q": {"answer": ["a"], "on": "2026-01-01"}, "r": 1},
    "notes": {"curves": "words\nmore"},
    "plan": {"link": "habit", "probability": 0.9, "baseline": 0.3, "partners": ["x"], "weeks": 6},
}
# Inputs that once broke something.
SEEDS: dict[str, list[bytes]] = {
    "definition": [
        b'core = "c"\nactivation = {event = "a", where = {kind = nan}}\n',  # nothing equals it
        *[b'core = "c"\nactivation = ' + b"[" * n + b'"a"' + b"]" * n + b"\n" for n in (100, 300, 2000)],
    ],
    "session": [
        b'{"schema_version": 1, "about": {"events": 5}}',  # no path
        b'{"schema_version": 1, "notes": {"a": "\\ud800"}}',  # half a character, which UTF-8 cannot write
        b'{"schema_version": 1, "notes": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",  # deeper than can be written
        b'{"schema_version": 1, "about": {"team": 5}}',
        b'{"schema_version": 1, "votes": {"Ada": []}}',  # no name of a link
        b'{"schema_version": 1, "plan": {"baseline": 1' + b"0" * 400 + b"}}",  # no share
    ],
}  # fmt: skip


ODD = [
    None, True, 0, -1, 1.5, 10**30, float("inf"), float("nan"), "", " ", "a", "../x", "\x00", "\ud800", "=1+1", "NaN", "2026-01-01", "9" * 300, [], [[]],
    {}, {"event": "a"}, {"event": "a", "where": {"b": [1, "c"]}}, {"name": "s"}, ["a", ["b"]], date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), time(1, 2),
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What is fed, what it starts from, which words make an input likelier to get far, and how values are written."""

    attempt: Callable[[bytes, Path], str]
    starts: Sequence[bytes]
    words: Sequence[bytes]
    read: Callable[[str], object] | None = None
    write: Callable[[object], str] | None = None


KEYS = [f.encode() for f in Definition.__dataclass_fields__]
TARGETS = {
    "loader": Target(
        loader,
        [bytes([way]) + content for way, content in fuzz_loader.STARTS + fuzz_loader.SEEDS],
        fuzz_loader.TOKENS,
    ),
    "definition": Target(
        definition,
        [FULL.encode(), b'activation = "a"\ncore = "b"\n', *SEEDS["definition"]],
        [b"[[steps]]", b"[targets]", b"{event = ", b"where = {", b'"', b'"""', b"''", b" = ", b"\n", b"1979-05-27", b"07:32:00", b"inf", b"nan", b"true",
         b"\\u0000", b"0x7fffffffffffffff", b"1e400", b"[", b"]", b"\xff", b"\xef\xbb\xbf", b"schema_version = 2", *KEYS],
        tomllib.loads, tomli_w.dumps,
    ),
    "session": Target(
        session,
        [json.dumps(STATE).encode(), json.dumps(STATE, indent=1).encode(), *SEEDS["session"]],
        [b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"Infinity", b"1e999", b"\\ud800", b"\\u0000", b"\xff", b"-0", b"9" * 40,
         *[f'"{p}": '.encode() for p in ("schema_version", *PARTS, "events", "users", "as_of", "team", "answer", "on", "probability")]],
        json.loads, json.dumps,
    ),
}  # fmt: skip


def twisted(rng: random.Random, value: object) -> object:
    """Put something odd somewhere into a value, or take something out."""
    if not (isinstance(value, (dict, list)) and value) or rng.random() < 0.15:
        return rng.choice(ODD)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, made = rng.choice(keys), value.copy()
    if rng.random() < 0.1:
        del made[key]
    elif isinstance(made, dict) and rng.random() < 0.1:
        made[rng.choice(["", "a", "new", "x.y", "\x00", "\ud800"])] = made.pop(key)
    else:
        made[key] = twisted(rng, value[key])
    return made


def mutated(rng: random.Random, target: Target) -> bytes:
    """Make a new input out of known ones: another value in the same form, or other bytes."""
    content = rng.choice(target.starts)
    if target.read and target.write and rng.random() < 0.6:
        with contextlib.suppress(TypeError, ValueError, RecursionError, AttributeError):
            value = target.read(content.decode())
            for _ in range(rng.choice([1, 1, 2, 4])):
                value = twisted(rng, value)
            return target.write(value).encode()
    for _ in range(rng.choice([1, 1, 2, 3, 5])):
        here, there = sorted(rng.randint(0, len(content)) for _ in range(2))
        change = rng.randrange(5)
        if change == 0:
            content = content[:here] + rng.choice(target.words) + content[here:]
        elif change == 1:
            content = content[:here] + content[min(there, here + 12) :]
        elif change == 2 and content:
            content = content[:here] + bytes([rng.randrange(256)]) + content[here + 1 :]
        elif change == 3:
            content = content[:there] + content[max(here, there - 40) :]
        else:
            content = content[:here] + rng.choice(target.words) + content[here + 5 :]
    return content


def campaign(
    name: str, seconds: float, *, seed: int = 1, most: int = sys.maxsize
) -> dict[str, int]:
    """Change known inputs at random for a while; count what became of them."""
    target, rng, end = TARGETS[name], random.Random(seed), monotonic() + seconds
    counts = {"read": 0, "refused": 0, "skipped": 0}
    with tempfile.TemporaryDirectory(dir=quick_place()) as folder:
        while monotonic() < end and sum(counts.values()) < most:
            content = mutated(rng, target)
            try:
                counts[target.attempt(content, Path(folder))] += 1
            except BaseException:
                print(f"{content!r},", file=sys.stderr)
                raise
    return counts


def quick_place() -> str | None:
    """Name a folder in memory, where there is one: every change of a session is flushed to the disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None

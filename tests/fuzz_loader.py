"""Feed the loader broken logs, and see that only our own errors come out and nothing is read wrongly in silence.

Run by hand: ``python tests/fuzz_loader.py 60`` (seconds). With atheris installed (``pip install atheris``) the
search is guided by the code that each input reaches; without it, inputs are mutated at random. What it finds
belongs into ``SEEDS``, which the tests try on every run.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import random
import sys
import tempfile
import time
import zipfile
from base64 import b64decode
from datetime import UTC, date, datetime
from pathlib import Path

if (
    __name__ == "__main__"
):  # a search by hand; tests that only take the inputs from here need no instruments
    with contextlib.suppress(ImportError):
        import atheris

        with atheris.instrument_imports(include=["engagekit"]):
            import engagekit.ingest.quality_checks
            import engagekit.ingest.scan
            import engagekit.ingest.text_reader
import polars as pl

import engagekit as ek
from engagekit.ingest.nested_fields import NOTHING
from engagekit.ingest.presets import SNOWPLOW_COLUMNS

# How the bytes after the first are read: a file's name and the options, by the first byte.
WAYS: list[tuple[str, dict]] = [
    ("a.csv", {}),
    ("a.tsv", {}),
    ("a.ndjson", {}),
    ("a.parquet", {}),
    ("a.csv.gz", {}),
    ("a.zip", {}),
    ("a", {}),
    ("a.csv", {"bad_times": "null", "keep": ["n"]}),
    ("a.csv", {"timezone": "Europe/Berlin"}),
    ("a.csv", {"at_format": "s"}),
    ("a.csv", {"at_format": "%d/%m/%Y"}),
    ("a.csv", {"encoding": "latin-1"}),
    ("a.ndjson", {"keep": ["n.m", "n"]}),
    ("a.json", {"preset": "amplitude", "keep": "plan"}),
    ("a.json", {"preset": "mixpanel", "keep": "plan"}),
    ("a.json", {"preset": "segment", "keep": "plan"}),
    ("a.json", {"preset": "ga4", "keep": "plan"}),
    ("a.csv", {"preset": "posthog", "keep": "plan"}),
    ("a.tsv", {"preset": "snowplow", "keep": "plan"}),
]
CSV = b'user_id,event,at,n\nann,open,2026-03-01 09:30:00,1\nbob,"a,""b",2026-03-01T09:30:00.5,x\n\n,,,\n'
TIMES = b"user_id,event,at\n" + b"".join(
    b"u,e," + t + b"\n"
    for t in (
        b"2026-03-01T09:30:00Z",
        b"2026-03-01",
        b"1772357400",
        b"03/04/2026",
        b"0001-01-01",
        b"99999-01-01",
        b"never",
    )
)
LINES = b'{"user_id":1,"event":"e","at":"2026-03-01","n":{"m":[1,"x"]}}\n{"user_id":"b","event":null,"at":"2026-03-02","n":1.5}\n'


def _zipped(content: bytes, name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame(
        {"user_id": ["a", None], "event": ["e", "f"], "at": [date(2026, 3, 1)] * 2}
    ).write_parquet(out)
    return out.getvalue()


def _export(**row: object) -> bytes:
    return json.dumps(row).encode() + b"\n"


PARQUET = _parquet()
PAIR = [
    {
        "key": "plan",
        "value": {
            "string_value": "pro",
            "int_value": None,
            "float_value": None,
            "double_value": 1.5,
        },
    }
]
STARTS = [
    (0, CSV),
    (0, TIMES),
    (1, CSV.replace(b",", b"\t")),
    (2, LINES),
    (3, PARQUET),
    (4, gzip.compress(CSV)),
    (5, _zipped(gzip.compress(LINES), "x.json.gz")),
    (6, LINES),
    (6, CSV.replace(b",", b";")),
    (7, TIMES.replace(b"at\n", b"at,n\n")),
    (8, b"user_id,event,at\na,e,2026-03-29 02:30:00\na,e,2026-10-25 02:30:00\n"),
    (9, b"user_id,event,at\na,e,1772357400.5\na,e,-1\na,e,1e400\na,e,99999999999999999999\n"),
    (10, b"user_id,event,at\na,e,01/03/2026\n"),
    (11, CSV.replace(b"ann", b"ann\xe9")),
    (0, CSV.replace(b"ann", b"ann\xe9")),
    (0, CSV.decode().encode("utf-16")),
    (12, LINES),
    (13, _export(user_id=None, amplitude_id=1, event_type="e", event_time="2026-03-01 09:30:00.1", event_properties={"plan": "x"})),
    (14, _export(event="e", properties={"time": 1772357400, "distinct_id": 5, "plan": True})),
    (15, _export(userId=None, anonymousId="a", event="e", timestamp="2026-03-01T09:30:00.000Z", properties={"plan": 1})),
    (16, _export(user_pseudo_id="1.2", event_name="e", event_timestamp="1772357400000000", event_params=PAIR, user_properties=[])),
    (17, b'event,distinct_id,timestamp,properties\ne,a,2026-03-01 09:30:00,"{""plan"": ""pro""}"\n'),
    (18, "\t".join({**dict.fromkeys(SNOWPLOW_COLUMNS, ""), "user_id": "a", "event_name": "e", "collector_tstamp": "2026-03-01 09:30:00"}.values()).encode() + b"\n"),
]  # fmt: skip
# Inputs that once broke something, as (way, content).
SEEDS: list[tuple[int, bytes]] = [
    (
        5,
        b64decode(
            "UEsDBBQAAAAAAIQUdl0Lf+Y8ZAAAAGQAAAAJAAAAeC5qc29uLmd6HzsIABhVAmsC/6tWKi1OLYrPTFGyMtRRSi1LzStRslJKVdJRSgQxjAyMzHQNjHUNDIEieUpW1Uq5SlbRQJUVSrEttVzVCN1KSUpw/XmlOTnoBhh0DDDUM63lAgDhW+1UdQAAAFBLAQIUAxQAAAAAAIQUdl0Lf+Y8ZAAAAGQAAAAJAAAAAAAAAAAAAACAAQAuAHgAAGpzb24uZ3pQSwUGAAAAAAEAAQA3AAAAiwAAAAAA"
        ),
    ),
]
TOKENS = [
    b",", b'"', b"\n", b"\r\n", b"\t", b";", b"{", b"}", b"[", b"]", b":", b"null", b"true", b"1e999", b"-0", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    b"2026-03-01", b"T09:30:00Z", b"+01:00", b"1772357400", b"03/04/26 1:00 PM", b"user_id", b"event", b"at", b"\\u0000", b"\\ud800", b"9" * 30, b"PK\x03\x04",
]  # fmt: skip


def attempt(way: int, content: bytes, folder: Path) -> str:
    """Read one input; anything but our own errors escapes, and what is read must agree with plain Python."""
    if content.startswith(b"PAR1") and not PARQUET.startswith(content):
        # Parquet is tried cut short, as downloads leave it. With bytes changed inside a page polars can ask for
        # exabytes of memory and end the process, which nothing above it can catch.
        return "skipped"
    name, options = WAYS[way % len(WAYS)]
    path = folder / name
    path.write_bytes(content)
    try:
        log = ek.scan_events(path, cache=folder / "cache", **options).collect()
        ek.check_events(log)
    except ek.EngagekitError as error:
        if not str(error).strip():
            raise AssertionError("an error that says nothing") from error
        return "refused"
    _agrees(log, path, options)
    return "read"


def _agrees(log: pl.DataFrame, path: Path, options: dict) -> None:
    at = log["at"].drop_nulls()
    low, high = (
        (date(1990, 1, 1), date(2100, 1, 1))
        if log.schema["at"] == pl.Date
        else (datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    )
    if not at.is_between(low, high, closed="left").all():
        raise AssertionError("a time far outside living memory was read")
    if path.name == "a.csv" and set(options) <= {"timezone", "at_format"}:
        expected = _plain_csv(path.read_bytes())
        if expected is not None and log.select("user_id", "event").rows() != expected:
            raise AssertionError(f"{log.rows()} was read where plain Python reads {expected}")
    if path.name == "a.ndjson" and not options:
        expected = _plain_json(path.read_bytes())
        if expected is not None and log["event"].to_list() != expected:
            raise AssertionError(f"{log.rows()} was read where plain Python reads {expected}")


# White space as Unicode has it; Python's own strip also takes the separators U+001C to U+001F.
WHITE = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def blank(value: str | None) -> str | None:
    """Take what stands for nothing as nothing."""
    return None if value is None or value.strip(WHITE) in NOTHING else value


def _plain_csv(content: bytes) -> list | None:
    # Python's csv is more lenient with quotes, so only files without odd ones can be compared.
    try:
        text = content.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    rows = [row for row in rows if any(row)]
    if (
        not rows
        or len(set(rows[0])) < len(rows[0])
        or not {"user_id", "event", "at"} <= set(rows[0])
        or "\r" in text
        or "\x00" in text
    ):
        return None
    records = [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]
    three = [tuple(blank(r.get(c)) for c in ("user_id", "event", "at")) for r in records]
    return [row[:2] for row in three if any(row)]


def _plain_json(content: bytes) -> list | None:
    try:
        rows = [
            json.loads(line) for line in content.decode("utf-8-sig").split("\n") if line.strip()
        ]
    except ValueError:
        return None
    events = [(row.get("user_id"), row.get("event"), row.get("at")) for row in rows]
    if not all(each is None or isinstance(each, str) for row in events for each in row[1:]):
        return None
    return [blank(e) for u, e, a in events if any((u not in (None, ""), blank(e), blank(a)))]


def mutated(rng: random.Random) -> tuple[int, bytes]:
    """Make a new input out of known ones."""
    way, content = rng.choice(STARTS + SEEDS)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        here, there = sorted(rng.randint(0, len(content)) for _ in range(2))
        change = rng.choice([0, 0, 0, 1, 1, 2, 2, 3, 4])
        if change == 0:
            content = content[:here] + rng.choice(TOKENS) + content[here:]
        elif change == 1:
            content = content[:here] + content[min(there, here + 12) :]
        elif change == 2 and content:
            content = content[:here] + bytes([rng.randrange(256)]) + content[here + 1 :]
        elif change == 3:
            content = content[:there] + content[max(here, there - 40) :]
        else:
            content = content[:here]
    return (way if rng.random() < 0.8 else rng.randrange(len(WAYS))), content


def campaign(seconds: float, seed: int) -> dict[str, int]:
    """Mutate at random for a while; count what became of the inputs."""
    counts = {"read": 0, "refused": 0, "skipped": 0}
    rng, end = random.Random(seed), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            way, content = mutated(rng)
            try:
                counts[attempt(way, content, Path(folder))] += 1
            except BaseException:
                print(f"({way}, {content!r}),", file=sys.stderr)
                raise
    return counts


def guided(seconds: int) -> None:
    """Let atheris search, starting from the known inputs."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, (way, content) in enumerate(STARTS + SEEDS):
            (corpus / str(number)).write_bytes(bytes([way]) + content)

        def one(data: bytes) -> None:
            if data:
                attempt(data[0], data[1:], Path(folder))

        atheris.Setup(
            [
                sys.argv[0],
                str(corpus),
                f"-max_total_time={seconds}",
                "-max_len=4096",
                f"-artifact_prefix={folder}/",
                "-print_final_stats=1",
            ],
            one,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    if "atheris" in sys.modules and "--random" not in sys.argv:
        guided(length)
    else:
        print(
            campaign(
                length, seed=int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2].isdigit() else 1
            )
        )

"""What is wrong with a file of text that cannot be read, found slowly and told with its line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.errors import private, shape
from engagekit.ingest.containers import around_a_list, one_list
from engagekit.ingest.file_heads import head_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engagekit.ingest.column_mapping import Reading, Where
    from engagekit.ingest.files import LogFile

BAD = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, ValueError)
BLOCK = 1 << 20
LONGEST_FIELD = 1 << 30


def explain(file: LogFile, error: BaseException) -> str:
    """Say what is wrong with a file that polars refused."""
    return find(file) or plainly(repr(file.shown), error)


def plainly(name: str, error: BaseException) -> str:
    """Pass on a refusal that could not be explained better."""
    reason = str(error).strip().split("\n")[0][:300]
    return f"{name} cannot be read: {reason}"


def no_room(error: BaseException) -> bool:
    """Tell a full disk (or a limit on file sizes) from other faults."""
    text = str(error)
    return any(
        sign in text
        for sign in (
            "No space left",
            "File too large",
            "os error 27",
            "os error 28",
            "os error 112",
        )
    )


def find(file: LogFile) -> str | None:
    """Find the first thing wrong with a file, or None if nothing is."""
    if file.kind == "parquet":
        return _damaged_parquet(file)
    try:
        return (
            _not_utf8(file)
            or (_bad_json(file) if file.kind == "ndjson" else None)
            or (_bad_rows(file) if file.kind == "csv" else None)
        )
    except (OSError, EOFError, zlib.error) as error:
        return f"{file.shown!r} is damaged or cut off: {error}."


def _damaged_parquet(file: LogFile) -> str | None:
    try:
        pl.scan_parquet(file.path, glob=False).select(pl.all().null_count()).collect()
    except BAD as error:
        return (
            f"{file.shown!r} is a damaged parquet file: {str(error).strip().splitlines()[0][:200]}."
        )
    return None


def _open(file: LogFile) -> Any:
    with file.path.open("rb") as raw:
        start = raw.read(4)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file.path, "rb")
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BytesIO(b"")  # no reader for zstd here: polars' own words must do
    return file.path.open("rb")


def _not_utf8(file: LogFile) -> str | None:
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with _open(file) as source:
        while True:
            block = source.read(BLOCK)
            held = decoder.getstate()[0]
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                whole = held + block
                line += whole[: error.start].count(b"\n")
                start = whole.rfind(b"\n", 0, error.start) + 1
                text = whole[start : error.start + 20].split(b"\n")[0].decode("cp1252", "replace")
                return f"{file.shown!r} is not UTF-8: line {line} holds the byte 0x{whole[error.start]:02x} (as Western text: {shape(text[-40:])}). Save it as UTF-8, or say encoding='cp1252' (or 'latin-1')."
            if not block:
                return None
            line += block.count(b"\n")


def _bad_json(file: LogFile) -> str | None:
    first, more = None, []
    with _open(file) as source:
        for number, line in enumerate(source, 1):
            fault = _fault_of_json(line) if line.strip() else None
            if fault and first is None:
                first = f"line {number} of {file.shown!r} {fault}"
            elif fault:
                more.append(number)
    return first and first + _also(more)


def _fault_of_json(line: bytes) -> str | None:
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        cut = not line.endswith(b"\n")
        why = "is cut off" if cut else f"is no JSON ({error})"
        return f"{why}: {_shown(line)}. Each line takes one JSON object."
    return None if isinstance(value, dict) else f"is no JSON object: {_shown(line)}."


def _no_constant(name: str) -> None:
    # Python writes and reads these; nothing else takes them for JSON.
    raise ValueError(f"{name} is no value of JSON, write null")


def _also(lines: list[int]) -> str:
    """Say how many more lines are broken, and which the first of them are."""
    if not lines:
        return ""
    which = ", ".join(map(str, lines[:5])) + (", …" if len(lines) > 5 else "")
    return f" So is line {which}." if len(lines) == 1 else f" So are {len(lines):,} more ({which})."


def _shown(line: bytes) -> str:
    text = line.strip().decode("utf-8", "replace")
    return shape(text if len(text) <= 60 else text[:57] + "...")


def _bad_rows(file: LogFile) -> str | None:
    quoting: Literal[0, 3] = 0 if file.quoted else 3  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE
    usual = csv.field_size_limit(LONGEST_FIELD)
    try:
        with _open(file) as source, io.TextIOWrapper(source, "utf-8-sig", newline="") as text:
            rows = csv.reader(text, delimiter=file.separator, quoting=quoting, strict=file.quoted)
            try:
                return _ragged(file, rows) or (_stray_quote(file) if file.quoted else None)
            except csv.Error as error:
                return f"{file.shown!r} has a quote that is not closed or not doubled, in the row that ends on line {rows.line_num} ({error})."
    finally:
        csv.field_size_limit(usual)


def _stray_quote(file: LogFile) -> str | None:
    mark = re.escape(file.separator.encode())
    stray = re.compile(rb"(?:^|" + mark + rb')[^"' + mark + rb'\r\n]+"')
    with _open(file) as source:
        for number, line in enumerate(source, 1):
            if stray.search(line):
                return f"line {number} of {file.shown!r} has a quote inside a field that is not quoted itself: {_shown(line)}. Quote the field and double the quote in it."
    return None


def _ragged(file: LogFile, rows: Any) -> str | None:
    width, line, first, more = None, 1, None, []
    for row in rows:
        if row and width is None:
            width = len(row)
        if width is not None and len(row) > width and first is None:
            first = f"line {line} of {file.shown!r} has {len(row)} fields where {width} are expected: {_shown(file.separator.join(row).encode())}. A separator inside a field must be quoted."
        elif width is not None and len(row) > width:
            more.append(line)
        line = rows.line_num + 1
    return first and first + _also(more).replace("So is", "So it is in").replace(
        "So are", "So it is in"
    )


def keys_of(files: Iterable[LogFile]) -> list[str]:
    """List the names that the first rows of files know, nested ones with dots, to suggest the nearest."""
    found: dict[str, None] = {}
    for file in files:
        if file.kind == "ndjson":
            for line in head_of(file.path).splitlines()[:50]:
                found |= dict.fromkeys(_keys(line))
            break
        if file.kind == "csv":
            scan = pl.scan_csv(file.path, separator=file.separator, infer_schema=False, glob=False)
            return scan.collect_schema().names()
    return list(found)


def _keys(line: bytes) -> Iterator[str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return
    if not isinstance(row, dict):
        return
    for key, value in row.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in value)


def around_lists(groups: Sequence[Any]) -> list[str]:
    """Say of files of JSON that hold one list inside an object how to read them."""
    files = [file for group in groups for file in group.files if file.kind == "ndjson"]
    found = {file.shown: around_a_list(head_of(file.path)) for file in files}
    return [one_list(shown, key) for shown, key in found.items() if key]


def id_faults(
    profile: dict[str, Any], log: pl.LazyFrame, reading: Reading, where: Where
) -> list[str]:
    """Say that ids are written as whole numbers and as decimals."""
    if not profile["decimal ids"]:
        return []
    kinds = []
    for pattern in (r"^\d+$", r"^\d+\.0$"):
        rows = log.filter(pl.col("user_id").str.contains(pattern)).head(1)
        kinds += rows.select("user_id").collect().to_series().to_list()
    if len(kinds) < 2:
        return []
    there = where(log, pl.col("user_id").str.contains(r"^\d+\.0$"), 1).rsplit(":", 1)[0]
    whole, decimal = private(repr(kinds[0]), "'7'"), private(repr(kinds[1]), "'7.0'")
    return [
        f"{reading.called('user')} holds whole numbers such as {whole} and decimals such as {decimal} ({there}), so one user may stand under two ids. Write the ids in one form in all files."
    ]

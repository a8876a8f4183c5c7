"""The first bytes of a file, and what they tell of it: its separator, and whether names of columns stand above."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from engagekit.errors import EventLogError

if TYPE_CHECKING:
    from engagekit.ingest.presets import Preset

HEAD = 1 << 16


def head_of(path: Path) -> bytes:
    """Read the start of a file, unpacked."""
    with path.open("rb") as file:
        start = file.read(HEAD)
    if start.startswith(b"\x1f\x8b"):
        with gzip.open(path, "rb") as packed:
            return packed.read(HEAD)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return _head_of_zst(path)
    return start


def _head_of_zst(path: Path) -> bytes:
    # Python reads no zstd before 3.14, polars does.
    try:
        lines = pl.scan_lines(path).head(50).collect().to_series()
    except pl.exceptions.PolarsError as error:
        raise EventLogError(
            f"{str(path)!r} cannot be unpacked as zstd: {str(error)[:200]}."
        ) from None
    return "\n".join(line or "" for line in lines).encode()[:HEAD]


def has_header(path: Path, preset: Preset) -> bool:
    """Tell a table with a header, as warehouses write it, from the export without one."""
    line = head_of(path).split(b"\n")[0].decode("utf-8", "replace").strip("\ufeff\r")
    known = {name.casefold() for name in preset.columns}
    for mark in ",;\t|":
        fields = [field.strip('"').casefold() for field in line.split(mark)]
        if len(fields) > 2 and sum(field in known for field in fields) > len(fields) / 2:
            return not (mark == "\t" and len(fields) == len(preset.columns))
    return False


def refuse_garbled_header(path: Path) -> None:
    """Refuse names of columns that are not written in UTF-8; polars takes them, letter by letter unreadable.

    Raises
    ------
    UnicodeDecodeError
        They are not.
    """
    first, end, _ = head_of(path).partition(b"\n")
    if end:  # a longer one may be cut within a letter
        first.decode()


def refuse_other_texts(path: Path, shown: str) -> None:
    """Refuse what is no table of text, though it is called one: a web page, and letters of two bytes without a mark.

    Raises
    ------
    EventLogError
        It is one of these.
    """
    head = head_of(path)
    start = head[:512].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise EventLogError(f"{shown!r} is a web page or XML, not a table: perhaps the page of a login or of an error was saved. Download the log again.")  # fmt: skip
    first = head.split(b"\n")[0]
    if 3 * first.count(b"\x00") > len(first):
        order = "le" if first[1:2] == b"\x00" else "be"
        raise EventLogError(f"{shown!r} seems to be written in UTF-16 without its mark; say encoding='utf-16-{order}'.")  # fmt: skip


def lines_above(path: Path) -> int:
    """Count the lines above what may be the header: the first line cut into as many fields as the two after it."""
    lines = head_of(path).decode("utf-8", "replace").splitlines()[:30]
    for mark in ",;\t|":
        fields = [line.count(mark) for line in lines]
        for place in range(len(lines) - 2):
            if fields[place] > 1 and fields[place] == fields[place + 1] == fields[place + 2]:
                return place
    return 0


SAID = re.compile(rb"^(?:\xef\xbb\xbf)?sep=(.)\r?$", re.IGNORECASE)


def said_separator(path: Path) -> str | None:
    """Read the separator off a first line such as ``sep=;``, by which Excel is told; None without."""
    found = SAID.match(head_of(path).split(b"\n")[0])
    return found[1].decode("ascii", "replace") if found else None


def separator_of(path: Path, shown: str, skip: int = 0) -> str:
    """Tell by which character the first line is cut into most fields."""
    head = b"\n".join(head_of(path).split(b"\n")[skip:])
    if b"\r" in head and b"\n" not in head:
        raise EventLogError(
            f"{shown!r} ends its lines with a lone carriage return, as old Macs did; save it with ordinary line ends."
        )
    suffixes = [suffix.lower() for suffix in Path(shown).suffixes]
    if {".tsv", ".tab"} & set(suffixes):
        return "\t"
    line = head.lstrip(b"\r\n").split(b"\n")[0].decode("utf-8", "replace").strip("\ufeff\r")
    try:
        counts = {mark: len(next(csv.reader([line], delimiter=mark), [])) for mark in ",;\t|"}
    except csv.Error as error:
        raise EventLogError(
            f"the header of {shown!r} cannot be read: {str(error).split(' - ')[0]}. Is it a file of lines and columns?"
        ) from None
    return max(counts, key=lambda mark: counts[mark])

"""What looks like a log to read and is none: tables of lake formats, workbooks, addresses; each with what to do instead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from engagekit.errors import EventLogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ADDRESS = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/+")
# Of these polars reads parquet, csv and lines of JSON itself.
IN_CLOUDS = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl", "hf")
SCANS = {".parquet": "scan_parquet", ".pq": "scan_parquet", ".csv": "scan_csv", ".tsv": "scan_csv", ".ndjson": "scan_ndjson", ".jsonl": "scan_ndjson"}  # fmt: skip
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
DEEPEST = 12  # folders above a file that are looked at
LOOSE = "Read as loose files, rows that were replaced or deleted would count too."


def is_parquet_elsewhere(source: str) -> bool:
    """Tell the address of parquet, of one file or of a folder of them, that polars can fetch."""
    found = ADDRESS.match(source)
    known = found is not None and found[1].lower() in {*IN_CLOUDS, "http", "https"}
    path = source.split("?", maxsplit=1)[0].casefold()
    return known and path.endswith((".parquet", ".pq", "/", "*"))


def refuse_address(source: str) -> None:
    """Refuse what is no path, saying how to get at it.

    Raises
    ------
    EventLogError
        It is the address of something that lies elsewhere.
    """
    found = ADDRESS.match(source)
    if found is None:
        return
    scheme, rest = found[1].lower(), source[found.end() :]
    address = f"{found[1]}://{rest}"  # also where a Path has taken a slash away
    if scheme == "file":
        raise EventLogError(
            f"{address!r} is an address; give the path alone: {'/' + rest.lstrip('/')!r}."
        )
    if scheme in IN_CLOUDS or scheme in {"http", "https"}:
        scan = SCANS.get(Path(rest).suffix.lower(), "scan_parquet")
        raise EventLogError(
            f"{address!r} lies elsewhere; of what does, ek.scan_events reads parquet by its address, given as text. Copy it here first; or let "
            f"polars read it, and give its frame: ek.scan_events(pl.{scan}({address!r})). DuckDB can, too."
        )
    raise EventLogError(
        f"{address!r} is an address, and only files on this machine are read. Copy it here first, or read it with what knows it and give the table."
    )


def refuse_tables(files: Iterable[Path]) -> None:
    """Refuse files that are parts of a table whose own log says which of them count.

    Raises
    ------
    EventLogError
        They belong to a Delta Lake, Iceberg or Hudi table: every such table.
    """
    parents = dict.fromkeys(file.parent for file in files)
    faults = list(dict.fromkeys(filter(None, map(_fault_of, parents))))
    if faults:
        raise EventLogError.from_faults("The event log cannot be read", faults)


def _fault_of(folder: Path) -> str | None:
    for place in _upwards(folder):
        name = str(place)
        if (place / "_delta_log").is_dir():
            return (
                f"{name!r} is a Delta Lake table. {LOOSE} Give its frame: ek.scan_events(pl.scan_delta({name!r})), or DuckDB's: "
                f"duckdb.sql(\"from delta_scan('{name}')\")."
            )
        if _is_iceberg(place):
            return (
                f"{name!r} is an Iceberg table. {LOOSE} Give its frame: ek.scan_events(pl.scan_iceberg(...)) with the latest file of "
                f"{str(place / 'metadata')!r}, or DuckDB's: duckdb.sql(\"from iceberg_scan('{name}')\")."
            )
        if (place / ".hoodie").is_dir() or (place / ".hoodie_partition_metadata").is_file():
            return (
                f"{name!r} is a Hudi table, or a part of one. {LOOSE} Let Spark read the table and give its frame: "
                "ek.rollup(spark.read.format('hudi').load(...), definition)."
            )
    return None


def _upwards(folder: Path) -> Sequence[Path]:
    """List a folder, and above it those that a table could have as its root: over partitions and a folder of data."""
    places = [folder]
    while len(places) < DEEPEST and places[-1] != places[-1].parent:
        name = places[-1].name
        inside = "=" in name or name == "data" or re.fullmatch(r"\d{1,4}|\d{4}-\d{2}-\d{2}", name)
        if not inside:
            break
        places.append(places[-1].parent)
    return places


def _is_iceberg(place: Path) -> bool:
    metadata = place / "metadata"
    if not metadata.is_dir():
        return False
    return (metadata / "version-hint.text").is_file() or any(metadata.glob("*.metadata.json"))


def is_workbook(shown: str, start: bytes, members: Sequence[str] = ()) -> bool:
    """Tell a spreadsheet program's file by its name, or by what is in it."""
    inside = any(name in {"xl/workbook.xml", "xl/workbook.bin", "content.xml"} for name in members)
    return inside or start.startswith(OLD_WORKBOOK) or Path(shown).suffix.lower() in WORKBOOKS


def refuse_workbook(shown: str, *, given: str) -> None:
    """Refuse a spreadsheet program's file where only text and parquet are read.

    Raises
    ------
    EventLogError
        It is one.
    """
    if not is_workbook(shown, b""):
        return
    raise EventLogError(
        f"{shown!r} is a workbook of a spreadsheet program. Save the sheet as csv (UTF-8) there; or give its frame: "
        f"{given.format(f'pl.read_excel({shown!r})')}, for which polars needs the package fastexcel."
    )

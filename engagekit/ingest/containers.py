"""Files that must be opened before they can be read: other compressions, Excel, Arrow, and JSON that is not line by line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EventLogError
from engagekit.ingest.file_heads import SAID

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LARGEST_JSON = 1 << 30  # a list is read whole, in several times its size of memory
FEW_KEYS = 4


def unpacked(path: Path, start: bytes, target: Path, shown: str) -> bool:
    """Unpack a file compressed as bz2 or xz into `target`; false if it is neither."""
    opener: Any = bz2.open if start[:3] == b"BZh" else lzma.open if start == b"\xfd7zX" else None
    if opener is None:
        return False
    try:
        with opener(path, "rb") as packed, target.open("wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise EventLogError(f"{shown!r} is damaged, or a part of one: {error}.") from None
    return True


def workbook_to_parquet(path: Path, target: Path, shown: str) -> None:
    """Write the first sheet of a workbook as parquet; its cells keep their types.

    Raises
    ------
    EventLogError
        The reader for workbooks is not installed, or it cannot read this one.
    """
    what = f"{shown!r} is a workbook of a spreadsheet program. Save the sheet as csv (UTF-8) there"
    try:
        table: Any = pl.read_excel(path, engine="calamine")
    except ImportError:
        raise EventLogError(
            f"{what}; or install what reads it: pip install 'engagekit[excel]'."
        ) from None
    except Exception as error:  # the reader's own faults are of many kinds
        reason = str(error).strip().split("\n")[0][:200]
        raise EventLogError(f"{what}; as it is it cannot be read: {reason}.") from None
    table.write_parquet(target)


def arrow_to_parquet(path: Path, target: Path, shown: str) -> None:
    """Write an Arrow or feather file as parquet."""
    try:
        pl.scan_ipc(path, glob=False).sink_parquet(target)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise EventLogError(
            f"{shown!r} is a damaged Arrow file, or a part of one: {reason}."
        ) from None


def json_to_lines(
    path: Path, head: bytes, target: Path, shown: str, *, names: Sequence[str]
) -> bool:
    """Write a JSON list, also one inside an object, as one object per line; false if the file is line by line already.

    An object with one of `names` is an event, whatever list it holds.

    Raises
    ------
    EventLogError
        It is no JSON, holds no list of objects, or is too large to be read whole.
    """
    start = head.lstrip(b"\xef\xbb\xbf").lstrip()
    if not (start.startswith(b"[") or _is_wrapped(start, names)):
        return False
    if path.stat().st_size > LARGEST_JSON:
        raise EventLogError(
            f"{shown!r} holds one JSON list of more than 1 GB; write it as one JSON object per line (jq -c '.[]' file.json > file.ndjson)."
        )
    try:
        found = _list_in(json.loads(path.read_bytes()), names)
    except (ValueError, RecursionError) as error:
        if not start.startswith(b"["):
            return False  # lines after all; their own faults are told where they are read
        raise EventLogError(f"{shown!r} is no whole JSON list: {str(error)[:200]}.") from None
    if found is None:
        if not start.startswith(b"["):
            return False
        raise EventLogError(
            f"{shown!r} is a JSON list, but not of objects; each event is an object."
        )
    with target.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in found)
    return True


def around_a_list(head: bytes) -> str | None:
    """Find the key of the one list of objects that a JSON object holds, if a file is nothing but such an object."""
    try:
        held = json.loads(head)
    except (ValueError, RecursionError):
        return None
    lists = [k for k, v in held.items() if isinstance(v, list) and v and isinstance(v[0], dict)] if isinstance(held, dict) else []  # fmt: skip
    return lists[0] if len(lists) == 1 else None


def one_list(shown: str, key: str) -> str:
    """Say what to do about JSON that is one object around a list, rather than an object per line."""
    return (
        f"{shown!r} holds one JSON object around the list {key!r}; it takes a list, one JSON object per line (jq -c '.[{json.dumps(key)}][]' file.json > file.ndjson), "
        f"or a table: ek.scan_events(pl.DataFrame(json.load(open({shown!r}, 'rb'))[{key!r}]))."
    )


def _contents(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> Iterator[bytes]:
    for member in members:
        content = archive.read(member)
        yield gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def joined(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], target: Path
) -> Path | None:
    """Write the lines of JSON of many small files into one, which is read many times quicker; None if some are no such files."""
    with target.open("wb") as out:
        for content in _contents(archive, members):
            if content.strip()[:1] != b"{" or content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
                return None
            out.write(content if content.endswith(b"\n") else content + b"\n")
    return target


def joined_tables(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], target: Path
) -> Path | None:
    """Write the rows of many small csv files with one and the same header into one file; None if some are no such files.

    A quote that is left open would swallow the next file's rows, so a file with an odd number of quotes is none.
    """
    header = None
    with target.open("wb") as out:
        for content in _contents(archive, members):
            text = content.removeprefix(b"\xef\xbb\xbf")
            first, end, rows = text.partition(b"\n")
            if header is None and not SAID.match(first):
                header = first.rstrip(b"\r")
                out.write(header + b"\n")
            if (
                not end
                or first.rstrip(b"\r") != header
                or text.count(b'"') % 2
                or first.count(b'"') % 2
                or b"\x00" in text
            ):
                return None
            out.write(rows if not rows or rows.endswith(b"\n") else rows + b"\n")
    return target


def spread(path: Path, inside: str, target: Path, shown: str) -> Path:
    """Write one line per action where each line is a visit that holds a list of them.

    Raises
    ------
    EventLogError
        A line is no JSON.
    """
    with path.open("rb") as lines, target.open("w", encoding="utf-8") as out:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                visit = json.loads(line)
            except ValueError as error:
                raise EventLogError(f"line {number} of {shown!r} is no JSON ({error}).") from None
            actions = visit.pop(inside, None) or []
            out.writelines(
                json.dumps(visit | action, ensure_ascii=False) + "\n" for action in actions
            )
    return target


def _is_wrapped(start: bytes, names: Sequence[str]) -> bool:
    """Tell an object over several lines, or one around a list, from lines of objects."""
    if not start.startswith(b"{"):
        return False
    line, _, rest = start.partition(b"\n")
    try:
        first = json.loads(line)
    except ValueError:
        return True
    return not rest.strip() and _list_in(first, names) is not None


def _list_in(value: Any, names: Sequence[str]) -> list[Any] | None:
    if isinstance(value, list):
        return value if all(isinstance(each, dict) for each in value) else None
    if not isinstance(value, dict):
        return None
    if any(name in value for name in names):
        return [value]
    lists = [v for v in value.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    if len(lists) == 1 and len(value) <= FEW_KEYS:
        return _list_in(lists[0], names)
    return [value] if any(isinstance(v, str) for v in value.values()) else None

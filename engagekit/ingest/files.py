"""Finding the files of a log and telling what they are: format, compression, separator, encoding."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import json
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from engagekit.errors import EngagekitError, EventLogError, ParameterError, faults_of, nearest
from engagekit.ingest.elsewhere_files import refuse_address, refuse_tables, refuse_workbook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.ingest.presets import Preset

Kind: TypeAlias = Literal["csv", "ndjson", "parquet"]
KINDS: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
PACKED = (".gz", ".zst", ".zstd", ".zip")
READS = "csv, tsv, ndjson (jsonl) and parquet, plain or as .gz, .zst or .zip"
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
DEEPEST = 3  # an export zip may hold zips of gzip files, not more
HEAD = 1 << 16


@dataclass(frozen=True)
class LogFile:
    """One readable file of a log; `shown` is what messages call it."""

    path: Path
    shown: str
    kind: Kind
    separator: str = ","
    header: bool = True
    quoted: bool = True


def is_path(source: Any) -> bool:
    """Say whether a source names files rather than being a table."""
    if isinstance(source, (str, os.PathLike)):
        return True
    return (
        isinstance(source, (list, tuple))
        and bool(source)
        and all(isinstance(each, (str, os.PathLike)) for each in source)
    )


def find_files(source: Any) -> list[Path]:
    """List the files a path, list of paths, glob or folder stands for, in order of their names.

    Raises
    ------
    EventLogError
        Something is not there, holds nothing, is an address or part of a lake's table, or is no kind of file that can be read: all of them.
    """
    each = [source] if isinstance(source, (str, os.PathLike)) else source
    found: list[Path] = []
    faults: list[str] = []
    for one in each:
        try:
            refuse_address(os.fspath(one))
            found += _expand(Path(os.path.expanduser(one)))  # noqa: PTH111 - also takes "~" in text
        except EngagekitError as error:
            faults += faults_of(error)
    if faults:
        raise EventLogError.from_faults("The event log cannot be found", faults)
    refuse_tables(found)
    return list(dict.fromkeys(found))


def _expand(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.exists():
            return [path]
    except (OSError, ValueError) as error:
        raise EventLogError(f"{str(path)!r} cannot be opened ({error}).") from None
    if glob.has_magic(str(path)):
        matched = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - the pattern may be absolute
        files = [file for file in matched if file.is_file()]
        if files:
            return files
        raise EventLogError(f"no file matches {str(path)!r}.")
    raise EventLogError(f"there is no file or folder {str(path)!r}.{_nearby(path)}")


def _nearby(path: Path) -> str:
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError:
        return ""
    return nearest(path.name, names)


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    )
    if not files:
        raise EventLogError(f"the folder {str(folder)!r} holds no files.")
    return files


def open_files(
    paths: Sequence[Path], *, preset: Preset | None, encoding: str, workdir: Path
) -> tuple[list[LogFile], list[str]]:
    """Unpack archives, bring text to UTF-8, and tell each file's format; temporary files go to `workdir`.

    Returns
    -------
    tuple
        The files that can be read, and the faults of those that are empty, damaged or of another kind, by name.
    """
    files: list[LogFile] = []
    faults: list[str] = []
    for path in paths:
        try:
            files += _open(path, str(path), preset, encoding, workdir, depth=0)
        except EngagekitError as error:
            faults += faults_of(error)
        except Exception as error:  # damaged archives raise whatever they meet
            faults.append(f"{str(path)!r} cannot be opened: {error}.")
    return files, list(dict.fromkeys(faults))


def _open(
    path: Path, shown: str, preset: Preset | None, encoding: str, workdir: Path, *, depth: int
) -> list[LogFile]:
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise EventLogError(f"{shown!r} is empty (0 bytes).")
    refuse_workbook(shown, start)
    if start == b"PK\x03\x04" or start == b"PK\x05\x06":
        return _unzip(path, shown, preset, encoding, workdir, depth=depth)
    if start == b"PAR1":
        return [LogFile(path, shown, "parquet")]
    kind = _kind_by_name(shown)
    if kind == "parquet":
        raise EventLogError(f"{shown!r} is not a parquet file, or only a part of one.")
    if kind is None and not (preset and preset.columns):
        kind = _kind_by_content(path, shown)
    path = _as_utf8(path, shown, encoding, workdir)
    if preset and preset.columns:
        return [_headless(path, shown, preset)]
    if kind == "ndjson":
        _refuse_json_array(path, shown)
        return [LogFile(path, shown, "ndjson")]
    return [LogFile(path, shown, "csv", _separator(path, shown))]


def _kind_by_name(shown: str) -> Kind | None:
    suffixes = [suffix.lower() for suffix in Path(shown).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return KINDS.get(suffixes[-1]) if suffixes else None


def _kind_by_content(path: Path, shown: str) -> Kind:
    head = head_of(path).lstrip(codecs.BOM_UTF8).lstrip()
    if head.startswith(b"{"):
        return "ndjson"
    line = head.split(b"\n")[0]
    if b"\x00" not in head[:1000] and any(mark in line for mark in (b",", b"\t", b";", b"|")):
        return "csv"
    raise EventLogError(f"{shown!r} is no kind of file that can be read: {READS}.")


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


def _unzip(
    path: Path, shown: str, preset: Preset | None, encoding: str, workdir: Path, *, depth: int
) -> list[LogFile]:
    if depth == DEEPEST:
        raise EventLogError(f"{shown!r} holds archives within archives more than {DEEPEST} deep.")
    files: list[LogFile] = []
    faults: list[str] = []
    with zipfile.ZipFile(path) as archive:
        members = [
            m
            for m in archive.infolist()
            if not m.is_dir()
            and not Path(m.filename).name.startswith((".", "_"))
            and "__MACOSX" not in m.filename
        ]
        refuse_workbook(shown, b"", [m.filename for m in members])
        if not members:
            raise EventLogError(f"{shown!r} is an archive without files.")
        _refuse_too_large(members, shown, workdir)
        for member in members:
            name = f"{shown}!{member.filename}"
            try:
                target = _new_file(workdir)
                with archive.open(member) as packed, target.open("wb") as out:
                    shutil.copyfileobj(packed, out, 1 << 20)
                files += _open(target, name, preset, encoding, workdir, depth=depth + 1)
            except EngagekitError as error:
                faults += faults_of(error)
            except Exception as error:  # damaged archives raise whatever they meet
                faults.append(f"{name!r} cannot be unpacked: {error}.")
    if faults:
        raise EventLogError.from_faults(f"The archive {shown!r} cannot be read", faults)
    return files


def _new_file(workdir: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=workdir)
    os.close(handle)
    return Path(name)


def _refuse_too_large(members: Sequence[zipfile.ZipInfo], shown: str, workdir: Path) -> None:
    size, free = sum(m.file_size for m in members), shutil.disk_usage(workdir).free
    if size > 0.9 * free:
        raise EventLogError(
            f"{shown!r} unpacks to {size / 1e9:,.1f} GB, more than the {free / 1e9:,.1f} GB free in {str(workdir.parent)!r}. Make room, or say another folder: cache=..."
        )


def _as_utf8(path: Path, shown: str, encoding: str, workdir: Path) -> Path:
    """Rewrite text of another encoding as UTF-8, or leave the file as it is."""
    if encoding.casefold().replace("-", "").replace("_", "") != "utf8":
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ParameterError(
                f"encoding is {encoding!r}, which is no known encoding. Write one such as 'utf-8', 'latin-1' or 'cp1252'."
            ) from None
    else:
        head = head_of(path)
        found = next((name for mark, name in MARKS.items() if head.startswith(mark)), None)
        if found is None or (found == "utf-8-sig" and _kind_by_name(shown) == "csv"):
            return path
        encoding = found
    target = _new_file(workdir)
    try:
        with _plain(path, shown) as source, target.open("w", encoding="utf-8", newline="") as out:
            reader = codecs.getreader(encoding)(source)
            while block := reader.read(1 << 20):
                out.write(block)
    except UnicodeError as error:
        raise EventLogError(f"{shown!r} is not written in {encoding}: {error}.") from None
    return target


def _plain(path: Path, shown: str) -> Any:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path, "rb")
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        raise EventLogError(f"{shown!r} is packed as zstd and not UTF-8; unpack it first.")
    return path.open("rb")


def _refuse_json_array(path: Path, shown: str) -> None:
    if head_of(path).lstrip().startswith(b"["):
        raise EventLogError(one_list(shown))


def one_list(shown: str, key: str | None = None) -> str:
    """Say what to do about JSON that is one list, or one object around a list, rather than an object per line."""
    what = "one JSON list" if key is None else f"one JSON object around the list {key!r}"
    path, at = (".[]", "") if key is None else (f".[{json.dumps(key)}][]", f"[{key!r}]")
    return (
        f"{shown!r} holds {what}; it takes one JSON object per line (jq -c '{path}' file.json > file.ndjson), or a table: "
        f"ek.scan_events(pl.DataFrame(json.load(open({shown!r}, 'rb')){at}))."
    )


def around_a_list(path: Path) -> str | None:
    """Find the key of the one list of objects that a JSON object holds, if a file is nothing but such an object."""
    try:
        held = json.loads(head_of(path))
    except (ValueError, RecursionError):
        return None
    lists = [k for k, v in held.items() if isinstance(v, list) and v and isinstance(v[0], dict)] if isinstance(held, dict) else []  # fmt: skip
    return lists[0] if len(lists) == 1 else None


def _headless(path: Path, shown: str, preset: Preset) -> LogFile:
    first = head_of(path).split(b"\n")[0].decode("utf-8", "replace").lstrip("\ufeff")
    fields = first.rstrip("\r").split("\t")
    if len(fields) != len(preset.columns):
        raise EventLogError(
            f"{shown!r} has {len(fields)} columns separated by tabs; this export has {len(preset.columns)}."
        )
    # Formats without a header are given one now and then.
    header = fields[:3] == list(preset.columns[:3])
    return LogFile(path, shown, "csv", "\t", header=header, quoted=preset.quoted)


def _separator(path: Path, shown: str) -> str:
    head = head_of(path)
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
        raise EventLogError(f"the header of {shown!r} cannot be read: {error}.") from None
    return max(counts, key=lambda mark: counts[mark])

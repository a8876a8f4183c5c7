"""Finding the files of a log and telling what they are: format, compression, separator, encoding."""

from __future__ import annotations

import codecs
import fnmatch
import glob
import gzip
import os
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import unquote

from engagekit.errors import (
    EngagekitError,
    EventLogError,
    ParameterError,
    faults_of,
    listing,
    nearest,
)
from engagekit.ingest import containers
from engagekit.ingest.elsewhere_files import (
    is_parquet_elsewhere,
    is_workbook,
    refuse_address,
    refuse_tables,
)
from engagekit.ingest.file_heads import (
    has_header,
    head_of,
    refuse_other_texts,
    said_separator,
    separator_of,
)
from engagekit.log import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
PACKED = (".gz", ".zst", ".zstd", ".zip", ".bz2", ".xz")
READS = "csv, tsv, ndjson (jsonl), JSON lists, Excel, Arrow and parquet, plain or as .gz, .bz2, .xz, .zst or .zip"
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
DEEPEST = 3  # an export zip may hold zips of gzip files, not more
MANY = 50  # files of an archive that are rather read as one


@dataclass(frozen=True)
class LogFile:
    """One readable file of a log; `shown` is what messages call it."""

    path: Path
    shown: str
    kind: Kind
    separator: str = ","
    header: bool = True
    quoted: bool = True
    skip: int = 0
    hive: tuple[tuple[str, str], ...] = ()  # keys and values that the path holds
    joined: bool = False  # whether it stands for many files of an archive


@dataclass(frozen=True)
class Opening:
    """How files are opened: what they are told to be, and where temporary files go."""

    preset: Preset | None
    encoding: str
    workdir: Path
    columns: bool = (
        False  # whether the names of the columns are said, because the file has no header
    )
    skip: int = 0
    member: str | None = None
    together: bool = False  # whether the many small files of an archive become one
    names: tuple[str, ...] = (
        COLUMNS  # by which an event is told from an object around a list of them
    )


def is_path(source: Any) -> bool:
    """Say whether a source names files rather than being a table."""
    if isinstance(source, (str, os.PathLike)):
        return True
    return (
        isinstance(source, (list, tuple))
        and bool(source)
        and all(isinstance(each, (str, os.PathLike)) for each in source)
    )


def is_remote(source: Any) -> bool:
    """Say whether a source is the address of parquet in a store or on the web, which polars fetches."""
    each = source if isinstance(source, (list, tuple)) else [source]
    return bool(each) and all(isinstance(one, str) and is_parquet_elsewhere(one) for one in each)


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
    except EngagekitError:
        raise
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
    paths: Sequence[Path],
    *,
    preset: Preset | None,
    encoding: str,
    workdir: Path,
    columns: bool = False,
    skip: int = 0,
    member: str | None = None,
    together: bool = False,
    names: Sequence[str] = COLUMNS,
) -> tuple[list[LogFile], list[str]]:
    """Unpack archives, bring text to UTF-8, and tell each file's format; temporary files go to `workdir`.

    Returns
    -------
    tuple
        The files that can be read, and the faults of those that are empty, damaged or of another kind, by name.
    """
    how = Opening(preset, encoding, workdir, columns, skip, member, together, tuple(names))
    files: list[LogFile] = []
    faults: list[str] = []
    for path in paths:
        try:
            hive = hive_of(path)
            files += [replace(file, hive=hive) for file in _open(path, str(path), how, depth=0)]
        except EngagekitError as error:
            faults += faults_of(error)
        except Exception as error:  # damaged archives raise whatever they meet
            faults.append(f"{str(path)!r} cannot be opened: {error}.")
    return files, list(dict.fromkeys(faults))


def hive_of(path: Path) -> tuple[tuple[str, str], ...]:
    """Read the keys of a hive folder out of a path: ``event=open/date=2026-03-01/0.parquet``."""
    pairs = [part.split("=", 1) for part in path.parts[:-1] if re.fullmatch(r"\w+=[^=]+", part)]
    return tuple((key, unquote(value)) for key, value in pairs)


def _open(path: Path, shown: str, how: Opening, *, depth: int) -> list[LogFile]:
    with path.open("rb") as file:
        start = file.read(6)
    if not start:
        raise EventLogError(f"{shown!r} is empty (0 bytes).")
    if start[:4] in {b"PK\x03\x04", b"PK\x05\x06"}:
        return _unzip(path, shown, how, depth=depth)
    if start[:4] == b"PAR1":
        return [LogFile(path, shown, "parquet")]
    if is_workbook(shown, start):
        return _as_parquet(containers.workbook_to_parquet, path, shown, how)
    if start == b"ARROW1":
        return _as_parquet(containers.arrow_to_parquet, path, shown, how)
    if start[:3] == b"BZh" or start[:4] == b"\xfd7zX":
        target = _new_file(how.workdir)
        containers.unpacked(path, start[:4], target, shown)
        return _open(target, shown, how, depth=depth + 1)
    return [_text(path, shown, how)]


def _text(path: Path, shown: str, how: Opening) -> LogFile:
    kind = _kind_by_name(shown)
    if kind == "parquet":
        raise EventLogError(f"{shown!r} is not a parquet file, or only a part of one.")
    headless = bool(how.preset and how.preset.columns)
    if kind is None and not headless:
        kind = _kind_by_content(path, shown)
    path = _as_utf8(path, shown, how.encoding, how.workdir)
    if headless and how.preset is not None and not has_header(path, how.preset):
        return _headless(path, shown, how.preset)
    if kind == "ndjson":
        return LogFile(_as_lines(path, shown, how), shown, "ndjson")
    refuse_other_texts(path, shown)
    said = None if how.skip else said_separator(path)
    skip = how.skip + (said is not None)
    separator = said or separator_of(path, shown, skip)
    return LogFile(path, shown, "csv", separator, header=not how.columns, skip=skip)


def _as_parquet(
    write: Callable[[Path, Path, str], None], path: Path, shown: str, how: Opening
) -> list[LogFile]:
    target = _new_file(how.workdir)
    write(path, target, shown)
    return [LogFile(target, shown, "parquet")]


def _as_lines(path: Path, shown: str, how: Opening) -> Path:
    """Rewrite a JSON list as lines of JSON, or leave the file as it is."""
    head, workdir = head_of(path), how.workdir
    inside = how.preset.inside if how.preset else ""
    if not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"[", b"{")):
        return path
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed and head.lstrip().startswith(b"["):
        plain = _new_file(workdir)
        with gzip.open(path, "rb") as source, plain.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        path = plain
    elif packed:
        return path
    target = _new_file(workdir)
    rewritten = containers.json_to_lines(path, head, target, shown, names=how.names)
    found = target if rewritten else path
    return containers.spread(found, inside, _new_file(workdir), shown) if inside else found


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


def _as_one(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], shown: str, how: Opening
) -> list[LogFile]:
    """Open the many small files of an archive as one, where they are alike; else nothing."""
    preset, kinds = how.preset, {_kind_by_name(member.filename) for member in members}
    suffixes = {Path(member.filename.removesuffix(".gz")).suffix.lower() for member in members}
    if kinds == {"csv"} and len(suffixes) == 1:
        told_apart = how.columns or how.skip or (preset and (preset.columns or preset.table))
        write, suffix = (None if told_apart else containers.joined_tables), suffixes.pop()
    else:
        write, suffix = (None if preset and preset.inside else containers.joined), ".ndjson"
    joined = None if write is None else write(archive, members, _new_file(how.workdir))
    if joined is None:
        return []
    found = _text(joined, f"{shown} ({len(members):,} files){suffix}", how)
    return [replace(found, joined=True)]


def _unzip(path: Path, shown: str, how: Opening, *, depth: int) -> list[LogFile]:
    if depth == DEEPEST:
        raise EventLogError(f"{shown!r} holds archives within archives more than {DEEPEST} deep.")
    with zipfile.ZipFile(path) as archive:
        if is_workbook(shown, b"", archive.namelist()):
            return _as_parquet(containers.workbook_to_parquet, path, shown, how)
        members = _members(archive, shown, how)
        _refuse_too_large(members, shown, how.workdir)
        if (
            how.together
            and len(members) >= MANY
            and (found := _as_one(archive, members, shown, how))
        ):
            return found
        files: list[LogFile] = []
        faults: list[str] = []
        for member in members:
            name = f"{shown}!{member.filename}"
            try:
                target = _new_file(how.workdir)
                with archive.open(member) as packed, target.open("wb") as out:
                    shutil.copyfileobj(packed, out, 1 << 20)
                files += _open(target, name, how, depth=depth + 1)
            except EngagekitError as error:
                faults += faults_of(error)
            except Exception as error:  # damaged archives raise whatever they meet
                faults.append(f"{name!r} cannot be unpacked: {error}.")
    if faults:
        if files and how.member is None:
            faults[-1] += f" To read some of its files only, say which: member={Path(files[0].shown.rsplit('!')[-1]).name!r}."  # fmt: skip
        raise EventLogError.from_faults(f"The archive {shown!r} cannot be read", faults)
    return files


def _members(archive: zipfile.ZipFile, shown: str, how: Opening) -> list[zipfile.ZipInfo]:
    members = [
        m
        for m in archive.infolist()
        if not m.is_dir()
        and not Path(m.filename).name.startswith((".", "_"))
        and "__MACOSX" not in m.filename
    ]
    if not members:
        raise EventLogError(f"{shown!r} is an archive without files.")
    if how.member is None:
        return members
    chosen = [
        m
        for m in members
        if fnmatch.fnmatch(m.filename, how.member)
        or fnmatch.fnmatch(Path(m.filename).name, how.member)
    ]
    if not chosen:
        names = [m.filename for m in members]
        raise EventLogError(f"{shown!r} holds no file {how.member!r}.{nearest(how.member, names)} It holds {listing(names)}.")  # fmt: skip
    return chosen


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

"""The users table from a file: one row per user, with properties fixed at the start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EventLogError, listing, nearest, shape
from engagekit.ingest import column_mapping, file_errors, nested_fields, timestamps
from engagekit.ingest.column_mapping import RAW
from engagekit.ingest.elsewhere_files import refuse_address, refuse_workbook
from engagekit.ingest.files import PACKED, open_files
from engagekit.instants import AT, zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.ingest.files import LogFile

READERS = (".parquet", ".csv", ".tsv", ".ndjson", ".jsonl")
USER, SIGNED_UP = "user_id", "signed_up_at"


def read_users(
    path: str | os.PathLike[str],
    *,
    ids: pl.DataType | None = None,
    timezone: str = "UTC",
    at_format: str | None = None,
    encoding: str = "utf-8",
) -> pl.DataFrame:
    r"""Read a users table from csv, tsv, ndjson or parquet.

    Parameters
    ----------
    path
        The file, plain or as .gz or .zst; it has the column ``user_id``, and ``signed_up_at`` if the sign-up is known
        from here.
    ids
        The type of the log's ids; whole numbers are written as text where the log holds text.
    timezone
        Where a ``signed_up_at`` without an offset lies.
    at_format
        How ``signed_up_at`` is written, where that cannot be told: an epoch's unit or a strptime pattern.
    encoding
        The encoding of a text file; one with a byte-order mark is recognised.

    Returns
    -------
    polars.DataFrame
        The table as it stands, `user_id` of the log's type (of text, ids keep the zeros in front), `signed_up_at` in
        UTC or as dates; properties out of text take the narrowest type all their values have.

    Raises
    ------
    EventLogError
        The file is missing, broken, of another kind, lacks ``user_id``, or holds ids or times that cannot be read:
        all of it at once.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/users.csv"
    >>> _ = Path(path).write_text("user_id,plan\na,pro\n", encoding="utf-8")
    >>> read_users(path).rows()
    [('a', 'pro')]
    """
    zone(timezone)
    form = timestamps.form_of(at_format) if at_format is not None else None
    refuse_address(os.fspath(path))
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    refuse_workbook(str(path), given="ek.rollup(..., users={})")
    if not suffixes or suffixes[-1] not in READERS:
        raise EventLogError(
            f"The users table {str(path)!r} is of no known kind; it takes {listing(READERS, last='or')}."
        )
    if not path.is_file():
        raise EventLogError(
            f"There is no users table {str(path)!r}; give the path of an existing file."
        )
    frame, of_text = _read(path, encoding)
    if USER not in frame.columns:
        found = f"found {listing(frame.columns)}.{nearest(USER, frame.columns)}"
        raise EventLogError(
            f"The users table {str(path)!r} has no column 'user_id'; {found} Rename the column that holds the id."
        )
    frame, faults = _with_ids(frame, ids)
    if SIGNED_UP in frame.columns:
        frame, found_too = _with_sign_ups(frame, form, timezone)
        faults += found_too
    if faults:
        raise EventLogError.from_faults(f"The users table {str(path)!r} cannot be used", faults)
    return frame.with_columns(_narrowed(frame, ids)) if of_text else frame


def _read(path: Path, encoding: str) -> tuple[pl.DataFrame, bool]:
    """Read the file; also say whether it holds its values as text."""
    heading = f"The users table {str(path)!r} cannot be read"
    with tempfile.TemporaryDirectory(prefix="engagekit-") as folder:
        files, faults = open_files([path], preset=None, encoding=encoding, workdir=Path(folder))
        if faults:
            raise EventLogError.from_faults(heading, faults)
        if len(files) > 1:
            raise EventLogError(f"{heading}: it is an archive of {len(files)} files; give one.")
        try:
            return _rows(files[0]), files[0].kind == "csv"
        except file_errors.BAD as error:
            raise EventLogError(f"{heading}: {file_errors.explain(files[0], error)}") from None


def _rows(file: LogFile) -> pl.DataFrame:
    if file.kind == "parquet":
        return pl.read_parquet(file.path, glob=False)
    if file.kind == "ndjson":
        return pl.scan_ndjson(file.path, infer_schema_length=None).collect()
    # All as text: only so do ids keep the zeros in front, and dates are not taken month first or day first.
    return pl.scan_csv(
        file.path, separator=file.separator, infer_schema=False, glob=False
    ).collect()


def _with_ids(frame: pl.DataFrame, ids: Any) -> tuple[pl.DataFrame, list[str]]:
    user, have = pl.col(USER), frame.schema[USER]
    if have == pl.String:
        frame = frame.with_columns(
            pl.when(~user.str.strip_chars().is_in(nested_fields.NOTHING)).then(user)
        )
    elif have.is_float() and frame.select((user == user.round()).all()).item():
        # Whole numbers that pandas made decimals, for want of a null.
        frame = frame.with_columns(user.fill_nan(None).cast(pl.Int64))
    if ids is None or ids == frame.schema[USER] or not (ids == pl.String or ids.is_integer()):
        return frame, []
    cast = frame.with_columns(user.cast(ids, strict=False))
    lost = frame[USER].filter(cast[USER].is_null() & frame[USER].is_not_null())
    if lost.is_empty():
        return cast, []
    return frame, [
        f"{len(lost)} of the ids in 'user_id' are no whole numbers, as the log's are (such as {shape(str(lost[0]))}). Write them as the log does."
    ]


def _with_sign_ups(
    frame: pl.DataFrame, form: timestamps.Form | None, timezone: str
) -> tuple[pl.DataFrame, list[str]]:
    at, dtype = pl.col(SIGNED_UP), frame.schema[SIGNED_UP]
    if isinstance(dtype, pl.Datetime):
        return frame.with_columns(column_mapping.known_time(at, dtype, timezone)), []
    if not (dtype == pl.String or dtype.is_numeric()):
        return frame, []  # dates stay; what is no time at all is refused where the table is used
    raw = column_mapping.text_of_time(at)
    log = frame.lazy().select(raw.alias(RAW), pl.lit(None, AT).alias("at"))
    faults: list[str] = []
    # What is said of the log's times need not be true of this table: it is also read without.
    for stated in dict.fromkeys([form, None]):
        reading = column_mapping.Reading(
            {"at": ((SIGNED_UP,),)}, {}, stated, timezone, can_drop=False
        )
        forms, found = column_mapping.settle_times(log, None, reading, column_mapping.rows_of({}))
        if not found:
            read = (
                timestamps.reading(forms, timezone=timezone, raw=raw) if forms else pl.lit(None, AT)
            )
            return frame.with_columns(read.alias(SIGNED_UP)), []
        faults = faults or found
    return frame, faults


def _narrowed(frame: pl.DataFrame, ids: Any) -> Sequence[pl.Expr]:
    names = [
        name
        for name in frame.columns
        if frame.schema[name] == pl.String and (name != USER or ids != pl.String)
    ]
    facts = frame.lazy().select(column_mapping.type_facts(frame.lazy(), names)).collect()
    return column_mapping.narrowed(facts.row(0, named=True), names) if names else []

"""The users table from a file: one row per user, with properties fixed at the start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from engagekit.errors import EventLogError, listing, nearest
from engagekit.instants import AT

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

READERS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    ".parquet": pl.scan_parquet,
    ".csv": lambda path: pl.scan_csv(path, try_parse_dates=True, infer_schema_length=None),
    ".tsv": lambda path: pl.scan_csv(
        path, separator="\t", try_parse_dates=True, infer_schema_length=None
    ),
    ".ndjson": pl.scan_ndjson,
    ".jsonl": pl.scan_ndjson,
}


def read_users(
    path: str | os.PathLike[str], *, ids: pl.DataType | None = None, timezone: str = "UTC"
) -> pl.DataFrame:
    r"""Read a users table from csv, tsv, ndjson or parquet.

    Parameters
    ----------
    path
        The file; it has the column ``user_id``, and ``signed_up_at`` if the sign-up is known from here.
    ids
        The type of the log's ids; whole numbers are written as text where the log holds text.
    timezone
        Where a ``signed_up_at`` without an offset lies.

    Returns
    -------
    polars.DataFrame
        The table as it stands, `user_id` of the log's type, `signed_up_at` in UTC.

    Raises
    ------
    EventLogError
        The file is missing, broken, of another kind, or lacks ``user_id``.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/users.csv"
    >>> _ = Path(path).write_text("user_id,plan\na,pro\n", encoding="utf-8")
    >>> read_users(path).rows()
    [('a', 'pro')]
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise EventLogError(
            f"The users table {str(path)!r} is of no known kind; it takes {listing(READERS, last='or')}."
        )
    try:
        frame = reader(path).collect()
    except FileNotFoundError:
        raise EventLogError(
            f"There is no users table {str(path)!r}; give the path of an existing file."
        ) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise EventLogError(
            f"The users table {str(path)!r} cannot be read: {str(error).splitlines()[0]}"
        ) from None
    if "user_id" not in frame.columns:
        found = f"found {listing(frame.columns)}.{nearest('user_id', frame.columns)}"
        raise EventLogError(
            f"The users table {str(path)!r} has no column 'user_id'; {found} Rename the column that holds the id."
        )
    if (
        ids is not None
        and ids != frame.schema["user_id"]
        and (ids == pl.String or ids.is_integer())
    ):
        frame = frame.with_columns(pl.col("user_id").cast(ids, strict=False))
    at = frame.schema.get("signed_up_at")
    if isinstance(at, pl.Datetime) and at.time_zone is None:
        local = pl.col("signed_up_at").dt.replace_time_zone(
            timezone, ambiguous="earliest", non_existent="null"
        )
        frame = frame.with_columns(local.dt.convert_time_zone("UTC").cast(AT))
    return frame

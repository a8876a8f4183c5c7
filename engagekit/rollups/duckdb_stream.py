"""A log in DuckDB as a lazy polars frame: its columns stream over as Arrow batches whenever they are asked for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EngagekitError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 20_000_000  # events of a log that streams over; more are reduced by DuckDB's own queries
BATCH = 100_000


def streamed(relation: Any) -> pl.LazyFrame | None:
    """Open a relation as a lazy frame; None where it is too large.

    A connection has one result at a time, so no pass may begin before the one before has come to its end: whoever reads
    the frame must neither stop early nor ask two questions at once.
    """
    if _hands_over_through_pyarrow() and find_spec("pyarrow") is None:
        raise EngagekitError(
            "A log in this version of DuckDB comes over as Arrow tables, which need the package 'pyarrow'; "
            "install it, or engagekit[duckdb]."
        )
    if relation.aggregate("count(*)").fetchall()[0][0] > MOST:
        return None
    schema = pl.DataFrame(_of(relation, relation.columns).limit(0)).schema
    from polars.io.plugins import register_io_source

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, _rows: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        names = relation.columns if columns is None else columns or relation.columns[:1]
        for batch in _batches(_of(relation, names)):
            yield batch if predicate is None else batch.filter(predicate)

    return register_io_source(source, schema=schema)


def _hands_over_through_pyarrow() -> bool:
    """Say whether this DuckDB is one of those before 2.0, which have no other way."""
    import duckdb

    return int(duckdb.__version__.split(".")[0]) < 2


def _of(relation: Any, names: list[str]) -> Any:
    """Take some columns; what goes by a list of names or by 128 bits comes as text."""
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
    texts = [name for name in names if kinds[name].startswith(("ENUM", "UUID"))]
    cast = {name: f"{quoted[name]}::varchar as {quoted[name]}" for name in texts}
    return relation.project(", ".join(cast.get(name, quoted[name]) for name in names))


def _batches(relation: Any) -> Iterator[pl.DataFrame]:
    """Hand over the rows batch by batch; without pyarrow polars takes the stream as a whole."""
    try:
        import pyarrow  # noqa: F401, ICN001 -- DuckDB needs it for a reader
    except ModuleNotFoundError:
        yield pl.DataFrame(relation)
        return
    begin = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
    reader = begin(BATCH)
    try:
        for batch in reader:
            frame = pl.from_arrow(batch)
            if isinstance(frame, pl.DataFrame):
                yield frame
    finally:
        reader.close()

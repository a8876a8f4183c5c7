"""Where a value lies in a row: a column, a field of a record, a key of JSON text, or a key in a list of pairs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from engagekit.ingest.presets import Path, Preset

# What programs write for "nothing" where an id, a name or a time belongs.
NOTHING = ["", "null", "NULL", "None", "none", "nan", "NaN", "undefined", "\\N"]
JOINED = "\x1f"  # between the names of columns that are read as one
PAIR_VALUES = ("string_value", "int_value", "float_value", "double_value")
PAIRS = pl.List(
    pl.Struct({"key": pl.String, "value": pl.Struct(dict.fromkeys(PAIR_VALUES, pl.String))})
)


def places_of(name: str, preset: Preset | None) -> tuple[Path, ...]:
    """List where a property of this name may lie: as a column, along dots, or in the preset's bags."""
    parts = name.split(".")
    ways: list[Path] = [(name,)]
    ways += [(".".join(parts[:n]), ".".join(parts[n:])) for n in range(1, len(parts))]
    ways += [tuple(parts)] if len(parts) > 2 else []
    for bag in preset.bags if preset else ():
        ways += [(*bag, name), (".".join([*bag, name]),)]
        ways += [(*bag, *parts)] if len(parts) > 1 else []
    return tuple(dict.fromkeys(ways))


def _own_name(schema: Mapping[str, Any], name: str) -> str | None:
    """Find a column as it is written, or else the one that differs by case only, as warehouses write names in capitals."""
    if name in schema:
        return name
    folded = [each for each in schema if each.casefold() == name.casefold()]
    return folded[0] if len(folded) == 1 else None


def _joined(schema: Mapping[str, Any], names: Sequence[str]) -> pl.Expr | None:
    """Join several columns by blanks: an event's category and action, a date and a time."""
    frame = pl.LazyFrame(schema=schema)
    parts: list[pl.Expr] = []
    for name in names:
        value = first_of(schema, places_of(name, None))
        if value is None:
            return None
        dtype = frame.select(value.alias("v")).collect_schema()["v"]
        # The day of a date column that was read as midnights.
        day = isinstance(dtype, pl.Datetime) and len(parts) == 0
        parts.append((value.dt.date() if day else value).cast(pl.String))
    joined = pl.concat_str(parts, separator=" ", ignore_nulls=True)
    return pl.when(parts[0].is_not_null()).then(joined)


def value_at(schema: Mapping[str, Any], place: Path) -> pl.Expr | None:
    """Build the expression of a value at a place, or None if the schema has no such place."""
    if JOINED in place[0]:
        return _joined(schema, place[0].split(JOINED))
    name = _own_name(schema, place[0])
    if name is None:
        # A log of one kind of event names it: event="=purchase".
        constant = len(place) == 1 and place[0].startswith("=") and len(place[0]) > 1
        return pl.lit(place[0][1:]) if constant else None
    dtype = schema[name]
    value, rest = pl.col(name), place[1:]
    while rest:
        if isinstance(dtype, pl.Struct):
            fields = {field.name: field.dtype for field in dtype.fields}
            inner = _own_name(fields, rest[0])
            if inner is None:
                return None
            value, dtype, rest = value.struct.field(inner), fields[inner], rest[1:]
        elif dtype == pl.String:
            return from_json(value, rest)
        elif _holds_pairs(dtype) and len(rest) == 1:
            return _paired(value, rest[0], dtype)
        else:
            return None
    return value


def from_json(text: pl.Expr, keys: Sequence[str]) -> pl.Expr:
    """Take the value under keys out of JSON text, as text; what is no JSON gives null."""
    plain = [key for key in keys if re.fullmatch(r"[A-Za-z0-9_$ .-]+", key)]
    for key in plain:
        # Looking for the key is much quicker than parsing a text that lacks it.
        text = pl.when(text.str.contains(f'"{key}"', literal=True)).then(text)
    return text.str.json_path_match(json_path(keys))


def json_path(keys: Sequence[str]) -> str:
    """Write keys as a JSON path."""
    return "$" + "".join(f"[{json.dumps(key, ensure_ascii=False)}]" for key in keys)


def _holds_pairs(dtype: Any) -> bool:
    inner = dtype.inner if isinstance(dtype, pl.List) else None
    return isinstance(inner, pl.Struct) and {"key", "value"} <= {f.name for f in inner.fields}


def _paired(value: pl.Expr, key: str, dtype: Any) -> pl.Expr:
    inner = next(field.dtype for field in dtype.inner.fields if field.name == "value")
    found = pl.element().struct.field("value")
    if isinstance(inner, pl.Struct):
        names = [field.name for field in inner.fields if field.name in PAIR_VALUES]
        found = pl.coalesce(found.struct.field(name).cast(pl.String) for name in names)
    chosen = pl.when(pl.element().struct.field("key") == key).then(found)
    return value.list.eval(chosen).list.drop_nulls().list.first()


def first_of(
    schema: Mapping[str, Any], places: Iterable[Path], *, blanks: bool = False
) -> pl.Expr | None:
    """Build the expression of the first of several places that holds something; with `blanks`, "" holds something."""
    found = [(value, place) for place in places if (value := value_at(schema, place)) is not None]
    if not found:
        return None
    frame = pl.LazyFrame(schema=schema)
    dtypes = [frame.select(value.alias("v")).collect_schema()["v"] for value, _ in found]
    values = [value for value, _ in found]
    if len(set(dtypes)) > 1:
        values = [as_text(value, dtype) for value, dtype in zip(values, dtypes, strict=True)]
        dtypes = [pl.String()]
    if dtypes[0] == pl.String and not blanks:
        values = [pl.when(~v.str.strip_chars().is_in(NOTHING)).then(v) for v in values]
    return values[0] if len(values) == 1 else pl.coalesce(values)


def as_text(value: pl.Expr, dtype: Any) -> pl.Expr:
    """Write a value of any type as text."""
    if isinstance(dtype, pl.Struct):
        return value.struct.json_encode()
    if dtype.is_nested():
        return pl.lit(None, dtype=pl.String)
    return value.cast(pl.String)


def schema_for(places: Sequence[Path], *, pairs: Sequence[str] = ()) -> dict[str, Any]:
    """Build the schema that reads these places from lines of JSON, every value as text."""
    tree: dict[str, Any] = {}
    leaves: set[Path] = set()
    apart = [(name,) for place in places for name in place[0].split(JOINED) if JOINED in place[0]]
    plain = [place for place in places if JOINED not in place[0] and not place[0].startswith("=")]
    for place in [*plain, *apart]:
        if place[0] in pairs:
            tree[place[0]] = PAIRS
            continue
        leaves.add(place)
        node = tree
        for key in place[:-1]:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                break
        else:
            node.setdefault(place[-1], {})
    return {key: _dtype(node, (key,), leaves) for key, node in tree.items()}


def _dtype(node: Any, place: Path, leaves: set[Path]) -> Any:
    # A place wanted whole and in parts is read whole, as text, and its parts are taken from the text.
    if not isinstance(node, dict):
        return node
    if not node or place in leaves:
        return pl.String
    return pl.Struct({key: _dtype(child, (*place, key), leaves) for key, child in node.items()})

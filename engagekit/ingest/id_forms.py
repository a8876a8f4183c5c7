"""Ids that may be one person's, written in two ways; ids that a spreadsheet has rounded; ids that stand for many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import Remark, count, many

if TYPE_CHECKING:
    from collections.abc import Iterable

ALIKE, ROUNDED, SHARED = "ids alike", "ids rounded", "ids that stand for many"  # kinds of remarks
# In what ids differ that are alike: what to call it, and how such an id is known; the bit is its place.
FORMS = {
    "blanks or invisible characters": r"^\s|\s$|\p{Cf}",
    "capitals": r"\p{Lu}",
    "zeros in front": r"^\s*0+.",
    "a '.0' behind": r"^\s*[0-9]+\.0+\s*$",
}
EXPONENT = r"^\s*[0-9](\.[0-9]+)?[eE]\+?[0-9]+\s*$"  # what a spreadsheet makes of a long number
CAPITALS = 1 << list(FORMS).index("capitals")
ROUNDED_BIT, SHARED_BIT = 1 << len(FORMS), 2 << len(FORMS)
NOBODY = (
    "", "-", "null", "none", "nil", "nan", "na", "n/a", "undefined", "unknown", "anonymous", "anon", "guest", "user", "test",
    "[object object]", "(not set)", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip
SUSPECT = r"[^a-z0-9_@+:|.\-]|^0|\.0+$|e\+?[0-9]+$"  # without any of this an id in small letters is in its normal form
SCHEMA: dict[str, Any] = {"form": pl.UInt64, "bits": pl.UInt8}


def forms_of(ids: pl.DataFrame) -> pl.DataFrame:
    """Reduce distinct ids to what can be compared: ``form`` (a hash of the normal form) and ``bits`` (how it is written).

    Whole numbers are alike only if they are the same, so they give an empty frame.
    """
    if ids.schema["user_id"] not in (pl.String, pl.Categorical) and not isinstance(
        ids.schema["user_id"], pl.Enum
    ):
        return pl.DataFrame(schema=SCHEMA)
    user = pl.col("user_id")
    texts = ids.lazy().select(user.cast(pl.String)).drop_nulls()
    texts = texts.with_columns(user.str.to_lowercase().alias("small"))
    small = pl.col("small")
    odd = small.str.contains(SUSPECT) | small.is_in(NOBODY)
    known = texts.with_columns(odd.alias("odd")).collect()
    plain, odd_ones = known.filter(~pl.col("odd")), known.filter("odd")
    # One of many numbers, 0 is a user; beside words it stands for nobody, as '000' does everywhere.
    numbered = bool((odd_ones["user_id"] == "0").any()) and 2 * known["user_id"].str.contains(r"^\d+$").sum() > known.height  # fmt: skip
    capital = pl.when(user != small).then(pl.lit(CAPITALS, pl.UInt8)).otherwise(pl.lit(0, pl.UInt8))
    return pl.concat(
        [
            plain.select(small.hash().alias("form"), capital.alias("bits")),
            odd_ones.select(
                normal_id(user).hash().alias("form"), _bits(user, numbered=numbered).alias("bits")
            ),
        ]
    )


def _bits(user: pl.Expr, *, numbered: bool) -> pl.Expr:
    bits: pl.Expr = pl.lit(0, pl.UInt8)
    tests = [user.str.contains(pattern) for pattern in (*FORMS.values(), EXPONENT)]
    nobody = normal_id(user).is_in(NOBODY)
    tests.append(nobody & (user != "0") if numbered else nobody)
    for place, test in enumerate(tests):
        bit = pl.when(test).then(pl.lit(1 << place, pl.UInt8)).otherwise(pl.lit(0, pl.UInt8))
        bits = bits | bit
    return bits


def normal_id(user: pl.Expr) -> pl.Expr:
    """Write an id as it is compared: no blanks around it, no invisible characters, small letters, plain whole numbers."""
    seen = user.str.replace_all(r"\p{Cf}", "").str.strip_chars().str.to_lowercase()
    return (
        pl.when(seen.str.contains(FORMS["a '.0' behind"]))
        .then(seen.str.replace(r"\.0+$", ""))
        .otherwise(seen)
        .str.strip_chars_start("0")
    )


def of_ids(forms: Iterable[pl.DataFrame]) -> list[Remark]:
    """Say which ids may be one person's, rounded, or everybody's."""
    known = pl.concat([pl.DataFrame(schema=SCHEMA), *forms])
    if not (known["bits"] > 0).any():
        return []
    groups = known.group_by("form").agg(pl.len(), pl.col("bits").bitwise_or())
    alike = groups.filter(pl.col("len") > 1)
    bits = [known.filter(pl.col("bits") & bit > 0).height for bit in (ROUNDED_BIT, SHARED_BIT)]
    together = alike.select(pl.col("bits").bitwise_or()).item() if alike.height else 0
    return remarks_on_ids(
        ids=known.height,
        alike=int(alike["len"].sum()),
        people=alike.height,
        forms=[form for place, form in enumerate(FORMS) if together >> place & 1],
        rounded=bits[0],
        shared=bits[1],
    )


def remarks_on_ids(
    *, ids: int, alike: int, people: int, forms: list[str], rounded: int, shared: int
) -> list[Remark]:
    """Write the remarks from the counts."""
    found = []
    if alike:
        by = " and ".join(forms) or "how they are written"
        text = (
            f"{many(alike, 'user id')} of {count(ids)} would be {count(people)} if not for {by}: they may be the same people, "
            "counted as several. Write ids alike in the log and the users table, or join them with identities=."
        )
        found.append(Remark(ALIKE, ("user_id",), text, alike, alike / ids))
    if rounded:
        text = (
            f"{many(rounded, 'user id')} of {count(ids)} {'is' if rounded == 1 else 'are'} written like 1.23457E+11: a spreadsheet "
            "has rounded them, and different people may have become one. Take the log from its source again."
        )
        found.append(Remark(ROUNDED, ("user_id",), text, rounded, rounded / ids))
    if shared:
        text = (
            f"{many(shared, 'user id')} of {count(ids)} {'reads' if shared == 1 else 'read'} like a word for nobody ('null', 'anonymous', "
            "zeros only): they may stand for many people. Leave them out with exclude=."
        )
        found.append(Remark(SHARED, ("user_id",), text, shared, shared / ids))
    return found

"""What stands in the drawer of a mark: how many, how they differ from the rest, three of their timelines, their group.

Nothing here is kept: it is made when a drawer is opened, and goes to the browser in a message of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit import charts
from engagekit._base import count, many, percent
from engagekit.diagnosis import timeline
from engagekit.errors import EngagekitError, ParameterError
from engagekit.journeys import MIN_GROUP
from engagekit.reporting import as_csv, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys
    from engagekit.widgets.behind import Behind

MOST_VALUES = 12  # of a property: one of more values tells nothing at a glance
MOST_IDS = 200  # in the drawer; the CSV has all
PLACES = {
    "a quiet one": 0.25,
    "a usual one": 0.5,
    "a busy one": 0.75,
}  # of the group, by active days
HIDDEN = "–"


def drawer(
    source: Behind,
    number: int,
    *,
    rest: bool = False,
    show_ids: bool = False,
    least: int = MIN_GROUP,
) -> dict[str, Any]:
    """Open a mark.

    Parameters
    ----------
    source
        The chart and who is behind its marks.
    number
        The mark.
    rest
        Open those of its denominator that its number does not count.
    show_ids
        Whether ids may be shown.
    least
        Groups of fewer users stay closed.

    Returns
    -------
    dict
        Plain values: `said` (what the mark is), `count`, `of`, `text`, `both` (whether there is a rest), `closed`
        (why nobody is shown, or nothing), and if open `properties` (name, and rows of value, share inside, share in the
        rest), `timelines` (name and chart), and with `show_ids` `ids` and `more`.
    """
    told = counts(source, number, rest=rest, least=least) | {"may_take": show_ids}
    if told["closed"]:
        return told
    row = source.mark(number)
    users = members(source, number, rest=rest)
    others = _others(source, row, users)
    mine = _known(source).join(users.to_frame().lazy(), on="user_id", how="semi").collect()
    told |= {
        "properties": [p for name in source.journeys.properties if (p := compared(name, mine, others, least))],
        "timelines": timelines(source.journeys, mine),
    }  # fmt: skip
    if show_ids:
        told |= {"ids": [str(user) for user in users.head(MOST_IDS)], "more": max(0, users.len() - MOST_IDS)}  # fmt: skip
    return told


def counts(
    source: Behind, number: int, *, rest: bool = False, least: int = MIN_GROUP
) -> dict[str, Any]:
    """Say how many a mark stands for: known from the answer, before anybody is looked up."""
    row = source.mark(number)
    of = row.get("of")
    shown = row["n"] if not rest else (of or 0) - row["n"]
    few = "Nobody." if shown == 0 else f"Groups of fewer than {least} users stay closed."
    return {
        "mark": number, "rest": rest, "said": source.said(row), "count": shown, "of": of,
        "both": source.everyone is not None and of is not None, "text": counted(row, rest=rest),
        "closed": few if shown < least else "",
    }  # fmt: skip


def counted(row: dict[str, Any], *, rest: bool) -> str:
    """Write how many a mark stands for."""
    of, n = row.get("of"), row["n"]
    if of is None:
        return many(n, "user")
    number = of - n if rest else n
    share = percent(number / of) if of else HIDDEN
    return f"{count(number)} of {many(of, 'user')} ({share})" + (" did not" if rest else "")


def members(source: Behind, number: int, *, rest: bool = False) -> pl.Series:
    """Take the users behind a mark, or those of its denominator that it does not count, sorted.

    Raises
    ------
    ParameterError
        They are not as many as the chart says, so it cannot be said who they are.
    """
    row = source.mark(number)
    users = source.who(row)
    fits = users.len() == row["n"]
    if rest and source.everyone is not None:
        everyone = source.everyone(row)
        fits = fits and everyone.len() == row["of"]
        users = everyone.filter(~everyone.is_in(users.implode()))
    if not fits:
        raise ParameterError(
            "The chart counts others than are found here, so nobody is shown. Run the cell again."
        )
    return users


def _others(source: Behind, row: dict[str, Any], users: pl.Series) -> pl.DataFrame:
    """Take the users of the same denominator that are not in the group; all other users where there is none."""
    everyone = source.everyone(row) if source.everyone is not None else None
    known = _known(source)
    if everyone is not None:
        known = known.join(everyone.to_frame().lazy(), on="user_id", how="semi")
    return known.join(users.to_frame().lazy(), on="user_id", how="anti").collect()


def _known(source: Behind) -> pl.LazyFrame:
    """Take of all users what a drawer tells of them."""
    columns = dict.fromkeys(["user_id", "active_days", *source.journeys.properties])
    return source.journeys.users.lazy().select(*columns)


def compared(
    name: str, mine: pl.DataFrame, others: pl.DataFrame, least: int
) -> dict[str, Any] | None:
    """Say how the values of a property are spread in the group and in the rest; a few users of a value are not told."""
    column = pl.col(name).cast(pl.String)
    sides = [dict(side.group_by(column).len().iter_rows()) for side in (mine, others)]
    values = sorted({v for side in sides for v in side}, key=lambda v: (v is None, -sides[0].get(v, 0), str(v)))  # fmt: skip
    if not 1 < len(values) <= MOST_VALUES:
        return None
    counts = [[side.get(value, 0) for value in values] for side in sides]
    few = {k for k in range(len(values)) for side in counts if 0 < side[k] < least}
    gone = together(counts, least, few) if few else set()
    rows = [
        ["(none)" if value is None else value]
        + [
            HIDDEN if place in gone or not sum(side) else percent(side[place] / sum(side))
            for side in counts
        ]
        for place, value in enumerate(values)
    ]
    return {"name": name, "rows": rows}


def _at_place(mine: pl.DataFrame, place: int) -> Any:
    """Take the user at a place in the order of active days and ids, without sorting a million of them."""
    known = mine.group_by("active_days").len().sort("active_days")
    upto = known["len"].cum_sum()
    row = int((upto <= place).sum())
    alike = mine.filter(pl.col("active_days").eq_missing(pl.lit(known["active_days"][row])))
    return alike["user_id"].sort()[place - (int(upto[row - 1]) if row else 0)]


def timelines(journeys: Journeys, mine: pl.DataFrame) -> list[dict[str, Any]]:
    """Draw the days of three users of the group: a quiet, a usual and a busy one."""
    size = mine.height
    found = {word: _at_place(mine, min(int(share * size), size - 1)) for word, share in PLACES.items() if size}  # fmt: skip
    # One after the other of a few: the journeys are looked through once.
    some = journeys.where(users=pl.col("user_id").is_in(list(found.values())))
    return [
        {
            "name": word,
            "spec": charts.timeline(
                timeline(some, user), notes=some.definition.annotations
            ).to_dict(),
        }
        for word, user in found.items()
    ]


def narrowed(
    source: Behind, number: int, *, rest: bool = False, least: int = MIN_GROUP
) -> Journeys:
    """Make the users behind a mark the journeys of the next question.

    Raises
    ------
    ParameterError
        They are fewer than `least`.
    """
    users = members(source, number, rest=rest)
    if users.len() < least:
        raise ParameterError(f"Groups of fewer than {least} users stay closed.")
    return source.journeys.where(users=pl.col("user_id").is_in(users.implode()))


def as_file(source: Behind, number: int, *, rest: bool = False, show_ids: bool = False) -> str:
    """Write the users behind a mark, with label and properties, as CSV in which nothing can run.

    Raises
    ------
    ParameterError
        The session does not show ids, or they are fewer than may be shown.
    """
    if not show_ids:
        raise ParameterError("This session shows no ids: Session(folder, show_ids=True) does.")
    from engagekit.diagnosis import label_users

    some = narrowed(source, number, rest=rest)
    labels = label_users(some).select("user_id", "label", "step")
    kept = some.users.lazy().select("user_id", "signed_up_at", *some.properties).collect()
    return as_csv(labels.join(kept, on="user_id", how="left", maintain_order="left"))


def answered(source: Behind, content: Any, *, show_ids: bool) -> dict[str, Any]:
    """Answer a message of the browser: open a mark, or hand over its CSV; what cannot be done comes back in words."""
    number, rest = content.get("mark"), content.get("rest") is True
    try:
        if content.get("kind") == "csv":
            return {"kind": "csv", "text": as_file(source, number, rest=rest, show_ids=show_ids)}
        return {"kind": "drawer"} | drawer(source, number, rest=rest, show_ids=show_ids)
    except EngagekitError as error:
        return {"kind": "refused", "text": str(error)}


def spoken(source: Behind, marks: Sequence[int]) -> dict[str, str]:
    """Write each mark for a screen reader: what it is and how many."""
    return {
        str(number): f"{source.said(row)}: {counted(row, rest=False)}"
        for number in marks
        if (row := source.rows[number])["n"] is not None
    }

"""One user's days, written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engagekit.views.sheet import LONGEST, Sheet, checked, latest, moment, sheet, whole, written
from engagekit.views.table import Table

if TYPE_CHECKING:
    import polars as pl

TIMELINE = ("day", "days_in", "kind", "what", "times", "decides", "note")
# Kind of row -> its lane in the picture, from the top down.
LANES = {
    "sign-up": "Sign-up and activation",
    "activation": "Sign-up and activation",
    "step reached": "Steps",
    "step completed": "Steps",
    "core": "Core action",
    "advanced": "Advanced actions",
    "advocacy": "Advocacy",
    "outreach": "Outreach",
    "feedback asked": "Feedback",
    "feedback given": "Feedback",
    "support": "Support",
    "errors": "Errors",
    "event": "By its name",
}


def timeline(days: pl.DataFrame, *, most: int = 200) -> Sheet:
    """Write out what `timeline` returns: one row per thing done on a day."""
    frame, cut = shown_days(days, most)
    rows = frame.to_dicts()
    told = [
        (
            moment(row["day"]),
            whole(row["days_in"]),
            written(row["kind"]),
            "" if row["what"] == row["kind"] else written(row["what"]),
            whole(row["times"]),
            "← the rule looks at this" if row["decides"] and row["kind"] != "label" else "",
            written(row["note"]) if row["note"] else "",
        )
        for row in rows
    ]
    headers = ("Day", "Days since sign-up", "Kind", "What", "Times", "Rule", "Note")
    ending = days.filter(days["kind"] == "label")
    said = ending["note"][0] if ending.height else None
    title = said or "Nothing is known of this user"
    spent = days.filter(days["kind"] != "label")["day"].n_unique()
    subtitle = (
        f"{cut}One user: {whole(spent)} {'day' if spent == 1 else 'days'} with something on them. "
        "A bigger dot: more often on that day. Orange: what the rule that labelled the user looks at."
    )
    return sheet("Dot chart", written(title).removesuffix("."), subtitle, headers, told, texts=4)


def shown_days(days: pl.DataFrame, most: int) -> tuple[pl.DataFrame, str]:
    """Keep the latest days: more of them are not read but searched."""
    frame = checked(days, TIMELINE, "ek.timeline", most=LONGEST)
    return latest(frame, "day", most, noun="days")


def as_table(days: pl.DataFrame, *, most: int = 200) -> Table:
    """Tabulate what `timeline` returns: what one user did, day by day, and the rule that labelled them.

    Parameters
    ----------
    days
        What `engagekit.timeline` returns.
    most
        How many days to show: the latest with something on them.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("timeline", timeline(days, most=most))

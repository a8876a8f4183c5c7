"""The diagnosis and the loop, written out: which problem users show, and which link breaks first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import LINK_NAMES, day, plain, sure
from engagekit.definition import LINKS
from engagekit.instants import day_of
from engagekit.journeys import MIN_GROUP
from engagekit.priority import OWN_PAST
from engagekit.views.sheet import (
    LINK_WORDS,
    UNKNOWN,
    Sheet,
    between,
    checked,
    group_columns,
    group_labels,
    joined,
    joined_sentences,
    known,
    largest_groups,
    latest,
    numbered,
    rated,
    sheet,
    whole,
)

if TYPE_CHECKING:
    from engagekit.priority import Priority

DIAGNOSIS = ("if_users", "problem", "play", "label", "n", "of", "share", "low", "high")
LOOP = ("link", "n", "of", "rate", "low", "high", "reached", "target", "p_broken", "p_earliest")
QUARTERS = ("quarter", "link", "n", "of", "rate", "verdict", "named", "changed")
SEGMENTS = ("users", "verdict", "link", "probability", "elsewhere")
ACTIVATIONS = ("candidate", "verdict", "link", "probability", "same", "sentence")
NOT_PROBLEMS = ("healthy", "too_early")


def diagnosis(diagnosis: pl.DataFrame) -> Sheet:
    """Write out what `diagnose` returns."""
    diagnosis, some = largest_groups(diagnosis, DIAGNOSIS, "of")
    frame = checked(diagnosis, DIAGNOSIS, "ek.diagnose")
    groups = group_labels(frame, group_columns(frame, DIAGNOSIS))
    rows = [
        (
            joined(group, r["if_users"]),
            r["problem"] or UNKNOWN,
            r["play"] or UNKNOWN,
            whole(r["n"]),
            whole(r["of"]),
            rated(r["share"]),
            between(r["low"], r["high"]),
        )
        for group, r in zip(groups, frame.to_dicts(), strict=True)
    ]
    headers = ("Users who", "Then the problem is", "Play", "Users", "Of", "Share", "95% interval")
    subtitle = "Share of judged users; lines: 95% Wilson interval. What to mend first is the loop's question, not the longest bar's."
    return sheet(
        "Bar chart",
        diagnosis_title(frame),
        joined_sentences(some, too_early_note(frame), subtitle),
        headers,
        rows,
        texts=3,
    )


def diagnosis_title(frame: pl.DataFrame) -> str:
    """Name the problem that most judged users show; with groups, per group."""
    groups = group_columns(frame, DIAGNOSIS)
    said = []
    for part in frame.partition_by(groups, maintain_order=True) if groups else [frame]:
        top = most_common_problem(part)
        who = group_labels(part, groups)[0] if groups and part.height else ""
        if top is not None:
            doing = f"{rated(top['share'])} {top['if_users'].lower()}"
            said.append(f"{who}: {doing}" if who else f"{doing}, the most common problem")
    if not said:
        return "Nobody can be judged yet"
    named = said[:3] + ([f"and {len(said) - 3} more groups"] if len(said) > 3 else [])
    return "; ".join(named)


def most_common_problem(part: pl.DataFrame) -> dict[str, Any] | None:
    """Return the row of the problem with the most users, or None where no one shows any."""
    shown = known(part.filter(~pl.col("label").is_in(NOT_PROBLEMS)).to_dicts(), "share")
    shown = [row for row in shown if row["n"]]
    return max(shown, key=lambda row: row["n"]) if shown else None


def too_early_note(frame: pl.DataFrame) -> str:
    """Say how many users were judged and how many are too new."""
    early = frame.filter(pl.col("label") == "too_early")["n"].sum()
    judged = frame.filter(pl.col("label") == "healthy")["of"].sum()
    return f"{judged:,} users judged, {early:,} too new to judge."


def loop(priority: Priority) -> Sheet:
    """Write out the loop of what `prioritize` returns."""
    table = checked(priority.table, LOOP, "ek.prioritize").to_dicts()
    rows = [
        (
            LINK_WORDS[r["link"]],
            whole(r["n"]),
            whole(r["of"]),
            rated(r["rate"]),
            between(r["low"], r["high"]),
            rated(r["reached"]),
            rated(r["target"]),
            rated(r["p_broken"]),
            rated(r["p_earliest"]),
            whole(r.get("extra_users")),
            effect(r.get("design_effect")),
            span(r, priority),
            mark(r, priority),
        )
        for r in table
    ]
    headers: tuple[str, ...] = (
        "Link",
        "Passed in time",
        "Of",
        "Rate",
        "95% interval",
        "Sign-ups that get this far",
        "Target",
    )
    headers += (
        "Chance it is broken",
        "Chance it is the first broken",
        "More users at target",
        "Design effect",
        "Sign-ups",
        "",
    )
    return sheet("Bar chart", loop_title(priority), loop_subtitle(priority), headers, rows)


def mark(row: dict[str, Any], priority: Priority) -> str:
    """Write what stands beside a link: which to mend first, or between which it lies."""
    if priority.verdict == "named" and row["link"] == priority.link:
        return "← fix this first"
    if priority.changed_at is not None:
        return UNKNOWN
    if priority.verdict == "undecided" and row["link"] in priority.candidates:
        return "← or this" if row["link"] != priority.candidates[0] else "← perhaps"
    return UNKNOWN


def effect(value: float | None) -> str:
    """Write a design effect: by how much weeks or accounts that differ make users tell less."""
    return UNKNOWN if value is None else f"{value:.1f}"


def span(row: dict[str, Any], priority: Priority) -> str:
    """Write the sign-ups a link is judged on, by their local days."""
    if row.get("since") is None or row.get("until") is None:
        return UNKNOWN
    zone = priority.basis.timezone
    return f"{day(day_of(row['since'], zone))} to {day(day_of(row['until'], zone))}"


def loop_title(priority: Priority) -> str:
    """State the verdict with its numbers."""
    rows = {row["link"]: row for row in priority.table.to_dicts()}
    if priority.verdict == "no targets":
        return half_gone(priority)
    if priority.verdict == "undecided" and not rows[LINKS[0]]["of"]:
        return "Nobody can be judged yet"
    if priority.changed_at is not None:
        on = day(day_of(priority.changed_at, priority.basis.timezone))
        return f"No link is named: a rate changed with the sign-ups of {on}"
    if priority.verdict == "undecided" and not priority.candidates:
        judged = priority.table["p_broken"].count() > 0
        return (
            "No link is named: the data are in doubt"
            if judged
            else "No link can be judged against a target"
        )
    if priority.verdict == "undecided":
        names = [LINK_WORDS.get(c, "no link at all") for c in priority.candidates]
        return f"Undecided which link breaks first: {' or '.join(names)}"
    if priority.link is None or priority.verdict == "none broken":
        return "No link is below its target"
    row, name = rows[priority.link], LINK_WORDS[priority.link]
    if row["target_from"] == OWN_PAST:
        return f"{name} has fallen below its own past: {rated(row['rate'])} pass"
    return f"{name} is the earliest broken link: {rated(row['rate'])} pass, target {rated(row['target'])}"


def half_gone(priority: Priority) -> str:
    """Say of a loop without targets by which link half of the recent sign-ups are gone."""
    rows = [row for row in priority.table.to_dicts() if row["reached"] is not None]
    gone = next((row for row in rows if row["reached"] < 0.5), rows[-1])
    half = "Half are gone by" if gone["reached"] < 0.5 else "More than half get as far as"
    return f"No targets are set. {half} {LINK_WORDS[gone['link']]}: {rated(gone['reached'])} get that far"


def loop_subtitle(priority: Priority) -> str:
    """Say how sure the verdict is, what bars and ticks mean, and what it stands on."""
    sure_of = priority.verdict in ("named", "none broken")
    how_sure = f"The verdict is {sure(priority.probability)} sure." if sure_of else ""
    tick = "; black tick: target" if priority.table["target"].count() else ""
    bars = f"Bars: users who pass the link in time, of those judged; line: 95% interval{tick}."
    later = "Links after the first broken one are read once it is mended." if priority.link else ""
    stands = "All bars together stand on " if priority.basis.users else ""
    return joined_sentences(how_sure, bars, later, f"{stands}{priority.basis}")


def loop_by_quarter(priority: Priority, *, most: int = 16) -> Sheet:
    """Write out the loop per quarter of sign-up."""
    frame, cut = latest_quarters(priority, most)
    rows = []
    for part in frame.partition_by("quarter", maintain_order=True):
        cells = [quarter_cell(r) for r in part.to_dicts()]
        rows.append((quarter(part["quarter"][0]), *cells, quarter_verdict(part.row(0, named=True))))
    headers = (
        "Signed up in",
        *[LINK_WORDS[name] for name in frame["link"].unique(maintain_order=True)],
        "Verdict",
    )
    subtitle = f"{cut}Share that passes each link in time, of those judged in that quarter's sign-ups. Blank: nobody can be judged yet."
    return sheet("Table of links by quarter", quarters_title(frame), subtitle, headers, rows)


def latest_quarters(priority: Priority, most: int) -> tuple[pl.DataFrame, str]:
    """Keep the latest quarters of sign-up."""
    frame = numbered(checked(priority.by_quarter, QUARTERS, "ek.prioritize"))
    return latest(frame, "quarter", most, noun="quarters")


def quarter_cell(row: dict[str, Any]) -> str:
    """Write one link of one quarter with its denominator; blank where hardly anybody is judged."""
    if row["rate"] is None or row["of"] < MIN_GROUP:
        return UNKNOWN
    return f"{rated(row['rate'])} of {whole(row['of'])}"


def quarter_verdict(row: dict[str, Any]) -> str:
    """Write the verdict of one quarter; blank where it is not shown for want of users."""
    if row["named"] is None:
        return str(row["verdict"] or UNKNOWN)
    return LINK_NAMES[row["named"]] + (" (changed)" if row["changed"] else "")


def quarter(day: Any) -> str:
    """Write a quarter by its first day: 2026 Q2."""
    return f"{day.year} Q{(day.month + 2) // 3}"


def quarters_title(frame: pl.DataFrame) -> str:
    """Say whether the named link stayed the same over the quarters, or when it changed last."""
    quarters = [r for r in frame.unique("quarter", maintain_order=True).to_dicts() if r["named"]]
    changes = [r for r in quarters if r["changed"]]
    if not quarters:
        return "No quarter of sign-ups by itself names a link"
    if changes:
        return f"The earliest broken link changed to {LINK_WORDS[changes[-1]['named']]} with the sign-ups of {quarter(changes[-1]['quarter'])}"
    total = frame["quarter"].n_unique()
    return f"{LINK_WORDS[quarters[-1]['named']]} is named in {len(quarters)} of {total} quarters, and no other link in any"


def segments(priority: Priority) -> Sheet:
    """Write out the groups of what `prioritize(by=...)` returns."""
    empty = pl.DataFrame(schema={"nothing": pl.Int64})
    whole_answer = empty if priority.segments is None else priority.segments
    shown, some = largest_groups(whole_answer, SEGMENTS, "users")
    frame = checked(shown, SEGMENTS, "ek.prioritize(by=...)")
    groups = group_labels(frame, group_columns(frame, SEGMENTS))
    links = [name for name in LINK_WORDS if f"{name}_rate" in frame.columns]
    rows = [
        (
            group,
            whole(r["users"]),
            *[rated(r[f"{name}_rate"]) for name in links],
            segment_verdict(r),
        )
        for group, r in zip(groups, frame.to_dicts(), strict=True)
    ]
    headers = ("Group", "Users judged", *[LINK_WORDS[name] for name in links], "Verdict")
    subtitle = "Share that passes each link in time. Groups are judged one by one, so small ones stay undecided."
    everyone = group_labels(whole_answer, group_columns(whole_answer, SEGMENTS))
    title = segments_title(whole_answer, everyone)
    return sheet("Table of links by group", title, joined_sentences(some, subtitle), headers, rows)


def segment_verdict(row: dict[str, Any]) -> str:
    """Write the verdict of one group; blank where it is not shown for want of users."""
    if row["link"] is None:
        return str(row["verdict"] or UNKNOWN)
    return f"{LINK_NAMES[row['link']]}, {sure(row['probability'])} sure"


def segments_title(frame: pl.DataFrame, groups: list[str]) -> str:
    """Say which groups break elsewhere than all users together."""
    away = [g for g, elsewhere in zip(groups, frame["elsewhere"], strict=True) if elsewhere]
    if not away:
        return "No group surely breaks at another link than all users together"
    names = ", ".join(away[:3]) + (f" and {len(away) - 3} more" if len(away) > 3 else "")
    return f"Elsewhere than all users together: {names}"


def activations(compared: pl.DataFrame) -> Sheet:
    """Write out what `compare_activations` returns: the loop and the verdict of each candidate."""
    rows = checked(compared, ACTIVATIONS, "ek.compare_activations").to_dicts()
    links = [name for name in LINK_WORDS if f"{name}_rate" in compared.columns]
    cells = [
        (
            plain(r["candidate"]),
            *[rated(r[f"{name}_rate"]) for name in links],
            activation_verdict(r),
        )
        for r in rows
    ]
    headers = ("Activation", *[LINK_WORDS[name] for name in links], "Verdict")
    subtitle = "Share of recent sign-ups that passes each link in time, of those judged. All else in the definition is the same."
    return sheet("Table of links by group", activations_title(rows), subtitle, headers, cells)


def activation_verdict(row: dict[str, Any]) -> str:
    """Write the verdict of one candidate."""
    if row["verdict"] is None:
        return "cannot be answered"
    return str(row["verdict"]) if row["link"] is None else segment_verdict(row)


def activations_title(rows: list[dict[str, Any]]) -> str:
    """Say whether the verdict hangs on which event is called activation."""
    others = [r for r in rows[1:] if r["verdict"] is not None]
    if not others:
        return "No other candidate for the activation can be tried"
    away = [plain(r["candidate"]) for r in others if not r["same"]]
    if not away:
        return "The verdict stays the same whichever of these is the activation"
    return f"The verdict hangs on the choice: it is another with {' and with '.join(away)}"

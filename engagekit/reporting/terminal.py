"""The diagnosis as text for one screen: what a person reads after `engagekit diagnose`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engagekit._base import LINK_NAMES, count, many, percent, plain, sure
from engagekit.first_weeks import like_for_like

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from engagekit.journeys import Journeys
    from engagekit.priority import Priority

WIDTH = 96
MOST_NOTES = 6
# For consoles that lack these characters.
ASCII = str.maketrans({"–": "-", "—": "-", "…": "...", "·": "|", "◀": "<", "×": "x", "≥": ">=", "─": "-", "’": "'", "“": '"', "”": '"', "−": "-", "→": "->"})  # fmt: skip


def mind(message: Warning | str, *_: object) -> None:
    """Write a warning as a line for people, without where in the code it arose."""
    sys.stderr.write(encodable(f"Mind: {plain(str(message))}\n", sys.stderr.encoding))


def screen(
    journeys: Journeys,
    notes: pl.DataFrame,
    priority: Priority,
    diagnosis: pl.DataFrame,
    strongest: pl.DataFrame,
) -> str:
    """Write the whole screen from the answers."""
    parts = [
        heading(journeys),
        data_notes(journeys, notes),
        loop(priority),
        verdict(priority, notes),
        segments(priority),
        problems(diagnosis),
        differences(strongest),
        play(priority),
    ]
    return "\n".join(part for part in parts if part) + "\n"


def heading(journeys: Journeys) -> str:
    """Say which users this is about, and up to when."""
    about = "\n".join(line.strip() for line in _wrapped(plain(repr(journeys))))
    return f"{plain(journeys.definition.name)}\n{about}\n" + "─" * WIDTH


# Checks whose rows are counted among what is left out already.
SAID_ABOVE = frozenset(
    {"null user_id", "null event", "null at", "events before sign-up", "left out"}
)


# Checks that tell of events which the verdict stands on and nobody did; a misspelt name is the usual cause.
GRAVE = ("unknown events in the definition", "events no one did")


def worth_saying(notes: pl.DataFrame) -> pl.DataFrame:
    """Keep the first checks that found something, and the grave ones wherever they stand."""
    import polars as pl

    found = notes.filter(pl.col("count") > 0).with_row_index("place")
    return found.filter((pl.col("place") < MOST_NOTES) | pl.col("check").is_in(GRAVE)).drop("place")


def data_notes(journeys: Journeys, notes: pl.DataFrame) -> str:
    """List what is not counted, and the faults found in the log."""
    lines = [
        f"  not counted: {many(r['count'], r['unit'].rstrip('s'))} ({plain(r['reason'])})"
        for r in journeys.left_out.to_dicts()
    ]
    found = [r for r in notes.to_dicts() if r["check"] not in SAID_ABOVE]
    lines = [_cut(line) for line in lines]
    for r in found:
        lines.append(_cut(f"  {plain(r['check'])}: {count(r['count'])} ({percent(r['share'])})"))
        if r["check"] in GRAVE:
            lines += [f"  {line}" for line in _wrapped(plain(r["example"]), lines=3)]
    return _section("Data notes (engagekit check says what to do)", lines)


def loop(priority: Priority) -> str:
    """Show the four links with rates, intervals and targets."""
    rows = [("", "passed", "of", "rate", "95% interval", "target", "")]
    for r in priority.table.to_dicts():
        mark = (
            "◀ mend this first"
            if priority.verdict == "named" and r["link"] == priority.link
            else ""
        )
        interval = "–" if r["low"] is None else f"{percent(r['low'])} – {percent(r['high'])}"
        rows.append(
            (
                LINK_NAMES[r["link"]],
                count(r["n"]),
                count(r["of"]),
                percent(r["rate"]),
                interval,
                percent(r["target"]),
                mark,
            )
        )
    return _section("The loop", _aligned(rows))


def verdict(priority: Priority, notes: pl.DataFrame) -> str:
    """Say the verdict as it can be read aloud, and what makes it doubtful."""
    lines = _wrapped(plain(priority.sentence))
    if any(check in GRAVE for check in notes["check"]):
        told = "The definition names events that nobody did (see Data notes); they count as never done. If a name is wrong, correct it before you trust this."
        lines += _wrapped(f"Mind: {told}")
    for warning in priority.warnings:
        lines += _wrapped(f"Mind: {plain(warning)}")
    return _section("Verdict", lines)


def segments(priority: Priority) -> str:
    """Show where each group breaks, if groups were asked for."""
    if priority.segments is None:
        return ""
    groups = priority.segments.columns[: priority.segments.columns.index("users")]
    rows = [(*groups, "users", "verdict", "link", "sure", "")]
    for r in priority.segments.to_dicts():
        named = LINK_NAMES.get(r["link"] or "", "–")
        who = [plain("(none)" if r[g] is None else r[g]) for g in groups]
        mark = "differs from all together" if r["elsewhere"] else ""
        rows.append((*who, count(r["users"]), r["verdict"], named, sure(r["probability"]), mark))
    return _section("By group", _aligned(rows))


def problems(diagnosis: pl.DataFrame) -> str:
    """Show the diagnosis table: if users ..., then the problem is ...."""
    own = ["if_users", "problem", "play", "label", "n", "of", "share", "low", "high"]
    groups = [
        c
        for c in diagnosis.columns
        if c not in own and c in diagnosis.columns[: diagnosis.columns.index("if_users")]
    ]
    rows = [(*groups, "If users…", "then the problem is…", "users", "share of judged")]
    for r in diagnosis.to_dicts():
        share = (
            "–"
            if r["share"] is None
            else f"{percent(r['share'])} ({percent(r['low'])} – {percent(r['high'])})"
        )
        who = [plain("(none)" if r[g] is None else r[g]) for g in groups]
        rows.append((*who, plain(r["if_users"]), plain(r["problem"] or "–"), count(r["n"]), share))
    return _section("Diagnosis", _aligned(rows))


def differences(strongest: pl.DataFrame) -> str:
    """List the strongest early differences between retained and churned users."""
    if strongest.height == 0:
        return _section(
            "First two weeks", ["  No early action clearly tells retained from churned users."]
        )
    rows = [("in the first two weeks", "retained", "churned", "like for like (95%)")]
    for r in strongest.to_dicts():
        often = "" if (r["at_least"] or 1) == 1 else f", on {r['at_least']} or more days"
        action = plain(r["action"]) + often
        shares = percent(r["share_retained"]), percent(r["share_churned"])
        rows.append((action, *shares, like_for_like(r)))
    return _section("First two weeks: association, not cause", _aligned(rows))


def play(priority: Priority) -> str:
    """Name the play, who leads it and which metrics show that it works."""
    from engagekit.playbook import PLAYS

    found = next((p for p in PLAYS if p.name == priority.play), None)
    if found is None:
        return ""
    lines = [
        f"  {found.name}: led by {found.primary_lead}, with {', '.join(found.key_partners)}",
        f"  Metrics: {', '.join(found.metrics)}",
        f"  Watch for: {found.watch_for}",
    ]
    return _section("The play", lines)


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *lines, ""]) if lines else ""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numeric = [all(_is_number(row[i]) for row in rows[1:]) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            c.rjust(w) if right else c.ljust(w)
            for c, w, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def _is_number(cell: str) -> bool:
    return cell in {"–", ""} or cell[0].isdigit()


def _wrapped(text: str, *, lines: int | None = None) -> list[str]:
    import textwrap

    return textwrap.wrap(
        text,
        WIDTH - 2,
        initial_indent="  ",
        subsequent_indent="  ",
        max_lines=lines,
        placeholder=" …",
    )


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def encodable(text: str, encoding: str | None) -> str:
    """Replace what a console cannot show by plain characters."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return (
            text.translate(ASCII).encode(encoding or "ascii", "replace").decode(encoding or "ascii")
        )
    return text


def checks(found: pl.DataFrame) -> str:
    """Show every check of an event log."""
    lines = []
    for r in found.to_dicts():
        example = f"  e.g. {plain(r['example'])}" if r["example"] else ""
        lines.append(
            f"  {'!' if r['count'] else ' '} {plain(r['check'])}: {count(r['count'])} ({percent(r['share'])}){example}"
        )
        if r["count"]:
            lines += [f"      {plain(r['advice'])}"]
    return _section("Checks of the event log", lines)

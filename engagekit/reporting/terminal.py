"""The diagnosis as text for one screen: what a person reads after `engagekit diagnose`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engagekit._base import LINK_NAMES, count, group, many, percent, plain, sure
from engagekit.errors import EngagekitError
from engagekit.first_weeks import like_for_like
from engagekit.instants import zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from engagekit.ingest import Overview
    from engagekit.journeys import Journeys
    from engagekit.priority import Priority

WIDTH = 96
MOST_NOTES = 6
# For consoles that lack these characters.
ASCII = str.maketrans({"–": "-", "—": "-", "…": "...", "·": "|", "◀": "<", "×": "x", "≥": ">=", "─": "-", "’": "'", "“": '"', "”": '"', "−": "-", "→": "->"})  # fmt: skip


def mind(message: Warning | str, *_: object) -> None:
    """Write a warning as a line for people, without where in the code it arose."""
    if sys.stderr is not None:
        sys.stderr.write(encodable(f"Mind: {plain(str(message))}\n", sys.stderr.encoding))


def screen(
    journeys: Journeys,
    notes: pl.DataFrame,
    priority: Priority,
    diagnosis: pl.DataFrame,
    strongest: pl.DataFrame,
    *,
    change: pl.DataFrame | None = None,
    suggested: pl.DataFrame | None = None,
) -> str:
    """Write the whole screen from the answers; `change` and `suggested` where they were asked for or no target is set."""
    parts = [
        heading(journeys),
        data_notes(journeys, notes),
        loop(priority),
        verdict(priority),
        changed(change),
        targets(suggested),
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


def verdict(priority: Priority) -> str:
    """Say the verdict as it can be read aloud, and what makes it doubtful."""
    lines = _wrapped(plain(priority.sentence))
    for warning in priority.warnings:
        if plain(warning) in plain(priority.sentence):
            continue  # said already: it is why no link is named
        lines += _wrapped(f"Mind: {plain(warning)}")
    return _section("Verdict", lines)


def changed(change: pl.DataFrame | None) -> str:
    """Show what changed between two spans of sign-ups, link by link."""
    if change is None:
        return ""
    from engagekit.views import changes_table as words

    page = words.change(change)
    heads = ("", "before", "after", "changed the end by", "95% interval", "changed it most")
    rows = [heads, *(tuple(cell or "–" for cell in row[:6]) for row in page.rows)]
    told = _wrapped(f"{page.title}. {words.moved(change.to_dicts())}")
    return _section("What changed", [*told, *_aligned(rows)])


def targets(suggested: pl.DataFrame | None) -> str:
    """Show suggested targets, and the lines that set them."""
    if suggested is None:
        return ""
    from engagekit.views import changes_table as words

    page = words.targets(suggested)
    heads = ("", "rate now", "upper quartile", "benchmark", "suggested", "from")
    rows = [heads, *((row[0], *(cell or "–" for cell in row[3:])) for row in page.rows)]
    found = [r for r in suggested.to_dicts() if r["suggested"] is not None]
    lines = [*_wrapped("A start for your decision, not a verdict."), *_aligned(rows)]
    if found:
        lines += [
            *_wrapped("Add to the definition, with the numbers you decide on:"),
            "",
            "    [targets]",
        ]
        lines += [f"    {r['link']} = {r['suggested']:.2f}" for r in found]
    return _section("Suggested targets", lines)


def segments(priority: Priority) -> str:
    """Show where each group breaks, if groups were asked for."""
    if priority.segments is None:
        return ""
    from engagekit.views import largest_groups

    groups = priority.segments.columns[: priority.segments.columns.index("users")]
    rows = [(*groups, "users", "verdict", "link", "sure", "")]
    shown, some = largest_groups(priority.segments, ["users"], "users")
    for r in shown.to_dicts():
        named = LINK_NAMES.get(r["link"] or "", "–")
        who = [group(r[g]) for g in groups]
        mark = "differs from all together" if r["elsewhere"] else ""
        rows.append(
            (*who, count(r["users"]), r["verdict"] or "–", named, sure(r["probability"]), mark)
        )
    return _section("By group", [*_wrapped(some), *_aligned(rows)])


def problems(diagnosis: pl.DataFrame) -> str:
    """Show the diagnosis table: if users ..., then the problem is ...."""
    own = ["if_users", "problem", "play", "label", "n", "of", "share", "low", "high"]
    groups = [
        c
        for c in diagnosis.columns
        if c not in own and c in diagnosis.columns[: diagnosis.columns.index("if_users")]
    ]
    from engagekit.views import largest_groups

    rows = [(*groups, "If users…", "then the problem is…", "users", "share of judged")]
    shown, some = largest_groups(diagnosis, own, "of")
    for r in shown.to_dicts():
        share = (
            "–"
            if r["share"] is None
            else f"{percent(r['share'])} ({percent(r['low'])} – {percent(r['high'])})"
        )
        who = [group(r[g]) for g in groups]
        rows.append((*who, plain(r["if_users"]), plain(r["problem"] or "–"), count(r["n"]), share))
    return _section("Diagnosis", [*_wrapped(some), *_aligned(rows)])


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
    """Name the play, who leads it and which metrics show that it works; where there is none, what to do instead."""
    from engagekit.playbook import PLAYS, card_rows
    from engagekit.priority import plan

    found = next((p for p in PLAYS if p.name == priority.play), None)
    if found is None:
        try:
            told = plan(priority).sentence
        except EngagekitError as error:
            told = str(error)
        return _section("What to do now", _wrapped(plain(told)))
    card = dict(card_rows(found))
    lines = [f"  {found.name}: led by {card['Led by']}, with {card['Together with']}"]
    return _section("The play", [*lines, *[f"  {k}: {card[k]}" for k in ("Metrics", "Watch for")]])


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


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


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


MOST_NAMES, LONGEST_NAME = 20, 48


def contents(log: Overview, timezone: str) -> str:
    """Show what a log holds, so that a wrong reading of it shows."""
    whole = (
        ""
        if log.whole == log.rows
        else f", {count(log.whole)} of them with a user, an event and a time"
    )
    names = log.events.height
    lines = [
        f"  {many(log.rows, 'row')}{whole}",
        f"  {many(log.users, 'user')}, {many(names, 'kind of event', 'kinds of events')}",
    ]
    if log.first is not None and log.last is not None:
        lines.append(
            f"  from {_when(log.first, log, timezone)} to {_when(log.last, log, timezone)}"
        )
    rows = [("event", "users", "times")]
    for name, users, times in log.events.head(MOST_NAMES).iter_rows():
        shown = plain(name)
        shown = shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"
        rows.append((shown, count(users), count(times)))
    more = [f"  and {many(names - MOST_NAMES, 'more', 'more')}"] if names > MOST_NAMES else []
    table = ["", *_aligned(rows), *more] if names else []
    return _section("What the log holds", [*lines, *table])


def _when(moment: datetime, log: Overview, timezone: str) -> str:
    if log.dates_only:
        return f"{moment:%Y-%m-%d}"
    return f"{moment.astimezone(zone(timezone)):%Y-%m-%d %H:%M:%S} ({timezone})"


def checks(found: pl.DataFrame) -> str:
    """Show every check of an event log."""
    lines = []
    for r in found.to_dicts():
        example = f"  e.g. {_short(plain(r['example']))}" if r["example"] else ""
        lines.append(
            f"  {'!' if r['count'] else ' '} {plain(r['check'])}: {count(r['count'])} ({percent(r['share'])}){example}"
        )
        if r["count"]:
            lines += [f"      {plain(r['advice'])}"]
    return _section("Checks of the event log", lines)

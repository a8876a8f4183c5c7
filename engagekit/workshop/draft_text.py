"""A draft in words, and as a TOML file that explains itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from engagekit._base import many
from engagekit.definition import schema_path
from engagekit.journeys import MIN_GROUP
from engagekit.matchers import label

if TYPE_CHECKING:
    from engagekit.workshop.draft import Draft
    from engagekit.workshop.draft_roles import Choice

WINDOWS = (
    "usage_interval_days", "burn_in_days", "activation_days", "habit_days", "depth_days", "depth_within_days", "depth_uses",
    "advocacy_days", "first_days", "outcome_days",
)  # fmt: skip
MEANINGS = {
    "signup": "Sign-up",
    "core": "Core action: the repeatable action that carries ongoing value",
    "activation": "Activation: the first meaningful outcome",
    "steps": "Steps on the way to activation",
    "advanced": "Advanced actions: going deeper",
    "advocacy": "Advocacy: bringing others",
    "outreach": "Outreach: the product's own messages",
    "feedback_asked": "Feedback asked for",
    "feedback_given": "Feedback given",
    "errors": "Errors",
    "support": "Calls for help",
}
HEAD = """#:schema {schema}
# A draft made from the log: a start, nobody has confirmed it. Correct it, then set guessed = false.
"""
SHOWN = 15
SOURCES = {
    "own months": "from the upper quartile of the product's own months",
    "own months and groups": "from the upper quartile of the product's own months",
    "benchmark": "from the guide's benchmark",
    "rate now": "the rate now",
}


def toml_of(draft: Draft) -> str:
    """Write the drafted definition with a comment on each choice."""
    import tomli_w

    table = draft.definition.to_table()
    read, steps = table.pop("read", None), table.pop("steps", None)
    targets = table.pop("targets", None)
    parts = [HEAD.format(schema=schema_path().as_uri())]

    def written(*names: str) -> str:
        some = {name: table.pop(name) for name in names if name in table}
        return "".join(f"{name} = {_inline(value)}\n" for name, value in some.items())

    parts.append(written("schema_version", "guessed", "name", "timezone", "week_start"))
    parts += [
        _comment(choice) + (written(choice.role) or f"# {choice.role} = …\n")
        for choice in draft.choices
        if choice.role != "steps"
    ]
    parts.append("# Windows in days, from how often users come back.\n" + written(*WINDOWS))
    parts.append(tomli_w.dumps(table) if table else "")
    told = next((c for c in draft.choices if c.role == "steps"), None)
    if told is not None:
        parts.append(_comment(told) + (tomli_w.dumps({"steps": steps}) if steps else ""))
    parts.append(tomli_w.dumps({"targets": targets}) if targets else _to_set(draft))
    if read:
        told_notes = "".join(f"# {_one_line(note)}\n" for note in draft.notes)
        parts.append(f"# How the log is read.\n{told_notes}" + tomli_w.dumps({"read": read}))
    return "\n".join(part for part in parts if part)


def _inline(value: Any) -> str:
    """Write a value on one line: a matcher as a table of its own would take in the keys that follow it."""
    import tomli_w

    if isinstance(value, dict):
        pairs = [f"{_key(str(key))} = {_inline(each)}" for key, each in value.items()]
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _inline(name)


def _comment(choice: Choice) -> str:
    lines = [f"# {MEANINGS[choice.role]}: {choice.why}."]
    if choice.others:
        lines.append(f"# Next candidates: {', '.join(choice.others)}.")
    return "".join(_one_line(line) + "\n" for line in lines)


def _suggested(draft: Draft) -> list[dict[str, Any]]:
    rows = [] if draft.targets is None else draft.targets.to_dicts()
    return [row for row in rows if row["suggested"] is not None and row["of"] >= MIN_GROUP]


def _to_set(draft: Draft) -> str:
    """Propose targets in comments, so that none is set before the team does."""
    lines = [
        "Targets the team sets, as shares: without them no link can be called broken.",
        "[targets]",
    ]
    found = _suggested(draft)
    if found:
        lines.insert(1, "Where to start from, a suggestion:")
        lines += [f"{row['link']} = {row['suggested']:.2f}  # {_now(row)}" for row in found]
    else:
        lines += ["activation = 0.35", "habit = 0.5"]
    return "".join(f"# {line}\n" for line in lines)


def _now(row: dict[str, Any]) -> str:
    """Say what a suggested target stands on."""
    return f"now {row['rate']:.0%} of {row['of']:,}; {SOURCES[row['source']]}"


def _one_line(text: str) -> str:
    # What an event's name holds must not end the comment.
    return "".join(c if c.isprintable() else " " for c in text)


def in_words(draft: Draft) -> str:
    """Show the log's events and what is proposed, for a terminal."""
    rows = draft.events.head(SHOWN)
    width = max([5, *(len(e) for e in rows["event"])])
    width = min(width, 40)
    lines = [*draft.notes, ""] if draft.notes else []
    lines.append(f"{'event':<{width}} {'users':>9} {'repeating':>9} {'times':>10} {'first of':>9}")
    lines += [
        f"{_one_line(r['event'])[:width]:<{width}} {r['users']:>9,} {r['repeating']:>9,} {r['times']:>10,} {r['first_of']:>9,}"
        for r in rows.iter_rows(named=True)
    ]
    if draft.events.height > SHOWN:
        lines.append(f"and {many(draft.events.height - SHOWN, 'more event')}")
    lines += ["", "Proposed (a guess that nobody has confirmed):"]
    for choice in draft.choices:
        lines.append(f"  {choice.role}: {_value(choice)}")
        if choice.value:
            lines.append(f"    {_one_line(choice.why)}")
        if choice.others:
            lines.append(f"    or: {', '.join(map(_one_line, choice.others))}")
    if found := _suggested(draft):
        lines += ["", "Targets to start from, for the team to decide (none is set):"]
        lines += [f"  {row['link']}: {row['suggested']:.0%} ({_now(row)})" for row in found]
    return "\n".join(lines)


def _value(choice: Choice) -> str:
    value: Any = choice.value
    if value is None or value == []:
        return "none" if value == [] else "none: a user's first event"
    if choice.role == "steps":
        return ", ".join(step.name for step in value)
    return _one_line(", ".join(value) if isinstance(value, list) else label(value))

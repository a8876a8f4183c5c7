"""The report: one HTML page that holds everything it needs, to open with no network and to send to a colleague."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import LINK_NAMES, count, in_html, percent, sure, table_in_html, write_whole
from engagekit.journeys import MIN_GROUP
from engagekit.matchers import label
from engagekit.reporting.csv import as_csv, to_csv
from engagekit.reporting.disclosure import cohorts, curves_by, hand_on, together
from engagekit.reporting.page import page, section, wide
from engagekit.reporting.terminal import encodable, mind

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from engagekit.definition import Definition, Note
    from engagekit.instants import Instant
    from engagekit.journeys import Journeys
    from engagekit.priority import Priority
    from engagekit.review import Experiment

__all__ = [
    "as_csv",
    "cohorts",
    "curves_by",
    "encodable",
    "hand_on",
    "mind",
    "report",
    "terminal",
    "to_csv",
    "together",
]


LEAST_SCALE = 0.67  # letters of 14 pixels are then 9


def report(
    journeys: Journeys,
    path: str | os.PathLike[str],
    *,
    by: str | None = None,
    notes: pl.DataFrame | None = None,
    since: Instant | None = None,
    min_group: int = MIN_GROUP,
) -> Path:
    """Write all answers about a log on one page, with charts, tables, definitions and data notes.

    Parameters
    ----------
    journeys
        What `rollup` returned.
    path
        Where the page goes; written whole or not at all.
    by
        Property of users; its groups are shown too.
    notes
        Rows of `check_events`, if the page should name the faults of the log.
    since
        Say what changed with the sign-ups from this day on. Without targets: from the recent ones on, by itself.
    min_group
        Groups, cohorts and quarters, and cells of them, with fewer users who can be judged are not shown, nor others
        from which these would follow, so that nobody is recognized.

    Returns
    -------
    pathlib.Path
        The page written. It holds no user ids and asks nothing of the network.

    Raises
    ------
    ParameterError
        `by` is no property of users, or what changed since `since` cannot be seen.
    StoredFileError
        The page cannot be written.

    Examples
    --------
    >>> import tempfile, engagekit as ek
    >>> log = ek.simulate(users=300, seed=1)
    >>> journeys = ek.rollup(log.events, log.definition, users=log.users)
    >>> report(journeys, tempfile.mkdtemp() + "/report.html").name
    'report.html'
    """
    path = Path(path)
    written = _page(journeys, by=by, notes=notes, since=since, min_group=min_group)
    write_whole(path, written.encode())
    return path


def _page(
    journeys: Journeys,
    *,
    by: str | None,
    notes: pl.DataFrame | None,
    since: Instant | None,
    min_group: int,
) -> str:
    from engagekit.cohorts import cohort_curves, pooled_curve
    from engagekit.diagnosis import diagnose
    from engagekit.first_weeks import compare_first_weeks, outcomes
    from engagekit.funnels import step_drop_off
    from engagekit.measures import metrics
    from engagekit.priority import prioritize

    priority = hand_on(prioritize(journeys, by=by), by=by, least=min_group).priority
    shown = cohorts(cohort_curves(journeys), min_group)
    few = f"with fewer than {min_group} users are not shown."
    title = f"Where momentum breaks: {in_html(journeys.definition.name)}"
    marked = journeys.definition.annotations
    parts = [
        section(
            "The loop",
            "The share of users who passed each link, of those whose time for it is over.",
            _chart("loop", priority),
        ),
        _beside_the_loop(journeys, priority, since, by),
        section(
            "The diagnosis",
            "Where users stand; the first rule that fits counts. Shares are of judged users.",
            _chart("diagnosis", diagnose(journeys)),
        ),
        section("The play", "", _play(priority)),
        section(
            "Cohort curves",
            f"A blank cell is a period that has not fully passed: unknown, not zero. Cohorts {few}",
            (_chart("heatmap", shown, period="week", notes=marked) if shown.height else "")
            + _chart("curve", pooled_curve(shown), period="week"),
        ),
        _steps(step_drop_off(journeys)),
        section(
            "The first two weeks",
            "Associations, not causes.",
            _chart("dumbbell", compare_first_weeks(journeys)) + _table(outcomes(journeys)),
        ),
        _quarters(priority, marked, few),
        "" if by is None else _by(priority, by, few),
        _experiment(journeys, min_group),
        _replay(journeys),
        section("The ten metrics", "", _chart("metrics", metrics(journeys))),
        section("What is not counted", "", _table(journeys.left_out)),
        "" if notes is None else section("Data notes", "", _notes(notes)),
        section("What success means here", "", _definition(journeys.definition)),
    ]
    foot = "Counts only; no user is named. This page asks nothing of the network."
    return page(title, _lead(journeys, priority), parts, foot)


def _lead(journeys: Journeys, priority: Priority) -> list[str]:
    return [
        f"<p class=muted>{in_html(repr(journeys))}</p>",
        f"<p class=lead>{in_html(priority.sentence)}</p>",
        *[f"<p class=muted>{in_html(w)}</p>" for w in priority.warnings],
    ]


def _beside_the_loop(
    journeys: Journeys, priority: Priority, since: Instant | None, by: str | None
) -> str:
    """Show what changed, where asked for or no target is set; and then suggested targets."""
    from engagekit.priority import explain_change, suggest_targets, what_changed_lately

    bare = priority.verdict == "no targets"
    change = None
    if since is not None:
        change = explain_change(journeys, since=since, by=by)
    elif bare:
        change = what_changed_lately(journeys, by=by)
    parts = [] if change is None else [section("What changed", "", _chart("change", change))]
    if bare:
        parts.append(section("Suggested targets", "", _chart("targets", suggest_targets(journeys))))
    return "".join(parts)


def _chart(name: str, answer: Any, **options: Any) -> str:
    """Draw one answer, with its numbers beneath; where it holds nothing to draw, say so."""
    from engagekit import charts
    from engagekit.errors import EngagekitError
    from engagekit.views import svg_of, table_html

    try:
        chart = getattr(charts, name)(answer, **options)
    except EngagekitError as error:
        return f"<p class=muted>{in_html(error)}</p>"
    spec = chart.to_dict()  # once: it takes longer than the drawing
    numbers = spec.get("usermeta", {}).get("engagekit")
    drawn = f'<div class="roomy">{svg_of(spec)}</div><div class="narrow">{_on_a_phone(spec)}</div>'
    return f"<figure tabindex=0>{drawn}{table_html(numbers)}</figure>"


def _on_a_phone(spec: dict[str, Any]) -> str:
    """Draw a chart for a narrow page, where it is shown smaller, but not so small that its words are lost."""
    from engagekit.views import for_a_phone, svg_of, width_of

    made = for_a_phone(spec)
    least = round(LEAST_SCALE * width_of(made))
    return f'<div style="min-width:{least}px">{svg_of(made)}</div>'


def _steps(steps: pl.DataFrame) -> str:
    if steps.height == 0:
        return ""
    return section(
        "Steps",
        "Of the users who reached a step, how many did not complete it.",
        _chart("step_drop_off", steps),
    )


def _quarters(priority: Priority, notes: Sequence[Note], few: str) -> str:
    if priority.by_quarter.height == 0:
        return ""
    chart = _chart("loop_by_quarter", priority, notes=notes)
    return section("By quarter of sign-up", f"Quarters {few}", chart)


def _by(priority: Priority, by: str, few: str) -> str:
    some = priority.segments is not None and priority.segments.height > 0
    chart = _chart("segments", priority) if some else ""
    return section(f"By {in_html(by)}", "", f"<p>Groups {few}</p>{chart}")


def _experiment(journeys: Journeys, least: int) -> str:
    """Read the test that the definition names, where it can be read and no arm is so small that somebody stands out."""
    from engagekit.errors import EngagekitError

    if journeys.definition.experiment is None:
        return ""
    try:
        found = _read_test(journeys)
    except EngagekitError as error:
        return section("The test", "", f"<p class=muted>{in_html(error)}</p>")
    if any(of < least for of in found.table["of"]):
        told = f"<p>Not shown until {least} users of every arm can be judged.</p>"
        return section("The test", "", told)
    said = "".join(f"<p class=muted>{in_html(remark.text)}</p>" for remark in found.remarks)
    guards = found.guardrails.filter(pl.col("of") >= least)
    beside = f"<p>What else moved, later links, errors and support:</p>{_table(_in_points(guards))}"
    body = _chart("experiment", found) + said + (beside if guards.height else "")
    return section("The test", in_html(found.sentence), body)


def _in_points(guards: pl.DataFrame) -> pl.DataFrame:
    """Write differences in points, with their sign, and whether something got worse in words."""
    columns = {
        f"{name}, points": [None if value is None else _points(value) for value in guards[name]]
        for name in ("difference", "low", "high")
    }
    told = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    worse = pl.when("harmed").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("worse")
    first = guards.select("guardrail", "variant", "n", "of", "rate", worse)
    return first.hstack(told)


def _points(share: float) -> str:
    points = round(100 * share, 1)
    return f"{points:+.1f}" if points else "0.0"


def _read_test(journeys: Journeys) -> Experiment:
    """Read a test on the earliest link that most of its users had not passed when they were assigned."""
    from engagekit.diagnosis import defined_links
    from engagekit.review import experiment

    for link in defined_links(journeys.definition):
        found = experiment(journeys, link=link)
        if 2 * found.table["already"].sum() <= found.table["users"].sum():
            break
    return found


def _replay(journeys: Journeys) -> str:
    from engagekit.review import replay

    record = replay(journeys)
    if record["came_out"].null_count() == record.height:
        return ""
    lead = "What this page would have said at earlier month ends, and whether it came out."
    return section("How such claims came out here", lead, _chart("replay", record))


def _play(priority: Priority) -> str:
    from engagekit.errors import EngagekitError
    from engagekit.playbook import card_rows, play_named
    from engagekit.priority import plan

    try:
        when = plan(priority).sentence
    except EngagekitError as error:
        when = str(error)
    if priority.play is None:
        return f"<p>{in_html(when)}</p>"
    play = play_named(priority.play)
    link = LINK_NAMES.get(priority.link or "", "–")
    rows = [("Play", play.name), ("Link", link), ("How sure", sure(priority.probability))]
    return _rows([*rows, *card_rows(play), ("When we will know", when)])


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    return wide(table_in_html(rows, named=True))


def _table(frame: pl.DataFrame) -> str:
    """Write a table with its text first, so that numbers stand to the right."""
    if frame.height == 0:
        return "<p>Nothing is left out.</p>"
    texts = [name for name, dtype in frame.schema.items() if not dtype.is_numeric()]
    frame = frame.select(*texts, pl.exclude(texts))
    rows = [[_cell(value) for value in row] for row in frame.iter_rows()]
    headers = [name.replace("_", " ") for name in frame.columns]
    return wide(table_in_html(rows, headers=headers, texts=len(texts)))


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return percent(value) if 0 <= value <= 1 else f"{value:,.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value)
    return str(value)


def _notes(notes: pl.DataFrame) -> str:
    # Examples may hold ids of users, so the page has the counts and the advice only.
    found = notes.filter(pl.col("count") > 0).select("check", "count", "share", "advice")
    return _table(found) if found.height else "<p>No fault was found in the log.</p>"


def _definition(definition: Definition) -> str:
    rows = [(name, label(matcher)) for name, matcher in definition.matchers().items()]
    if definition.signup is None:
        rows.insert(
            0,
            (
                "signup",
                f"a user's first event; users first seen in the first {definition.burn_in_days} days are left out",
            ),
        )
    windows = [
        ("activation within", f"{definition.activation_days} days of signing up"),
        ("habit within", f"{definition.habit_days} days of activating, on a later day"),
        (
            "depth within",
            f"{definition.depth_days} days of activating; the same advanced action on {definition.depth_uses} days within {definition.depth_within_days} days",
        ),
        ("advocacy within", f"{definition.advocacy_days} days of activating"),
        (
            "retained",
            f"core action on days {definition.outcome_days[0]} to {definition.outcome_days[1]} since sign-up"
            if definition.outcome_days
            else "–",
        ),
        (
            "targets",
            ", ".join(f"{k} {percent(v)}" for k, v in definition.targets.items()) or "none set",
        ),
        ("time zone", definition.timezone),
    ]
    return _rows([*rows, *windows])

"""Every public answer with whatever shows it: for tests that walk logs at the edges through all of them."""

from __future__ import annotations

import ast
import json
import re

import polars as pl

import engagekit as ek
from engagekit import charts, handout, tables
from engagekit.first_weeks.comparison import strongest
from engagekit.journeys.windows import usual_period
from engagekit.review import changes
from engagekit.workshop.starter import event_table

# Public names that answer nothing about a log: they read, make, keep or describe.
NO_ANSWERS = {
    "All", "Assignment", "Definition", "Draft", "Not", "Note", "Read", "EngagekitError", "Journeys", "METRICS", "Match", "PLAYS", "Priority", "REVIEWS", "Session", "Step",
    "load_sample", "prepare_events", "pseudonymize", "read_users", "report", "rollup", "rollup_sql", "scan_events",
    "simulate", "to_csv", "use_offline_charts", "check_events", "usual_period",
}  # fmt: skip


def _by(journeys):
    return journeys.properties[0] if journeys.properties else None


def _grouped(answer, **options):
    """Ask with the users' first property, where they have one."""
    return lambda j, log: answer(j, by=_by(j), **options) if _by(j) else None


OF_JOURNEYS = {
    "cohort_curves": lambda j, log: ek.cohort_curves(j),
    "cohort_curves by": _grouped(ek.cohort_curves, period="month", mode="on_or_after"),
    "cohort_curves people": lambda j, log: ek.cohort_curves(j, people=True),
    "pooled_curve": lambda j, log: ek.pooled_curve(ek.cohort_curves(j, period=usual_period(j.definition))),
    "pooled_curve by": lambda j, log: _by(j) and ek.pooled_curve(ek.cohort_curves(j, by=_by(j)), average="mean"),
    "survival": lambda j, log: ek.survival(j, quiet_days=28),
    "survival by": _grouped(ek.survival, quiet_days=14),
    "compare_survival": _grouped(ek.compare_survival, quiet_days=28),
    "flattening": lambda j, log: ek.flattening(ek.survival(j, quiet_days=28)),
    "project_curve": lambda j, log: ek.project_curve(ek.survival(j, quiet_days=28), periods=6),
    "projection_error": lambda j, log: ek.projection_error(j, quiet_days=28, periods=4, period="week"),
    "step_drop_off": lambda j, log: ek.step_drop_off(j),
    "usage_interval": lambda j, log: ek.usage_interval(j),
    "product_clock": lambda j, log: ek.product_clock(j),
    "engagement_matrix": lambda j, log: ek.engagement_matrix(j),
    "suggest_windows": lambda j, log: ek.suggest_windows(j),
    "metrics": lambda j, log: ek.metrics(j),
    "metrics by": _grouped(ek.metrics),
    "label_users": lambda j, log: ek.label_users(j),
    "diagnose": lambda j, log: ek.diagnose(j),
    "diagnose by": _grouped(ek.diagnose),
    "watch_list": lambda j, log: ek.watch_list(j),
    "timeline": lambda j, log: _somebody(j) and ek.timeline(j, _somebody(j)),
    "timeline events": lambda j, log: _somebody(j) and ek.timeline(j, _somebody(j), events=log.events),
    "compare_first_weeks": lambda j, log: ek.compare_first_weeks(j),
    "compare_first_weeks by": _grouped(ek.compare_first_weeks),
    "lever_test": lambda j, log: [ek.lever_test(j, found, found["action"][0]) for found in [strongest(j)] if found.height],
    "strongest": lambda j, log: strongest(j),
    "outcomes": lambda j, log: ek.outcomes(j),
    "find_threshold": lambda j, log: ek.find_threshold(j),
    "find_threshold times": lambda j, log: ek.find_threshold(j, events=log.events),
    "how_soon": lambda j, log: ek.how_soon(j),
    "how_often": lambda j, log: ek.how_often(j),
    "first_paths": lambda j, log: ek.first_paths(j),
    "day_by_day": lambda j, log: ek.day_by_day(j),
    "prioritize": lambda j, log: ek.prioritize(j),
    "prioritize by": _grouped(ek.prioritize),
    "prioritize no targets": lambda j, log: ek.prioritize(j, targets={}),
    "prioritize all": lambda j, log: ek.prioritize(j, recent=None),
    "suggest_targets": lambda j, log: ek.suggest_targets(j),
    "suggest_targets by": _grouped(ek.suggest_targets),
    "explain_change": lambda j, log: ek.explain_change(j, since=_early(j)),
    "explain_change by": lambda j, log: _by(j) and ek.explain_change(j, since=_early(j), by=_by(j)),
    "plan": lambda j, log: ek.plan(ek.prioritize(j)),
    "track": lambda j, log: ek.track(j, since=_later(j), link="activation"),
    "track habit": lambda j, log: ek.track(j, since=_later(j), link="habit"),
    "experiment": lambda j, log: _by(j) and ek.experiment(j, variant=_by(j), link="activation"),
    "replay": lambda j, log: ek.replay(j, every="quarter"),
    "changes weekly": lambda j, log: changes(j, review="weekly"),
    "changes monthly": lambda j, log: changes(j, review="monthly"),
}  # fmt: skip
OF_EVENTS = {
    "check_events": lambda log: ek.check_events(log.events, log.definition),
    "event_table": lambda log: event_table(log.events),
    "draft": lambda log: ek.draft(log.events).definition.to_table(),
    "lifecycle": lambda log: ek.lifecycle(log.events),
    "lifecycle core": lambda log: ek.lifecycle(log.events, event="make", period="month"),
    "stickiness": lambda log: ek.stickiness(log.events, period="week", cumulative=True),
    "retention": lambda log: ek.retention(log.events, start=pl.col("event") == "join", back="make"),
    "retention each": lambda log: ek.retention(log.events, start="make", cohorts="each", mode="on_or_after"),
    "funnel": lambda log: ek.funnel(log.events, [pl.col("event") == "join", pl.col("event") != "join", "make"]),
    "compare_activations": lambda log: ek.compare_activations(log.events, log.definition, {"make": "make", "look": "look"}, as_of=log.as_of),
}  # fmt: skip
# Which charts and tables show an answer.
SHOWN = {
    "cohort_curves": "heatmap", "retention": "heatmap", "pooled_curve": "curve", "survival": "survival",
    "step_drop_off": "step_drop_off", "usage_interval": "usage_interval", "product_clock": "product_clock", "engagement_matrix": "engagement_matrix",
    "metrics": "metrics", "diagnose": "diagnosis", "compare_first_weeks": "dumbbell", "strongest": "dumbbell",
    "find_threshold": "threshold_grid", "day_by_day": "day_map", "lifecycle": "lifecycle", "stickiness": "stickiness",
    "funnel": "funnel", "prioritize": "loop", "suggest_targets": "targets", "explain_change": "change",
    "compare_activations": "activations", "experiment": "experiment", "replay": "replay", "timeline": "timeline",
    "track": "track",
}  # fmt: skip


def _somebody(journeys):
    users = journeys.users.lazy().select("user_id").sort("user_id").collect()["user_id"]
    return None if users.is_empty() else users[users.len() // 2]


def _later(journeys):
    return journeys.as_of - (journeys.as_of - journeys.log_start) / 3


def _early(journeys):
    return journeys.log_start + (journeys.as_of - journeys.log_start) / 3


def shown(name, answer):
    """Show an answer in every way there is for it; yield what people then read."""
    if isinstance(answer, pl.DataFrame):
        yield str(handout.table(answer))
        for column in ("sentence", "question", "reason", "advice"):
            if column in answer.columns:
                yield from map(str, answer[column].drop_nulls())
    else:
        yield str(answer)
    kind = SHOWN.get(name.split()[0])
    if kind is None or name.endswith("people"):
        return
    kinds = [kind]
    if name.startswith("prioritize"):
        kinds.append("loop_by_quarter")
        if answer.segments is not None:
            kinds.append("segments")
    for one in kinds:
        yield str(getattr(tables, one)(answer))
        spec = getattr(charts, one)(answer).to_dict()
        yield str(spec["usermeta"]["engagekit"])


# What must never reach a reader: Python's word for nothing, and a calculation that went wrong.
FOREIGN = re.compile(r"\b(None|nan|NaN|inf|Infinity)\b")


def foreign(texts) -> list[str]:
    """Find the words of a machine in what people read."""
    return [
        text[max(0, m.start() - 40) : m.end() + 20]
        for text in texts
        for m in FOREIGN.finditer(text)
    ]


def cells(notebook):
    """Return the code cells of a notebook's file."""
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict):
    """Run a cell as a notebook does, and hand back what its last line shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def displayed(value) -> None:
    """Show a value as a notebook would."""
    for way in ("_ipython_display_", "_repr_markdown_", "_repr_mimebundle_"):
        if hasattr(value, way):
            getattr(value, way)()
            return


def moves(panel):
    """List what a person can set on a panel: every option of a list, both ends of a slider, odd texts."""
    for name, control in panel.controls.items():
        options = getattr(control, "options", None)
        if options is not None:
            several = isinstance(control.value, tuple)
            values = [o[1] if isinstance(o, tuple) else o for o in options]
            yield from ((name, (v,) if several else v) for v in values[:6])
        elif hasattr(control, "max"):
            yield from ((name, v) for v in (control.min, control.max))
        else:
            yield from ((name, v) for v in ("", "2026-02-01", "9999-12-31", "soon"))

"""engagekit: where does momentum break earliest, how sure is that, and what should be done first.

Names load on first use, so that importing this package costs no more than importing polars.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engagekit.cohorts import cohort_curves as cohort_curves
    from engagekit.cohorts import pooled_curve as pooled_curve
    from engagekit.cohorts import retention as retention
    from engagekit.definition import Assignment as Assignment
    from engagekit.definition import Definition as Definition
    from engagekit.definition import Note as Note
    from engagekit.definition import Read as Read
    from engagekit.definition import Step as Step
    from engagekit.diagnosis import diagnose as diagnose
    from engagekit.diagnosis import label_users as label_users
    from engagekit.diagnosis import timeline as timeline
    from engagekit.diagnosis import watch_list as watch_list
    from engagekit.engagement import engagement_matrix as engagement_matrix
    from engagekit.engagement import lifecycle as lifecycle
    from engagekit.engagement import stickiness as stickiness
    from engagekit.engagement import usage_interval as usage_interval
    from engagekit.errors import EngagekitError as EngagekitError
    from engagekit.first_weeks import compare_first_weeks as compare_first_weeks
    from engagekit.first_weeks import day_by_day as day_by_day
    from engagekit.first_weeks import find_threshold as find_threshold
    from engagekit.first_weeks import first_paths as first_paths
    from engagekit.first_weeks import how_often as how_often
    from engagekit.first_weeks import how_soon as how_soon
    from engagekit.first_weeks import lever_test as lever_test
    from engagekit.first_weeks import outcomes as outcomes
    from engagekit.first_weeks import strongest as strongest
    from engagekit.funnels import funnel as funnel
    from engagekit.funnels import step_drop_off as step_drop_off
    from engagekit.ingest import check_events as check_events
    from engagekit.ingest import pseudonymize as pseudonymize
    from engagekit.ingest import read_users as read_users
    from engagekit.ingest import scan_events as scan_events
    from engagekit.journeys import Journeys as Journeys
    from engagekit.journeys import product_clock as product_clock
    from engagekit.journeys import suggest_windows as suggest_windows
    from engagekit.journeys import usual_period as usual_period
    from engagekit.matchers import All as All
    from engagekit.matchers import Match as Match
    from engagekit.matchers import Not as Not
    from engagekit.measures import metrics as metrics
    from engagekit.playbook import METRICS as METRICS
    from engagekit.playbook import PLAYS as PLAYS
    from engagekit.playbook import REVIEWS as REVIEWS
    from engagekit.priority import Priority as Priority
    from engagekit.priority import explain_change as explain_change
    from engagekit.priority import plan as plan
    from engagekit.priority import prioritize as prioritize
    from engagekit.priority import suggest_targets as suggest_targets
    from engagekit.reporting import report as report
    from engagekit.reporting import to_csv as to_csv
    from engagekit.review import changes as changes
    from engagekit.review import experiment as experiment
    from engagekit.review import replay as replay
    from engagekit.review import track as track
    from engagekit.rollups import prepare_events as prepare_events
    from engagekit.rollups import rollup as rollup
    from engagekit.rollups import rollup_sql as rollup_sql
    from engagekit.simulation import load_sample as load_sample
    from engagekit.simulation import simulate as simulate
    from engagekit.survival import compare_survival as compare_survival
    from engagekit.survival import flattening as flattening
    from engagekit.survival import project_curve as project_curve
    from engagekit.survival import projection_error as projection_error
    from engagekit.survival import survival as survival
    from engagekit.views import use_offline_charts as use_offline_charts
    from engagekit.workshop import Draft as Draft
    from engagekit.workshop import Session as Session
    from engagekit.workshop import compare_activations as compare_activations
    from engagekit.workshop import draft as draft
    from engagekit.workshop import event_table as event_table

__version__ = "0.1.0"
logging.getLogger("engagekit").addHandler(logging.NullHandler())  # heard by whoever listens

# Public name -> the module that holds it. A module's own name stands for the module.
_HOMES = {
    "All": "matchers",
    "Assignment": "definition",
    "Definition": "definition",
    "Draft": "workshop",
    "EngagekitError": "errors",
    "Journeys": "journeys",
    "METRICS": "playbook",
    "Match": "matchers",
    "Not": "matchers",
    "Note": "definition",
    "PLAYS": "playbook",
    "Priority": "priority",
    "REVIEWS": "playbook",
    "Read": "definition",
    "Session": "workshop",
    "Step": "definition",
    "changes": "review",
    "check_events": "ingest",
    "cohort_curves": "cohorts",
    "compare_activations": "workshop",
    "compare_first_weeks": "first_weeks",
    "compare_survival": "survival",
    "day_by_day": "first_weeks",
    "diagnose": "diagnosis",
    "draft": "workshop",
    "engagement_matrix": "engagement",
    "event_table": "workshop",
    "experiment": "review",
    "explain_change": "priority",
    "find_threshold": "first_weeks",
    "first_paths": "first_weeks",
    "flattening": "survival",
    "funnel": "funnels",
    "how_often": "first_weeks",
    "how_soon": "first_weeks",
    "label_users": "diagnosis",
    "lifecycle": "engagement",
    "lever_test": "first_weeks",
    "load_sample": "simulation",
    "metrics": "measures",
    "outcomes": "first_weeks",
    "plan": "priority",
    "pooled_curve": "cohorts",
    "prepare_events": "rollups",
    "prioritize": "priority",
    "product_clock": "journeys",
    "project_curve": "survival",
    "projection_error": "survival",
    "pseudonymize": "ingest",
    "read_users": "ingest",
    "replay": "review",
    "report": "reporting",
    "retention": "cohorts",
    "rollup": "rollups",
    "rollup_sql": "rollups",
    "scan_events": "ingest",
    "simulate": "simulation",
    "step_drop_off": "funnels",
    "stickiness": "engagement",
    "strongest": "first_weeks",
    "suggest_targets": "priority",
    "suggest_windows": "journeys",
    "survival": "survival",
    "to_csv": "reporting",
    "timeline": "diagnosis",
    "track": "review",
    "usage_interval": "engagement",
    "use_offline_charts": "views",
    "usual_period": "journeys",
    "watch_list": "diagnosis",
}
# Public modules, by the name they have here.
_MODULES = {
    "charts": "charts",
    "definition": "definition",
    "errors": "errors",
    "guidance": "playbook.guidance",
    "handout": "playbook.markdown",
    "instants": "instants",
    "intervals": "intervals",
    "journeys": "journeys",
    "log": "log",
    "matchers": "matchers",
    "playbook": "playbook",
    "priority": "priority",
    "room": "workshop.room",
    "strata": "strata",
    "tables": "tables",
    "widgets": "widgets",
}

__all__ = sorted([*_HOMES, *_MODULES])  # noqa: PLE0605


if not TYPE_CHECKING:  # so that a type checker sees a misspelt name

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            home = importlib.import_module(f"engagekit.{_HOMES[name]}")
            # `survival` is a module that can be called: one object, whichever import came first.
            value = home if _HOMES[name] == name else getattr(home, name)
        elif name in _MODULES:
            value = importlib.import_module(f"engagekit.{_MODULES[name]}")
        else:
            from engagekit.errors import nearest

            raise AttributeError(
                f"module 'engagekit' has no attribute {name!r}{nearest(name, __all__)}"
            )
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

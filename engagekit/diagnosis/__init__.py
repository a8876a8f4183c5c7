"""Where users stand: links passed or not, and labels, each with its problem and play."""

from __future__ import annotations

from engagekit.diagnosis.labels import (
    ON_THE_WAY,
    RULES,
    Rule,
    diagnose,
    label_users,
    labelled,
)
from engagekit.diagnosis.links import (
    FLAGS,
    LOSABLE,
    defined_links,
    link_flags,
    meets_depth_rule,
    span_days,
)
from engagekit.diagnosis.recent import UNSET, Recent, recent_days, recent_since
from engagekit.diagnosis.timeline import timeline
from engagekit.diagnosis.watching import watch_list

__all__ = [
    "FLAGS",
    "LOSABLE",
    "ON_THE_WAY",
    "RULES",
    "UNSET",
    "Recent",
    "Rule",
    "defined_links",
    "diagnose",
    "label_users",
    "labelled",
    "link_flags",
    "meets_depth_rule",
    "recent_days",
    "recent_since",
    "span_days",
    "timeline",
    "watch_list",
]

"""One file per answer: its sheet, its chart, its table. charts and tables are the faces of this room."""

from __future__ import annotations

from engagekit.views.changes_table import change_title, moved, targets_title
from engagekit.views.offline import svg_of, table_html, use_offline_charts
from engagekit.views.sheet import largest_groups

__all__ = [
    "change_title",
    "changes_table",
    "largest_groups",
    "moved",
    "svg_of",
    "table_html",
    "targets_title",
    "use_offline_charts",
]

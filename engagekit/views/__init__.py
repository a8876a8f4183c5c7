"""One file per answer: its sheet, its chart, its table. charts and tables are the faces of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engagekit.views.changes_table import change_title, moved, targets_title
from engagekit.views.looks import DARK, PAPER
from engagekit.views.offline import (
    chart_html,
    chart_identity,
    drawing_script,
    svg_of,
    table_html,
    use_offline_charts,
    width_of,
)
from engagekit.views.phone import for_a_phone
from engagekit.views.sheet import largest_groups

if TYPE_CHECKING:  # loads altair, which who reads a title does not need
    from engagekit.views import cockpit_charts  # noqa: TC004

__all__ = [
    "DARK",
    "PAPER",
    "change_title",
    "changes_table",
    "chart_html",
    "chart_identity",
    "cockpit_charts",
    "drawing_script",
    "for_a_phone",
    "largest_groups",
    "moved",
    "svg_of",
    "table_html",
    "targets_title",
    "use_offline_charts",
    "width_of",
]

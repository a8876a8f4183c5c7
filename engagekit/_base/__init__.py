"""What everything stands on: words and numbers as text, calendars, durations, files written whole, progress."""

from __future__ import annotations

from engagekit._base.atomic_files import flush, sweep, write_whole, writing
from engagekit._base.calendar import (
    Calendar,
    Period,
    WeekStart,
    begins_at,
    calendar_faults,
    calendar_for,
    last_index,
    local_clock,
    period_index,
    period_start,
    period_table,
    since_index,
    turns_at,
)
from engagekit._base.durations import Span, later, span_of
from engagekit._base.formatting import (
    LINK_NAMES,
    count,
    day,
    in_html,
    in_markdown,
    in_spreadsheet,
    many,
    percent,
    plain,
    sure,
)
from engagekit._base.notebook_progress import bar, in_notebook
from engagekit._base.progress import Progress, ticking
from engagekit._base.remarks import Remark

__all__ = [
    "LINK_NAMES",
    "Calendar",
    "Period",
    "Progress",
    "Remark",
    "Span",
    "WeekStart",
    "bar",
    "begins_at",
    "calendar_faults",
    "calendar_for",
    "count",
    "day",
    "flush",
    "in_html",
    "in_markdown",
    "in_notebook",
    "in_spreadsheet",
    "last_index",
    "later",
    "local_clock",
    "many",
    "percent",
    "period_index",
    "period_start",
    "period_table",
    "plain",
    "since_index",
    "span_of",
    "sure",
    "sweep",
    "ticking",
    "turns_at",
    "write_whole",
    "writing",
]

"""What everything stands on: words and numbers as text, calendars, durations, files written whole, progress."""

from __future__ import annotations

from engagekit._base.atomic_files import A_DAY, flush, sweep, write_whole, writing
from engagekit._base.calendar import (
    Calendar,
    Period,
    WeekStart,
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
    group,
    in_html,
    in_markdown,
    in_spreadsheet,
    many,
    percent,
    plain,
    sure,
    times_as_often,
)
from engagekit._base.html import table_in_html
from engagekit._base.notebook_progress import bar, in_notebook
from engagekit._base.parameters import is_number, is_share, is_whole, share_faults, whole_faults
from engagekit._base.progress import Progress, ticking
from engagekit._base.remarks import Remark
from engagekit._base.showing import as_html, as_plain, as_text_html, plain_fields

__all__ = [
    "A_DAY",
    "LINK_NAMES",
    "Calendar",
    "Period",
    "Progress",
    "Remark",
    "Span",
    "WeekStart",
    "as_html",
    "as_plain",
    "as_text_html",
    "bar",
    "calendar_faults",
    "calendar_for",
    "count",
    "day",
    "flush",
    "group",
    "in_html",
    "in_markdown",
    "in_notebook",
    "in_spreadsheet",
    "is_number",
    "is_share",
    "is_whole",
    "last_index",
    "later",
    "local_clock",
    "many",
    "percent",
    "period_index",
    "period_start",
    "period_table",
    "plain",
    "plain_fields",
    "share_faults",
    "since_index",
    "span_of",
    "sure",
    "sweep",
    "table_in_html",
    "ticking",
    "times_as_often",
    "turns_at",
    "whole_faults",
    "write_whole",
    "writing",
]

"""Logs and users tables as people have them, read into the columns user_id, event and at."""

from __future__ import annotations

from engagekit.ingest.definition_argument import definition_of
from engagekit.ingest.files import find_files, is_path
from engagekit.ingest.overview import Overview, overview
from engagekit.ingest.own_columns import own_columns
from engagekit.ingest.quality_checks import check_events
from engagekit.ingest.scan import EVERY, Keep, kept_names, pseudonymize, scan_events
from engagekit.ingest.users_table import read_users

__all__ = [
    "EVERY",
    "Keep",
    "Overview",
    "check_events",
    "definition_of",
    "find_files",
    "is_path",
    "kept_names",
    "overview",
    "own_columns",
    "pseudonymize",
    "read_users",
    "scan_events",
]

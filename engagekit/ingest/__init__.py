"""Logs and users tables as people have them, read into the columns user_id, event and at."""

from __future__ import annotations

from engagekit.ingest.column_mapping import ALIAS
from engagekit.ingest.files import find_files, is_path
from engagekit.ingest.quality_checks import check_events
from engagekit.ingest.scan import EVERY, Keep, kept_names, pseudonymize, scan_events
from engagekit.ingest.users_table import read_users

__all__ = [
    "ALIAS",
    "EVERY",
    "Keep",
    "check_events",
    "find_files",
    "is_path",
    "kept_names",
    "pseudonymize",
    "read_users",
    "scan_events",
    "text_cache",
]

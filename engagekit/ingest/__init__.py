"""Logs and users tables as people have them, read into the columns user_id, event and at."""

from __future__ import annotations

from engagekit.ingest.files import find_files, is_path
from engagekit.ingest.presets import likely as likely_preset
from engagekit.ingest.quality_checks import check_events
from engagekit.ingest.sample import sample_of
from engagekit.ingest.scan import pseudonymize, scan_events
from engagekit.ingest.users_table import read_users

__all__ = [
    "check_events",
    "find_files",
    "is_path",
    "likely_preset",
    "pseudonymize",
    "read_users",
    "sample_of",
    "scan_events",
]

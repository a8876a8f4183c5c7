"""Logs and users tables as people have them, read into the columns user_id, event and at."""

from __future__ import annotations

from engagekit.ingest.edges import (
    FEW_EVENTS,
    FEW_USERS,
    GAP,
    NEAR,
    SHARE,
    THIN,
    TIMES,
    Edges,
    Outskirts,
    body_of,
    edges_of,
    outskirts,
    stray_remarks,
)
from engagekit.ingest.event_forms import (
    MISSING,
    MISSING_CHOICES,
    Missing,
    Occurrences,
    in_known_names,
    missing_events,
    normal_form,
    respelt,
)
from engagekit.ingest.files import find_files, is_path
from engagekit.ingest.id_forms import SCHEMA, forms_of, of_ids
from engagekit.ingest.quality_checks import check_events
from engagekit.ingest.scan import pseudonymize, scan_events
from engagekit.ingest.users_table import read_users

__all__ = [
    "FEW_EVENTS",
    "FEW_USERS",
    "GAP",
    "MISSING",
    "MISSING_CHOICES",
    "NEAR",
    "SCHEMA",
    "SHARE",
    "THIN",
    "TIMES",
    "Edges",
    "Missing",
    "Occurrences",
    "Outskirts",
    "body_of",
    "check_events",
    "edges_of",
    "find_files",
    "forms_of",
    "in_known_names",
    "is_path",
    "missing_events",
    "normal_form",
    "of_ids",
    "outskirts",
    "pseudonymize",
    "read_users",
    "respelt",
    "scan_events",
    "stray_remarks",
]

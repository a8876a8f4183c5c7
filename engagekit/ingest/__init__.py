"""Logs and users tables as people have them, read into the columns user_id, event and at."""

from __future__ import annotations

from engagekit.ingest.column_mapping import ALIAS
from engagekit.ingest.definition_argument import definition_of
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
from engagekit.ingest.file_heads import lines_above
from engagekit.ingest.files import find_files, is_path
from engagekit.ingest.id_forms import (
    FORMS,
    ROUNDED_BIT,
    SCHEMA,
    SHARED_BIT,
    forms_of,
    of_ids,
    remarks_on_ids,
)
from engagekit.ingest.overview import Overview, overview
from engagekit.ingest.own_columns import own_columns
from engagekit.ingest.presets import PresetName
from engagekit.ingest.presets import likely as likely_preset
from engagekit.ingest.quality_checks import check_events
from engagekit.ingest.reading import EVERY, Keep, as_defined, kept_names
from engagekit.ingest.sample import fields_out, sample_of
from engagekit.ingest.scan import pseudonymize, scan_events
from engagekit.ingest.users_table import read_users

__all__ = [
    "ALIAS",
    "EVERY",
    "FEW_EVENTS",
    "FEW_USERS",
    "FORMS",
    "GAP",
    "MISSING",
    "MISSING_CHOICES",
    "NEAR",
    "ROUNDED_BIT",
    "SCHEMA",
    "SHARE",
    "SHARED_BIT",
    "THIN",
    "TIMES",
    "Edges",
    "Keep",
    "Missing",
    "Occurrences",
    "Outskirts",
    "Overview",
    "PresetName",
    "as_defined",
    "body_of",
    "check_events",
    "definition_of",
    "edges_of",
    "fields_out",
    "find_files",
    "forms_of",
    "in_known_names",
    "is_path",
    "kept_names",
    "likely_preset",
    "lines_above",
    "missing_events",
    "normal_form",
    "of_ids",
    "outskirts",
    "overview",
    "own_columns",
    "pseudonymize",
    "read_users",
    "remarks_on_ids",
    "respelt",
    "sample_of",
    "scan_events",
    "stray_remarks",
    "text_cache",
]

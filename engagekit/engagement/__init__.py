"""The rhythm of a product: who is new, returning or dormant, how many days, how often, which events."""

from __future__ import annotations

from engagekit.engagement.active_periods import (
    engagement_matrix,
    lifecycle,
    stickiness,
    usage_interval,
)

__all__ = ["engagement_matrix", "lifecycle", "stickiness", "usage_interval"]

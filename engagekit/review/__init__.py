"""Did the play work: how the links moved since it began, and what changed from review to review."""

from __future__ import annotations

from engagekit.review.tracking import Tracked, changes, track

__all__ = ["Tracked", "changes", "track"]

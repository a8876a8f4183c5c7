"""Did the play work, and how came it out."""

from __future__ import annotations

from engagekit.review.tracking import track

__all__ = ["track"]

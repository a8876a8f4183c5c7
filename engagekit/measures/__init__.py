"""The ten metrics of the guide."""

from __future__ import annotations

from engagekit.measures.ten_metrics import metrics

__all__ = ["metrics"]

"""The guide's plays, metrics and reviews, each fact once, as tables."""

from __future__ import annotations

from engagekit.playbook.plays import BENCHMARKS, METRICS, PLAYS, REVIEWS, Play, play_named

__all__ = ["BENCHMARKS", "METRICS", "PLAYS", "REVIEWS", "Play", "play_named"]

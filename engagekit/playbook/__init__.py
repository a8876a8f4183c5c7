"""The guide's plays, metrics and reviews, each fact once, as tables."""

from __future__ import annotations

from engagekit.playbook.plays import ADVOCACY_FORMS, AGREE_FIRST, ASK_TOGETHER, BENCHMARKS, BUILD_OR_BUY, CASES, COMMON_PROBLEMS, FAILING_SIGNS, HIERARCHY, HOOKED, Item, METRICS, METRIC_QUESTIONS, NO_PLAY, ORDER_OF_OPERATIONS, PLAYS, Play, QUICKSTART, REVIEWS, USER_VERSUS_CUSTOMER, WORKING_SIGNS, as_table, metric_for, play_for, play_named

__all__ = ["ADVOCACY_FORMS", "AGREE_FIRST", "ASK_TOGETHER", "BENCHMARKS", "BUILD_OR_BUY", "CASES", "COMMON_PROBLEMS", "FAILING_SIGNS", "HIERARCHY", "HOOKED", "Item", "METRICS", "METRIC_QUESTIONS", "NO_PLAY", "ORDER_OF_OPERATIONS", "PLAYS", "Play", "QUICKSTART", "REVIEWS", "USER_VERSUS_CUSTOMER", "WORKING_SIGNS", "as_table", "metric_for", "play_for", "play_named"]

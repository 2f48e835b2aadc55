"""Finds in a taskpool's report what is compared: one score a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# One score a task, the first it reports. All but the last are the higher the better, and between 0 and 1.
SCORES = ("accuracy", "exact_match", "spearman", "miou", "pixel_accuracy", "score")


def accuracies(metrics: Any) -> dict[str, float]:
    """{task: score}. Of several models, {model: {task: ...}}, each model's score on the task of its name."""
    if not isinstance(metrics, Mapping):
        return {}
    found: dict[str, float] = {}
    for task, values in metrics.items():
        if not isinstance(values, Mapping) or task == "average":
            continue
        own = values.get(task)
        values = own if isinstance(own, Mapping) else values
        score = next((values[name] for name in SCORES if isinstance(values.get(name), (int, float))), None)
        if score is not None:
            found[str(task)] = float(score)
    return found


def shown(value: Any) -> str:
    """A metric in a table's cell."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""Accuracies and their standard errors, in points, from which test items were answered right."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def accuracy(hits: Sequence[bool]) -> float:
    """Share of hits in %."""
    return 100 * sum(hits) / len(hits)


def standard_error(per_task: Sequence[Sequence[bool]]) -> float:
    """Of the average over tasks of their accuracies, test items being the random part."""
    variances = [accuracy(hits) * (100 - accuracy(hits)) / len(hits) for hits in per_task]
    return math.sqrt(sum(variances)) / len(per_task)


def paired_standard_error(left: Sequence[Sequence[bool]], right: Sequence[Sequence[bool]]) -> float:
    """Of the difference of two averages over tasks, measured on the same items."""
    variances = []
    for one, other in zip(left, right, strict=True):
        differences = [100 * (int(a) - int(b)) for a, b in zip(one, other, strict=True)]
        middle = mean(differences)
        variances.append(sum((d - middle) ** 2 for d in differences) / len(differences) ** 2)
    return math.sqrt(sum(variances)) / len(left)


def error_over_seeds(averages: Sequence[float]) -> float | None:
    """Of the mean of one number per seed; None for a single seed."""
    if len(averages) < 2:
        return None
    middle = mean(averages)
    return math.sqrt(sum((one - middle) ** 2 for one in averages) / (len(averages) - 1) / len(averages))

"""From dot products to a weighted sum: every pair of models of a tensor, of each row or of each column."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from oracle.contract import Inputs, Merged, Tolerance, Working, ulp, weighted_sum
from oracle.statistics import column_dots, row_dots

Gram = list[list[float]]


def combine(
    inputs: Inputs, working: Working, coefficients: Callable[[Gram], list[float]], vectors: str = "tensor"
) -> Merged:
    """Σ c·x, or base + Σ c·(x - base), with c found in double and rounded once to the compute type.

    `vectors`: "tensor", "row" or "column" has its own Gram matrix, made from the models or the rounded deltas.
    """
    grams = grams_of(inputs.deltas(), vectors)
    with np.errstate(all="ignore"):
        found = np.array([coefficients(gram) for gram in grams.tolist()]).astype(inputs.compute)
        shape = (1, -1) if vectors == "column" else (-1, 1)
        factors = [factor.reshape(shape) for factor in found.reshape(len(grams), len(inputs.models)).T]
        start = np.zeros((1, 1), working) if inputs.base is None else inputs.base.astype(working)
        offsets = [
            model.astype(working) if inputs.base is None else model.astype(working) - start for model in inputs.models
        ]
        total, magnitude = weighted_sum(offsets, factors, working)
        if inputs.base is None:
            return Merged(total, magnitude, magnitude)
        return Merged(start + total, np.abs(start) + magnitude, magnitude)


def grams_of(values: list[np.ndarray], vectors: str) -> np.ndarray:
    """Shape (vectors, models, models)."""
    dots = column_dots if vectors == "column" else row_dots
    if vectors == "tensor":
        values = [value.reshape(1, -1) for value in values]
    count = values[0].shape[1] if vectors == "column" else values[0].shape[0]
    grams = np.empty((count, len(values), len(values)))
    for a, left in enumerate(values):
        for b, right in enumerate(values[a:], a):
            grams[:, a, b] = grams[:, b, a] = dots(left, right)
    return grams


def tolerance(models: int) -> Tolerance:
    """The delta, the product, K - 1 for the sums, the base, and two for a coefficient that another libm may round."""
    return ulp(models + 4)


def finite(gram: Gram) -> bool:
    """Whether no NaN and no overflow is among the dot products."""
    return all(math.isfinite(product) for row in gram for product in row)


def length(gram: Gram, coefficients: list[float]) -> float:
    """|Σ c·x|, the root of Σ c_a (Σ c_b <x_a, x_b>), which cancellation must not take below zero."""
    square = 0.0
    for row, factor in zip(gram, coefficients, strict=True):
        square += factor * inner(row, coefficients)
    return math.sqrt(max(square, 0.0))


def inner(row: list[float], coefficients: list[float]) -> float:
    """<x_a, Σ c·x> from a row of the Gram matrix."""
    total = 0.0
    for product, factor in zip(row, coefficients, strict=True):
        total += product * factor
    return total

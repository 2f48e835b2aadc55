"""From dot products to a weighted sum: every pair of models of a tensor, of each row or of each column."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

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
    grams = grams_of(inputs, vectors)
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


@lru_cache(maxsize=1)
def grams_of(inputs: Inputs, vectors: str) -> np.ndarray:
    """Shape (vectors, models, models)."""
    values = inputs.deltas
    if vectors == "tensor":
        values = [value.reshape(1, -1) for value in values]
    stacked = np.stack(values)
    models, rows, columns = stacked.shape
    first, second = np.triu_indices(models)
    if vectors == "column":
        products = [column_dots(stacked[a], stacked[b]) for a, b in zip(first, second, strict=True)]
    else:  # all pairs in one call
        left, right = (stacked[side].reshape(len(side) * rows, columns) for side in (first, second))
        products = row_dots(left, right).reshape(len(first), rows)
    grams = np.empty((columns if vectors == "column" else rows, models, models))
    for a, b, product in zip(first, second, products, strict=True):
        grams[:, a, b] = grams[:, b, a] = product
    return grams


def tolerance(models: int) -> Tolerance:
    """The delta, the product, K - 1 for the sums, the base, and two for a coefficient that another libm may round."""
    return ulp(models + 4)


def finite(gram: Gram) -> bool:
    """Whether no NaN and no overflow is among the dot products."""
    return all(math.isfinite(product) for row in gram for product in row)


def inner(gram: Gram, left: list[float], right: list[float]) -> float:
    """<Σ a·x, Σ b·x> = Σ Σ a_j G_jk b_k, row after row."""
    total = 0.0
    for row, a in zip(gram, left, strict=True):
        for product, b in zip(row, right, strict=True):
            total += a * product * b
    return total


def length(gram: Gram, coefficients: list[float]) -> float:
    """|Σ c·x|, of a square that cancellation must not take below zero."""
    return math.sqrt(max(inner(gram, coefficients, coefficients), 0.0))

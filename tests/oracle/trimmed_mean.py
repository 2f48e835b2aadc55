"""Oracle of the trimmed mean: per element, leave out the smallest and the largest values, average the rest.

Tukey 1962. By hand, four models, trim 0.25 (one at either end):

    model A            1      2     -8      0
    model B            5      3      1     -2
    model C            3     -4      2      4
    model D           64      2      3      1
    left             5,3    2,2    1,2    0,1
    mean               4      2    1.5    0.5
"""

from __future__ import annotations

import math

import numpy as np

from oracle.contract import Example, Inputs, Merged, Tolerance, Working, ulp

EXAMPLE = Example(
    models=[[1, 2, -8, 0], [5, 3, 1, -2], [3, -4, 2, 4], [64, 2, 3, 1]],
    base=None,
    parameters={"trim": 0.25},
    expected=[4, 2, 1.5, 0.5],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """As many values go at either end as floor(trim·K) says, but one or two stay."""
    models = len(inputs.models)
    return mean_of_middle(inputs, min(math.floor(inputs.parameters["trim"] * models), (models - 1) // 2), working)


def mean_of_middle(inputs: Inputs, dropped: int, working: Working) -> Merged:
    """What is left when `dropped` values are gone at either end, added in model order, divided by their number.

    -0 is below +0; equals are ordered by model. A NaN in any model is a NaN in the result.
    """
    values = np.stack(inputs.models)
    rank = np.argsort(np.argsort(total_order(values), axis=0, kind="stable"), axis=0)
    left = (rank >= dropped) & (rank < len(values) - dropped)
    total = np.full(values.shape[1:], -0.0, working)  # -0 + x is x, for every x
    magnitude = np.zeros(values.shape[1:], working)
    with np.errstate(all="ignore"):
        for value, stays in zip(values.astype(working), left, strict=True):
            total = np.where(stays, total + value, total)
            magnitude = np.where(stays, magnitude + np.abs(value), magnitude)
        count = working(len(values) - 2 * dropped)
        unordered = np.isnan(values).any(axis=0)
        total, magnitude = (np.where(unordered, working(np.nan), summed) for summed in (total, magnitude))
        return Merged(total / count, magnitude / count, magnitude)


def total_order(values: np.ndarray) -> np.ndarray:
    """Signed integers in the order of the numbers, with -0 below +0."""
    bits = values.view(f"i{values.dtype.itemsize}")
    return np.where(bits < 0, np.iinfo(bits.dtype).max ^ bits, bits)


def tolerance(models: int) -> Tolerance:
    """K - 1 for the sums, one for the division."""
    return ulp(models)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: nothing trimmed, some, and more than there are."""
    return [{"trim": trim} for trim in (0.0, 0.2, 0.25, 0.34, 0.5)]

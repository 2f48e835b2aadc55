"""What methods ask to know about a whole tensor first: dot products in a fixed order, the largest elements, ranks.

The dot product is a sum in float64 whose order depends on nothing but the length: blocks of 4096 elements from the
vector's start; in a block 64 lanes, lane l adding elements l, l + 64, ... in turn; the lanes are added in a binary
tree (l with l + 32, then + 16, ...), the blocks in a pairwise tree over their numbers, an odd last one carried up.
"""

from __future__ import annotations

import math

import numpy as np

BLOCK = 4096
LANES = 64


def dot(left: np.ndarray, right: np.ndarray) -> float:
    """Σ left·right of two equally long arrays in the order above."""
    return float(row_dots(left.reshape(1, -1), right.reshape(1, -1))[0])


def row_dots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Σ left·right of every row in the order above, which starts anew with the row."""
    rows, columns = left.shape
    unit = BLOCK if columns > BLOCK else LANES
    blocks = max(1, -(-columns // BLOCK))
    padded = np.zeros((rows, -(-columns // unit) * unit))  # a sum that starts at +0 does not change by +0
    with np.errstate(all="ignore"):
        padded[:, :columns] = left.astype(np.float64) * right.astype(np.float64)
        steps = padded.reshape(rows, blocks, padded.shape[1] // (blocks * LANES), LANES)
        lanes = np.zeros((rows, blocks, LANES))
        for step in range(steps.shape[2]):
            lanes = lanes + steps[:, :, step]
        width = LANES
        while width > 1:
            width //= 2
            lanes = lanes[:, :, :width] + lanes[:, :, width : 2 * width]
        sums = lanes[:, :, 0]
        while sums.shape[1] > 1:
            paired = sums.shape[1] // 2 * 2
            sums = np.concatenate([sums[:, 0:paired:2] + sums[:, 1:paired:2], sums[:, paired:]], axis=1)
        return sums[:, 0]


def column_dots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Σ left·right of every column in float64, one row after the other."""
    with np.errstate(all="ignore"):
        sums = np.zeros(left.shape[1])
        for a, b in zip(left.astype(np.float64), right.astype(np.float64), strict=True):
            sums = sums + a * b
        return sums


def magnitude_sum(values: np.ndarray) -> float:
    """Σ |v| over the whole tensor, in the order of a dot product."""
    return dot(np.abs(values), np.ones_like(values))


def kept_count(density: float, size: int) -> int:
    """How many of `size` elements a density keeps: floor(density·size) in double, but at least one; 0 none, 1 all."""
    if density <= 0.0 or size == 0:
        return 0
    if density >= 1.0:
        return size
    return max(1, math.floor(density * size))


def magnitude_order(values: np.ndarray) -> np.ndarray:
    """Magnitudes as unsigned integers, in the order of the bit patterns; every NaN just above infinity."""
    bits = values.ravel().view(f"u{values.dtype.itemsize}")
    magnitude = bits & bits.dtype.type(np.iinfo(bits.dtype).max >> 1)
    above_infinity = np.array(np.inf, values.dtype).view(bits.dtype) + bits.dtype.type(1)
    return np.minimum(magnitude, above_infinity)


def descending(values: np.ndarray) -> np.ndarray:
    """Per row: its columns from the largest magnitude to the smallest, equals by column (a stable sort decides)."""
    order = magnitude_order(np.ascontiguousarray(values)).reshape(values.shape)
    return np.argsort(np.iinfo(order.dtype).max - order, axis=-1, kind="stable")


def kept(values: np.ndarray, density: float, skipped: int = 0) -> np.ndarray:
    """Mask of the kept_count() largest magnitudes after the `skipped` largest; of equals the ones that come first."""
    mask = np.zeros(values.size, dtype=bool)
    mask[descending(values.ravel())[skipped : skipped + kept_count(density, values.size)]] = True
    return mask.reshape(values.shape)


def ranks(values: np.ndarray) -> np.ndarray:
    """Per row: 0 for the smallest magnitude, columns - 1 for the largest; of equals the first has the higher rank."""
    places = descending(values)
    found = np.empty_like(places)
    np.put_along_axis(found, places, np.arange(values.shape[-1])[::-1].reshape(1, -1), axis=-1)
    return found

"""What methods ask to know about a whole tensor first: dot products in a fixed order, the largest elements.

The dot product is a sum in float64 whose order depends on nothing but the length: blocks of 4096 elements from the
tensor's start; in a block 64 lanes, lane l adding elements l, l + 64, ... in turn; the lanes are added in a binary
tree (l with l + 32, then + 16, ...), the blocks in a pairwise tree over their numbers, an odd last one carried up.
"""

from __future__ import annotations

import math

import numpy as np

BLOCK = 4096
LANES = 64


def dot(left: np.ndarray, right: np.ndarray) -> float:
    """Σ left·right of two equally long arrays in the order above."""
    with np.errstate(all="ignore"):
        products = left.ravel().astype(np.float64) * right.ravel().astype(np.float64)
        sums = [_block_sum(products[start : start + BLOCK]) for start in range(0, products.size, BLOCK)] or [0.0]
        while len(sums) > 1:
            pairs = [sums[i] + sums[i + 1] for i in range(0, len(sums) - 1, 2)]
            sums = pairs + sums[len(pairs) * 2 :]
        return float(sums[0])


def _block_sum(products: np.ndarray) -> np.float64:
    padded = np.zeros(-(-products.size // LANES) * LANES)
    padded[: products.size] = products
    lanes = np.zeros(LANES)
    for row in padded.reshape(-1, LANES):
        lanes = lanes + row
    width = LANES
    while width > 1:
        width //= 2
        lanes = lanes[:width] + lanes[width:]
    return lanes[0]


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


def kept(values: np.ndarray, density: float) -> np.ndarray:
    """Mask of the kept_count() largest magnitudes; of equals the ones that come first (a stable sort decides)."""
    order = magnitude_order(values)
    descending = np.iinfo(order.dtype).max - order
    mask = np.zeros(order.size, dtype=bool)
    mask[np.argsort(descending, kind="stable")[: kept_count(density, order.size)]] = True
    return mask.reshape(values.shape)

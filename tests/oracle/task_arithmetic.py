"""Oracle of task arithmetic: the base plus lambda times the weighted sum of what the models learned.

Ilharco et al. 2023, arXiv:2212.04089. By hand, weights 1 and 2, lambda 0.5:

    base               1      1     -2      0
    model A            2      1     -2      4        A - base     1    0    0    4
    model B            1      3     -4     -1        B - base     0    2   -2   -1
    sum of w·delta                                                1    4   -4    2
    base + 0.5·sum   1.5      3     -4      1
"""

from __future__ import annotations

import numpy as np

from oracle.contract import Example, Merged, Tolerance, Working, mass_of, ulp, weighted_sum

EXAMPLE = Example(
    models=[[2, 1, -2, 4], [1, 3, -4, -1]],
    base=[1, 1, -2, 0],
    parameters={"weight": [1.0, 2.0], "normalize": False, "lambda": 0.5},
    expected=[1.5, 3, -4, 1],
)


def merge(base: np.ndarray | None, models: list[np.ndarray], parameters: dict, working: Working) -> Merged:
    """base + (Σ w·(x - base))·s with s = lambda (divided by Σw if normalize) rounded to the compute type."""
    compute = models[0].dtype.type
    scale = working(compute(parameters["lambda"] / mass_of(parameters["weight"], parameters["normalize"])))
    with np.errstate(all="ignore"):
        start = base.astype(working)
        deltas = [model.astype(working) - start for model in models]
        weights = [compute(w) for w in parameters["weight"]]
        total, magnitude = weighted_sum(deltas, weights, working)
        return Merged(start + total * scale, np.abs(start) + magnitude * abs(scale), magnitude)


def tolerance(models: int) -> Tolerance:
    """One rounding for the delta, one for the product, K - 1 for the sums, one for the scale, one for the base."""
    return ulp(models + 3)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: the paper's, a normalised one, negative and cancelling weights."""
    uneven = [0.3 + 0.25 * i for i in range(models)]
    signed = [(-0.5) ** i for i in range(models)]
    cancelling = [(-1.0) ** i for i in range(models)]
    return [
        {"weight": [1.0] * models, "normalize": False, "lambda": 1.0},
        {"weight": [1.0] * models, "normalize": False, "lambda": 0.3},
        {"weight": uneven, "normalize": True, "lambda": 0.7},
        {"weight": signed, "normalize": False, "lambda": -1.5},
        {"weight": cancelling, "normalize": True, "lambda": 1.0},
        {"weight": uneven, "normalize": False, "lambda": 0.0},
    ]

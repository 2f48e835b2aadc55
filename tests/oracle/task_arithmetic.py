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

from oracle.consensus import linear_variants as variants
from oracle.contract import Example, Inputs, Merged, Tolerance, Working, mass_of, ulp, weighted_sum

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[2, 1, -2, 4], [1, 3, -4, -1]],
    base=[1, 1, -2, 0],
    parameters={"weight": [1.0, 2.0], "normalize": False, "lambda": 0.5},
    expected=[1.5, 3, -4, 1],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """base + (Σ w·(x - base))·s with s = lambda (divided by Σw if normalize) rounded to the compute type."""
    parameters, compute = inputs.parameters, inputs.compute
    scale = working(compute(parameters["lambda"] / mass_of(parameters["weight"], parameters["normalize"])))
    with np.errstate(all="ignore"):
        start = inputs.base.astype(working)
        deltas = [model.astype(working) - start for model in inputs.models]
        weights = [compute(w) for w in parameters["weight"]]
        total, magnitude = weighted_sum(deltas, weights, working)
        return Merged(start + total * scale, np.abs(start) + magnitude * abs(scale), magnitude)


def tolerance(models: int) -> Tolerance:
    """One rounding for the delta, one for the product, K - 1 for the sums, one for the scale, one for the base."""
    return ulp(models + 3)

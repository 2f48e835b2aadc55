"""Oracle of linear: the weighted mean (or sum) of the models.

By hand, weights 1 and 3, normalised:

    model A            1      2     -4      0
    model B            5      2      0      8
    A + 3·B           16      8     -4     24
    divided by 4       4      2     -1      6
"""

from __future__ import annotations

import numpy as np

from oracle.contract import Example, Inputs, Merged, Tolerance, Working, mass_of, ulp, weighted_sum

EXAMPLE = Example(
    models=[[1, 2, -4, 0], [5, 2, 0, 8]],
    base=None,
    parameters={"weight": [1.0, 3.0], "normalize": True},
    expected=[4, 2, -1, 6],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """(Σ w·x) / m with m = Σw rounded to the compute type, or 1."""
    weights = inputs.parameters["weight"]
    mass = working(inputs.compute(mass_of(weights, inputs.parameters["normalize"])))
    total, magnitude = weighted_sum(inputs.models, weights, working)
    with np.errstate(all="ignore"):
        return Merged(total / mass, magnitude / abs(mass), magnitude)


def tolerance(models: int) -> Tolerance:
    """One rounding for the product, K - 1 for the sums, one for the division."""
    return ulp(models + 1)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: equal, unequal and negative weights, and weights that cancel."""
    uneven = [0.3 + 0.25 * i for i in range(models)]
    signed = [(-0.5) ** i for i in range(models)]
    cancelling = [(-1.0) ** i for i in range(models)]
    return [
        {"weight": [1.0] * models, "normalize": True},
        {"weight": uneven, "normalize": True},
        {"weight": uneven, "normalize": False},
        {"weight": signed, "normalize": True},
        {"weight": cancelling, "normalize": True},
        {"weight": [0.0] * models, "normalize": True},
    ]

"""Oracle of passthrough: one model, scaled.

It takes exactly one model, so the hand-worked example has one. By hand, scale -0.5:

    model              1     -2      3      0
    times -0.5      -0.5      1   -1.5     -0
"""

from __future__ import annotations

import numpy as np

from oracle.contract import Example, Inputs, Merged, Tolerance, Working, ulp

EXAMPLE = Example(
    models=[[1, -2, 3, 0]],
    base=None,
    parameters={"scale": [-0.5]},
    expected=[-0.5, 1, -1.5, -0.0],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """scale·x with the scale rounded to the compute type."""
    with np.errstate(all="ignore"):
        value = working(inputs.compute(inputs.parameters["scale"][0])) * inputs.models[0].astype(working)
    return Merged(value, np.abs(value), np.abs(value))


def tolerance(models: int) -> Tolerance:
    """One product, one rounding."""
    return ulp(1)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: a copy, a fraction that is no power of two, a sign change, zero."""
    return [{"scale": [scale]} for scale in (1.0, 0.7, -3.0, 0.0)]

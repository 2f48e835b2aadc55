"""Oracle of nuslerp: slerp between two models, or between what they learned, by the share of the second's weight.

By hand, weights 1 and 1, so t = 0.5, around a base; what was learned is orthogonal:

    base               1      1      0      0
    model A            3      1      0      0        A - base     2    0    0    0
    model B            1      5      0      0        B - base     0    4    0    0
    coefficients       sin(45°)/sin(90°) = 0.70710678 for both
    result       2.41421356  3.82842712  0      0
"""

from __future__ import annotations

import math

from oracle.contract import Example, Inputs, Merged, Working
from oracle.gram import combine, tolerance
from oracle.slerp import arc

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[3, 1, 0, 0], [1, 5, 0, 0]],
    base=[1, 1, 0, 0],
    parameters={
        "weight": [1.0, 1.0],
        "nuslerp_flatten": True,
        "nuslerp_row_wise": False,
        "lerp_threshold": 1.0,
    },
    expected=[1 + math.sqrt(2), 1 + 2 * math.sqrt(2), 0, 0],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """c0·x0 + c1·x1, from the base if there is one, with slerp's coefficients."""
    parameters = inputs.parameters
    first, second = parameters["weight"]
    total = first + second
    t = 0.5 if abs(total) < 1e-6 else second / total
    return combine(inputs, working, lambda gram: arc(gram, t, parameters["lerp_threshold"]), vectors(inputs))


def vectors(inputs: Inputs) -> str:
    """What has an angle: the tensor, each row, or (the field's word is row-wise) each column.

    A vector that is stored as one row stays whole.
    """
    if inputs.parameters["nuslerp_flatten"]:
        return "tensor"
    if inputs.parameters["nuslerp_row_wise"] and inputs.models[0].shape[0] > 1:
        return "column"
    return "row"


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: every kind of vector, both ends, beyond them, weights that cancel, chords only."""
    plain = dict(EXAMPLE.parameters)
    rows = {**plain, "nuslerp_flatten": False}
    columns = {**rows, "nuslerp_row_wise": True}
    return [
        plain,
        {**plain, "weight": [0.7, 0.3], "nuslerp_row_wise": True},
        {**plain, "weight": [1.0, -1.0]},
        {**plain, "weight": [0.0, 2.0], "lerp_threshold": 0.9995},
        {**plain, "weight": [0.6, 0.4], "lerp_threshold": 0.0},
        {**rows, "weight": [0.25, 0.5]},
        {**rows, "weight": [1.5, -0.5], "lerp_threshold": 0.5},
        {**columns, "weight": [0.25, 0.5]},
        {**columns, "weight": [3.0, 1.0], "lerp_threshold": 0.9},
    ]

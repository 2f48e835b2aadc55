"""Oracle of slerp: two models interpolated along the great circle between their directions.

Shoemake 1985. The first model is the base, reached at t = 0. By hand, t = 0.5, two orthogonal models:

    model A            2      0      0      0      |A| = 2
    model B            0      4      0      0      |B| = 4,  A·B = 0,  so the angle is a right one
    coefficients       sin(45°)/sin(90°) = 0.70710678 for both
    result       1.41421356  2.82842712  0      0
"""

from __future__ import annotations

import math

from oracle.contract import Example, Inputs, Merged, Tolerance, Working, ulp
from oracle.gram import Gram, combine

EXAMPLE = Example(
    models=[[2, 0, 0, 0], [0, 4, 0, 0]],
    base=None,
    parameters={"t": 0.5, "lerp_threshold": 0.9995},
    expected=[math.sqrt(2), 2 * math.sqrt(2), 0, 0],
)


def arc(gram: Gram, t: float, lerp_threshold: float) -> list[float]:
    """The two factors in double: of the arc, or of the chord.

    The chord where the models are nearly parallel, where one has no direction, and where a NaN or an overflow leaves
    the angle unknown. Between exact opposites no arc is the shortest, so there too.
    """
    chord = [1.0 - t, t]
    norms = math.sqrt(gram[0][0]) * math.sqrt(gram[1][1])
    if not norms > 0.0:
        return chord
    cosine = gram[0][1] / norms
    if not abs(cosine) <= lerp_threshold or abs(cosine) >= 1.0:
        return chord
    angle = math.acos(cosine)
    return [math.sin((1.0 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)]


def merge(inputs: Inputs, working: Working) -> Merged:
    """c0·x0 + c1·x1 with both coefficients rounded to the compute type."""
    parameters = inputs.parameters
    return combine(inputs, working, lambda gram: arc(gram, parameters["t"], parameters["lerp_threshold"]))


def tolerance(models: int) -> Tolerance:
    """Product, sum, and two for a coefficient that another libm may round to the next number."""
    return ulp(4)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: both ends, the middle, beyond the ends, and always or never a chord."""
    points = [(t, 0.9995) for t in (0.0, 0.5, 1.0, 0.3, -0.25, 1.5)]
    return [{"t": t, "lerp_threshold": threshold} for t, threshold in [*points, (0.3, 0.0), (0.3, 1.0)]]

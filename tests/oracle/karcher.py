"""Oracle of karcher: the point on the sphere nearest to all models' directions, as long as they are on average.

Grove and Karcher 1973. Each step follows the mean of the logarithms, the great circles towards the models. By hand:

    model A            2      0      0      0      |A| = 2     direction    1    0    0    0
    model B            0      4      0      0      |B| = 4     direction    0    1    0    0
    normalised mean 0.7071 0.7071    0      0      45° from both, whose pulls cancel: this is the Karcher mean
    times the average length 3
    result       2.12132034 2.12132034 0    0
"""

from __future__ import annotations

import math

from oracle.contract import Example, Inputs, Merged, Working, total_of
from oracle.gram import Gram, combine, finite, inner, length, tolerance

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[2, 0, 0, 0], [0, 4, 0, 0]],
    base=None,
    parameters={"max_iter": 10, "tol": 1e-5},
    expected=[1.5 * math.sqrt(2), 1.5 * math.sqrt(2), 0, 0],
)

OPPOSITE = 1e-12  # 1 - cos² below which a model opposite to the mean pulls it nowhere: its angle is known, not its side


def coefficients(gram: Gram, max_iter: int, tol: float) -> list[float]:
    """In double. A model no longer than tol has no direction; where none has, the result is zeros."""
    count = len(gram)
    if count == 1:
        return [1.0]
    if not finite(gram):
        return [math.nan] * count
    norms = [math.sqrt(gram[k][k]) for k in range(count)]
    directions = {k: 1 / norm for k, norm in enumerate(norms) if norm > tol}
    if not directions:
        return [0.0] * count
    mean = start(gram, directions, tol)
    for _ in range(max_iter):
        tangent = pull(gram, directions, mean, tol)
        step = length(gram, tangent)
        if step < tol or step == 0.0:
            break
        mean = [math.cos(step) * m + math.sin(step) / step * t for m, t in zip(mean, tangent, strict=True)]
        norm = length(gram, mean)
        if norm > tol:
            mean = [1 / norm * m for m in mean]
    scale = total_of([norm / count for norm in norms])
    return [scale * m for m in mean]


def start(gram: Gram, directions: dict[int, float], tol: float) -> list[float]:
    """The directions' normalised mean, or the first of them where they cancel."""
    mean = [1 / len(directions) * directions.get(k, 0.0) for k in range(len(gram))]
    norm = length(gram, mean)
    if norm < tol or norm == 0.0:
        first = min(directions)
        return [directions[first] if k == first else 0.0 for k in range(len(gram))]
    return [1 / norm * m for m in mean]


def pull(gram: Gram, directions: dict[int, float], mean: list[float], tol: float) -> list[float]:
    """The mean of the directions' logarithms at `mean`: how far, and which way, to go next."""
    tangent = [0.0] * len(mean)
    for k, inverse in directions.items():
        direction = [inverse if j == k else 0.0 for j in range(len(mean))]
        cosine = min(max(inner(gram, mean, direction), -1.0), 1.0)
        angle = math.acos(cosine)
        opposite = cosine < 0.0 and 1.0 - cosine * cosine < OPPOSITE
        if angle < tol or angle == 0.0 or opposite:
            continue
        factor = 1 / len(directions) * angle / math.sin(angle)
        tangent[k] += factor * inverse
        tangent = [t + -factor * cosine * m for t, m in zip(tangent, mean, strict=True)]
    return tangent


def merge(inputs: Inputs, working: Working) -> Merged:
    """Σ c·x."""
    return combine(
        inputs, working, lambda gram: coefficients(gram, inputs.parameters["max_iter"], inputs.parameters["tol"])
    )


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: the default, no step at all, one step, many exact ones, a wide tolerance."""
    pairs = [(10, 1e-5), (0, 1e-5), (1, 1e-9), (50, 0.0), (10, 0.5)]
    return [{"max_iter": max_iter, "tol": tol} for max_iter, tol in pairs]

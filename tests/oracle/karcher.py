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
    if len(gram) == 1:
        return [1.0]
    if not finite(gram):
        return [math.nan] * len(gram)
    norms = [math.sqrt(gram[k][k]) for k in range(len(gram))]
    long = [k for k, norm in enumerate(norms) if norm > tol]
    found = [0.0] * len(gram)
    if long:
        cosines = [[1.0 if a == b else gram[a][b] / (norms[a] * norms[b]) for b in long] for a in long]
        scale = total_of(norms) / len(norms)
        for k, share in zip(long, mean_direction(cosines, max_iter, tol), strict=True):
            found[k] = scale * share / norms[k]
    return found


def mean_direction(cosines: Gram, max_iter: int, tol: float) -> list[float]:
    """The Karcher mean of unit vectors, as a combination of them."""
    count = len(cosines)
    mean = [1.0 / count] * count
    norm = length(cosines, mean)
    mean = [m / norm for m in mean] if norm > tol else [1.0] + [0.0] * (count - 1)
    for _ in range(max_iter):
        tangent = pull(cosines, mean, tol)
        step = length(cosines, tangent)
        if step <= tol:
            break
        mean = [math.cos(step) * m + math.sin(step) / step * t for m, t in zip(mean, tangent, strict=True)]
        norm = length(cosines, mean)
        if norm > tol:
            mean = [m / norm for m in mean]
    return mean


def pull(cosines: Gram, mean: list[float], tol: float) -> list[float]:
    """The mean of the models' logarithms at `mean`: how far, and which way, to go next."""
    tangent = [0.0] * len(mean)
    for k, row in enumerate(cosines):
        cosine = min(max(inner(row, mean), -1.0), 1.0)
        angle = math.acos(cosine)
        if angle <= tol or (cosine < 0.0 and 1.0 - cosine * cosine < OPPOSITE):
            continue
        factor = angle / math.sin(angle) / len(mean)
        tangent = [t - factor * cosine * m for t, m in zip(tangent, mean, strict=True)]
        tangent[k] += factor
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

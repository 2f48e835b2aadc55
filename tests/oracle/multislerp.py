"""Oracle of multislerp: the direction in which the models point together, as long as they are on average.

The method projects the models' directions onto the tangent plane at their normalised weighted mean, averages them there
with the same weights, and maps back. But Σ w·(u - <u, mean>·mean) = M - <M, mean>·mean with M = Σ w·u, which is zero
because mean = M/|M|: what is mapped back is the mean itself, times the cosine of the small eps. By hand, equal weights:

    model A            2      0      0      0      |A| = 2     direction    1    0    0    0
    model B            0      4      0      0      |B| = 4     direction    0    1    0    0
    half their sum   0.5    0.5      0      0      length 0.70710678
    normalised    0.7071 0.7071      0      0
    times the average length 3
    result       2.12132034 2.12132034 0    0
"""

from __future__ import annotations

import math

from oracle.contract import Example, Inputs, Merged, Working, total_of
from oracle.gram import Gram, combine, finite, grams_of, length, tolerance

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[2, 0, 0, 0], [0, 4, 0, 0]],
    base=None,
    parameters={"weight": [1.0, 1.0], "normalize_weights": True, "eps": 0.0},
    expected=[1.5 * math.sqrt(2), 1.5 * math.sqrt(2), 0, 0],
)


def coefficients(gram: Gram, weights: list[float], normalize: bool, eps: float) -> list[float]:
    """c_k = (w_k / (n_k + eps)) / |Σ w·u| cos(eps) (Σ w·n), in double.

    One model is itself. Directions that cancel leave two models to their weighted sum, and more than two to no answer;
    but where every model is zeros, so is the result.
    """
    count = len(gram)
    if count == 1:
        return [1.0]
    if not finite(gram):
        return [math.nan] * count
    total = total_of(weights) if normalize else 1.0
    shares = [w / total for w in weights]
    norms = [math.sqrt(gram[k][k]) for k in range(count)]
    mean = [w * (1 / (n + eps) if n + eps > 0.0 else 0.0) for w, n in zip(shares, norms, strict=True)]
    together = length(gram, mean)
    if together < eps or together == 0.0:
        if count == 2:
            return shares
        if not any(norms):
            return [0.0] * count
        raise ValueError("the weighted sum of the models' directions is zero")
    scale = total_of([w * n for w, n in zip(shares, norms, strict=True)])
    return [m * (1 / together) * math.cos(eps) * scale for m in mean]


def refuses(inputs: Inputs) -> bool:
    """Whether there is no answer."""
    try:
        coefficients(grams_of(inputs, "tensor")[0].tolist(), *options(inputs))
    except ValueError:
        return True
    return False


def merge(inputs: Inputs, working: Working) -> Merged:
    """Σ c·x, from the base if there is one."""
    return combine(inputs, working, lambda gram: coefficients(gram, *options(inputs)))


def options(inputs: Inputs) -> tuple[list[float], bool, float]:
    return tuple(inputs.parameters[name] for name in ("weight", "normalize_weights", "eps"))


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: equal, uneven and negative weights, as they are or normalised; a large eps."""
    uneven = [0.3 + 0.25 * i for i in range(models)]
    signed = [(-0.5) ** i for i in range(models)]
    plain = {"weight": [1.0] * models, "normalize_weights": True, "eps": 1e-8}
    return [
        plain,
        {**plain, "weight": uneven},
        {**plain, "weight": uneven, "normalize_weights": False, "eps": 0.0},
        {**plain, "weight": signed, "eps": 0.25},
        {**plain, "weight": signed, "normalize_weights": False},
    ]

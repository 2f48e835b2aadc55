"""Oracle of TIES: trim each delta, elect a sign per element, merge the models that agree with it.

Yadav et al. 2023, arXiv:2306.01708. By hand, density 0.5 (two of four kept), weights 1 and 3, normalised, lambda 1:

    base               1      1      1      1
    model A            5      2     -2      1        A - base     4    1   -3    0     kept    4    0   -3    0
    model B           -1      1      2      5        B - base    -2    0    1    4     kept   -2    0    0    4
    weighted A                                                                                 4    0   -3    0
    weighted B                                                                                -6    0    0   12
    elected                                                                                   -2    0   -3   12
    majority                                                                                   -    +    -    +
    agree                                                                                      B    -    A    B
    sum of these, divided by the sum of their weights                                         -2    0   -3    4
    base + that       -1      1     -2      5
"""

from __future__ import annotations

import numpy as np

from oracle.contract import Example, Merged, Tolerance, Working, ulp
from oracle.statistics import kept, magnitude_order

EXAMPLE = Example(
    models=[[5, 2, -2, 1], [-1, 1, 2, 5]],
    base=[1, 1, 1, 1],
    parameters={
        "weight": [1.0, 3.0],
        "density": [0.5, 0.5],
        "normalize": True,
        "lambda": 1.0,
        "scope": "tensor",
        "elect": "weighted",
        "merge_func": "sum",
        "zero_sign": "positive",
    },
    expected=[-1, 1, -2, 5],
)


def merge(base: np.ndarray | None, models: list[np.ndarray], parameters: dict, working: Working) -> Merged:
    """base + lambda·(merged deltas). Everything a sign or a rank hangs on stays in the compute type."""
    compute = models[0].dtype.type
    weights = [compute(w) for w in parameters["weight"]]
    with np.errstate(all="ignore"):
        deltas = [model - base for model in models]
        trimmed = [
            np.where(kept(d, density), d, compute(0)) for d, density in zip(deltas, parameters["density"], strict=True)
        ]
        weighted = [w * d for w, d in zip(weights, trimmed, strict=True)]
        agree = agreement(trimmed, weighted, parameters)
        if parameters["merge_func"] == "max":
            total = magnitude = partial = largest(weighted, agree).astype(working)
        else:
            total, magnitude, mass = (np.zeros(base.shape, working) for _ in range(3))
            for w, term, agrees in zip(weights, weighted, agree, strict=True):
                total = np.where(agrees, total + term.astype(working), total)
                magnitude = np.where(agrees, magnitude + np.abs(term.astype(working)), magnitude)
                mass = np.where(agrees, mass + working(w), mass)
            partial = magnitude
            if parameters["normalize"]:
                divisor = np.where(mass == 0, working(1), mass)
                total, magnitude = total / divisor, magnitude / divisor
        scale = working(compute(parameters["lambda"]))
        start = base.astype(working)
        return Merged(start + scale * total, np.abs(start) + np.abs(scale * magnitude), np.abs(partial))


def agreement(trimmed: list[np.ndarray], weighted: list[np.ndarray], parameters: dict) -> list[np.ndarray]:
    """Per model, where its sign is strictly the elected one. Zeros agree with nobody; a NaN sum elects nobody."""
    votes = weighted if parameters["elect"] == "weighted" else trimmed
    elected = votes[0]
    for vote in votes[1:]:
        elected = elected + vote
    agree = [((elected >= 0) & (vote > 0)) | ((elected < 0) & (vote < 0)) for vote in votes]
    if parameters["zero_sign"] == "none":
        agree = [agrees & (elected != 0) for agrees in agree]
    return agree


def largest(weighted: list[np.ndarray], agree: list[np.ndarray]) -> np.ndarray:
    """The agreeing weighted delta of largest magnitude; of equals the earlier model's."""
    best = np.zeros_like(weighted[0])
    for term, agrees in zip(weighted, agree, strict=True):
        larger = magnitude_order(term) > magnitude_order(best)
        best = np.where(agrees & larger.reshape(best.shape), term, best)
    return best


def tolerance(models: int) -> Tolerance:
    """K - 1 for the sum, K - 1 for the mass, one each for the division, lambda and the base."""
    return ulp(2 * models + 1)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: the three presets, every option both ways, densities from none to all."""
    mergekit = {
        **EXAMPLE.parameters,
        "weight": [1.0] * models,
        "density": [0.2] * models,
    }
    uneven = {**mergekit, "weight": [0.3 + 0.25 * i for i in range(models)]}
    signed = {**mergekit, "weight": [(-0.5) ** i for i in range(models)]}
    spread = [0.0, 1.0, 0.5, 0.001, 0.9, 0.33, 0.2, 0.75, 0.1]
    return [
        mergekit,
        {**mergekit, "normalize": False, "lambda": 0.3},
        {**uneven, "density": [1.0] * models},
        {**uneven, "density": [0.0] * models},
        {**uneven, "density": spread[:models]},
        {**uneven, "density": spread[::-1][:models], "zero_sign": "none"},
        {**uneven, "elect": "unweighted", "density": [0.7] * models},
        {**signed, "elect": "unweighted", "zero_sign": "none", "normalize": False},
        {**signed, "density": [0.6] * models},
        {**signed, "merge_func": "max", "lambda": -2.0},
        {**uneven, "merge_func": "max", "elect": "unweighted", "density": [0.5] * models},
        {**mergekit, "weight": [(-1.0) ** i for i in range(models)], "density": [1.0] * models, "zero_sign": "none"},
    ]

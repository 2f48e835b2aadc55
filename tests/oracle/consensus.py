"""How sparse task vectors become one: their weighted sum, or the sum of those that agree with an elected sign."""

from __future__ import annotations

import numpy as np

from oracle.contract import Inputs, Merged, Tolerance, Working, mass_of, ulp, weighted_sum
from oracle.sparsifiers import Sparse
from oracle.statistics import magnitude_order


def linear(inputs: Inputs, sparse: list[Sparse], working: Working) -> Merged:
    """base + (Σ (w·f)·kept)·s; w·f, and s = lambda (divided by Σw if normalize), are rounded to the compute type."""
    parameters = inputs.parameters
    scale = parameters["lambda"] / mass_of(parameters["weight"], parameters["normalize"])
    with np.errstate(all="ignore"):
        scale = working(inputs.compute(scale))
        factors = [w * kept.factor for w, kept in zip(parameters["weight"], sparse, strict=True)]
        total, magnitude = weighted_sum([kept.values for kept in sparse], factors, working)
        start = inputs.base.astype(working)
        return Merged(start + total * scale, np.abs(start) + magnitude * abs(scale), magnitude)


def linear_tolerance(models: int) -> Tolerance:
    """One rounding for the product, K - 1 for the sums, one for the scale, one for the base."""
    return ulp(models + 2)


def sign(inputs: Inputs, sparse: list[Sparse], working: Working) -> Merged:
    """base + lambda·(merged deltas). Everything a sign or a rank hangs on stays in the compute type."""
    parameters, compute = inputs.parameters, inputs.compute
    with np.errstate(all="ignore"):
        weights = [compute(w) for w in parameters["weight"]]
        weighted = terms_of(inputs, sparse, "weighted")
        agree = agreement(terms_of(inputs, sparse, parameters["elect"]), parameters["zero_sign"])
        if parameters["merge_func"] == "max":
            total = magnitude = partial = largest(weighted, agree).astype(working)
        else:
            total, magnitude, mass = (np.zeros(inputs.base.shape, working) for _ in range(3))
            for w, term, agrees in zip(weights, weighted, agree, strict=True):
                total = np.where(agrees, total + term.astype(working), total)
                magnitude = np.where(agrees, magnitude + np.abs(term.astype(working)), magnitude)
                mass = np.where(agrees, mass + working(w), mass)
            partial = magnitude
            if parameters["normalize"]:
                divisor = np.where(mass == 0, working(1), mass)
                total, magnitude = total / divisor, magnitude / divisor
        scale = working(compute(parameters["lambda"]))
        start = inputs.base.astype(working)
        return Merged(start + scale * total, np.abs(start) + np.abs(scale * magnitude), np.abs(partial))


def terms_of(inputs: Inputs, sparse: list[Sparse], elect: str) -> list[np.ndarray]:
    """The rescaled task vectors, times their weights or not: what votes, and (weighted) what is summed."""
    weights = inputs.parameters["weight"] if elect == "weighted" else [1.0] * len(sparse)
    with np.errstate(all="ignore"):
        return [inputs.compute(w * kept.factor) * kept.values for w, kept in zip(weights, sparse, strict=True)]


def agreement(votes: list[np.ndarray], zero_sign: str) -> list[np.ndarray]:
    """Per model, where its sign is strictly the elected one. Zeros agree with nobody; a NaN sum elects nobody."""
    elected = votes[0]
    for vote in votes[1:]:
        elected = elected + vote
    agree = [((elected >= 0) & (vote > 0)) | ((elected < 0) & (vote < 0)) for vote in votes]
    if zero_sign == "none":
        agree = [agrees & (elected != 0) for agrees in agree]
    return agree


def largest(weighted: list[np.ndarray], agree: list[np.ndarray]) -> np.ndarray:
    """The agreeing weighted delta of largest magnitude; of equals the earlier model's."""
    best = np.zeros_like(weighted[0])
    for term, agrees in zip(weighted, agree, strict=True):
        larger = magnitude_order(term) > magnitude_order(best)
        best = np.where(agrees & larger.reshape(best.shape), term, best)
    return best


def sign_tolerance(models: int) -> Tolerance:
    """K - 1 for the sum, K - 1 for the mass, one each for the division, lambda and the base."""
    return ulp(2 * models + 1)


def linear_variants(models: int) -> list[dict]:
    """Weights worth testing, plain and normalised: equal, uneven, negative, cancelling, and a lambda of each kind."""
    uneven = [0.3 + 0.25 * i for i in range(models)]
    signed = [(-0.5) ** i for i in range(models)]
    cancelling = [(-1.0) ** i for i in range(models)]
    return [
        {"weight": [1.0] * models, "normalize": False, "lambda": 1.0},
        {"weight": uneven, "normalize": True, "lambda": 0.7},
        {"weight": [1.0] * models, "normalize": False, "lambda": 0.3},
        {"weight": signed, "normalize": False, "lambda": -1.5},
        {"weight": cancelling, "normalize": True, "lambda": 1.0},
        {"weight": uneven, "normalize": False, "lambda": 0.0},
    ]


def sign_variants(models: int) -> list[dict]:
    """Elections worth testing: the presets', and every option both ways."""
    plain = {
        "weight": [1.0] * models,
        "normalize": True,
        "lambda": 1.0,
        "elect": "weighted",
        "merge_func": "sum",
        "zero_sign": "positive",
    }
    uneven = {**plain, "weight": [0.3 + 0.25 * i for i in range(models)]}
    signed = {**plain, "weight": [(-0.5) ** i for i in range(models)]}
    return [
        plain,
        {**plain, "normalize": False, "lambda": 0.3},
        uneven,
        {**uneven, "zero_sign": "none"},
        {**uneven, "elect": "unweighted"},
        {**signed, "elect": "unweighted", "zero_sign": "none", "normalize": False},
        signed,
        {**signed, "merge_func": "max", "lambda": -2.0},
        {**uneven, "merge_func": "max", "elect": "unweighted"},
        {**plain, "weight": [(-1.0) ** i for i in range(models)], "zero_sign": "none"},
        {**uneven, "normalize": False},
    ]

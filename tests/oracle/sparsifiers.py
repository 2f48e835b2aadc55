"""Which elements of each task vector survive, and what makes up for the others: top, band, random, ranked random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from oracle.contract import Inputs
from oracle.philox import draws
from oracle.statistics import kept, kept_count, magnitude_sum, ranks


@dataclass(frozen=True)
class Sparse:
    """A task vector with zeros where nothing is kept, and the factor by which the rest is rescaled, in double."""

    values: np.ndarray
    factor: float


@lru_cache(maxsize=1)
def top(inputs: Inputs) -> list[Sparse]:
    """The share `density` of largest magnitude."""
    densities = inputs.parameters["density"]
    masks = [kept(delta, density) for delta, density in zip(inputs.deltas, densities, strict=True)]
    return sparse(inputs, masks, densities)


@lru_cache(maxsize=1)
def band(inputs: Inputs) -> list[Sparse]:
    """The share `density` of largest magnitude that is left when the share `gamma` of the very largest is gone."""
    densities, gammas = inputs.parameters["density"], inputs.parameters["gamma"]
    masks = [
        kept(delta, density, outliers(density, gamma, delta.size))
        for delta, density, gamma in zip(inputs.deltas, densities, gammas, strict=True)
    ]
    return sparse(inputs, masks, densities)


def outliers(density: float, gamma: float, size: int) -> int:
    """How many of the largest a band drops: floor(gamma·size) in double, but never one that must be kept."""
    return min(math.floor(gamma * size), size - kept_count(density, size))


@lru_cache(maxsize=1)
def random(inputs: Inputs) -> list[Sparse]:
    """Each element with the probability `density`, rounded to a 65536th."""
    shares = [share(density) for density in inputs.parameters["density"]]
    masks = [_drawn(inputs, model) < shares[model] for model in range(len(shares))]
    return sparse(inputs, masks, [s / 65536 for s in shares])


@lru_cache(maxsize=1)
def ranked(inputs: Inputs) -> list[Sparse]:
    """Each element with a probability between density - epsilon and density + epsilon, by its rank in its row."""
    densities, epsilons = inputs.parameters["density"], inputs.parameters["epsilon"]
    masks = []
    for model, delta in enumerate(inputs.deltas):
        density, epsilon = densities[model], epsilons[model]
        shares = np.full(delta.shape, share(density))
        if 0.0 < density < 1.0 and delta.shape[1] > 1:
            rank = ranks(delta) / (delta.shape[1] - 1)
            shares = share((density - epsilon) + (2 * epsilon) * rank)
        masks.append(_drawn(inputs, model) < shares)
    return sparse(inputs, masks, densities)


def share(probability: float | np.ndarray) -> np.ndarray:
    """How many of the 65536 draws keep an element: the nearest number, but some and not none; 0 none, 1 all."""
    some = np.clip(np.floor(65536 * np.asarray(probability) + 0.5), 1, 65536)
    return np.where(np.asarray(probability) <= 0, 0, some).astype(np.int64)


def _drawn(inputs: Inputs, model: int) -> np.ndarray:
    shape = inputs.models[model].shape
    return draws(inputs.name, inputs.seed, model, math.prod(shape)).reshape(shape)


def sparse(inputs: Inputs, masks: list[np.ndarray], densities: list[float]) -> list[Sparse]:
    """What a mask for each model leaves of its delta, and the factor for the rest."""
    found = []
    for delta, mask, density in zip(inputs.deltas, masks, densities, strict=True):
        values = np.where(mask, delta, inputs.compute(0))
        found.append(Sparse(values, _factor(delta, values, float(density), inputs.parameters)))
    return found


def _factor(delta: np.ndarray, values: np.ndarray, density: float, parameters: dict) -> float:
    """1, the L1 norm before over the one after, or 1 / density; 1 where these are no number to multiply by."""
    if not parameters["rescale"]:
        return 1.0
    if parameters["rescale_by"] == "density":
        return 1.0 / density if 0.0 < density < 1.0 else 1.0
    left = magnitude_sum(values)
    factor = magnitude_sum(delta) / left if left != 0 else 1.0
    return factor if math.isfinite(factor) else 1.0


RESCALING = [
    {"rescale": True, "rescale_by": "l1"},
    {"rescale": False, "rescale_by": "l1"},
    {"rescale": True, "rescale_by": "density"},
    {"rescale": False, "rescale_by": "density"},
]


def densities(models: int) -> list[dict]:
    """Densities worth testing: a few, all, none, hardly any, different ones, nearly all."""
    spread = [0.0, 1.0, 0.5, 0.001, 0.9, 0.33, 0.2, 0.75, 0.1]
    lists = [[0.2] * 9, [1.0] * 9, [0.5] * 9, [0.0] * 9, [1e-7] * 9, spread, spread[::-1], [0.7] * 9, [1 - 1e-7] * 9]
    return [{"density": values[:models]} for values in lists]


def gammas(models: int) -> list[dict]:
    """Shares of outliers worth testing: a few, many, more than a density leaves room for, none, all, different ones."""
    spread = [0.5, 0.0, 0.01, 1.0, 0.3, 0.05, 0.9, 0.001, 0.2]
    lists = [[0.01] * 9, [0.3] * 9, [0.9] * 9, [0.0] * 9, spread, [1.0] * 9, [0.05] * 9]
    return [{"gamma": values[:models]} for values in lists]


def windows(models: int) -> list[dict]:
    """Densities with the epsilons they allow: the default, wide, none, hardly any element, all, no element, any mix."""
    spread = [0.0, 1.0, 0.5, 0.001, 0.9, 0.33, 0.2, 0.75, 0.1]
    half = [min(density, 1.0 - density) / 2 for density in spread]
    pairs = [
        ([0.2] * 9, [0.15] * 9),
        ([0.5] * 9, [0.4999] * 9),
        ([0.7] * 9, [0.0] * 9),
        ([1.0] * 9, [0.15] * 9),
        ([1e-6] * 9, [5e-7] * 9),
        (spread, half),
        ([0.0] * 9, [0.15] * 9),
        (spread[::-1], half[::-1]),
        ([0.999] * 9, [0.0005] * 9),
    ]
    return [{"density": density[:models], "epsilon": epsilon[:models]} for density, epsilon in pairs]

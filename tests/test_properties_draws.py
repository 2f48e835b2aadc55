"""What holds for elements dropped at random: nothing is lost on average, and a mask is its tensor's own affair.

Bounds are Bernstein's, at which ideal draws raise a false alarm once in 1e9 for all comparisons of a test together;
the seeds are fixed.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from cases import BLOCK, Case, Tensors
from device_calls import numbers_of, on_every_device
from engine_calls import Merge, differing, method_table, registered, run_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import ORACLES
from oracle.formats import decode, encode

from fusion_kernels._native import native

FALSE_ALARM = 1e-9
DARE = ("dare_linear", "dare_ties")
SPARSE = tuple(name for name in registered() if any(p["name"] == "density" for p in method_table()[name]["parameters"]))
DENSITIES = (1e-3, 0.1, 0.2, 0.5, 0.77, 0.999)


def bernstein(variance: np.ndarray | float, largest: np.ndarray | float, comparisons: int) -> np.ndarray:
    """How far a sum of independent terms may be from its mean: their variances summed, the largest deviation of one."""
    log = math.log(2 * comparisons / FALSE_ALARM)
    step = np.asarray(largest) * log / 3
    return step + np.sqrt(step**2 + 2 * log * np.asarray(variance))


def effective(density: float) -> float:
    """The probability that is drawn with: a whole number of 65536ths."""
    return min(max(math.floor(65536 * density + 0.5), 1), 65536) / 65536


def dare(method: str, weight: list[float], density: float, **others: object) -> dict:
    parameters = {**ORACLES[method].variants(len(weight))[0], "weight": weight, "density": [density] * len(weight)}
    return {**parameters, "normalize": False, "rescale": True, "rescale_by": "density", "lambda": 1.0, **others}


def float64_merge(deltas: np.ndarray, parameters: dict, name: str = "x") -> Merge:
    """Models that differ from a base of zeros by `deltas`, shape (models, elements)."""
    codes = [encode(delta, "F64") for delta in deltas]
    return Merge(
        Tensors(name, codes[0].shape, "F64", "F64", codes[0] * 0, ["F64"] * len(codes), codes), parameters, name
    )


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("method", DARE)
def test_dare_keeps_as_many_as_it_says(method: str, density: float) -> None:
    """Per tensor and per model; two models, and two tensors, keep the same element as often as chance has it."""
    size, names = 200_003, ["a", "b", "model.layers.0.mlp.up_proj.weight"]
    q = effective(density)
    assert abs(q - density) <= 2**-17
    masks = []
    for number in range(2):  # the other model is kept too, but weighs nothing
        parameters = dare(method, [1.0 - number, float(number)], density, rescale=False)
        merges = [float64_merge(np.ones((2, size)), parameters, name) for name in names]
        masks += [decode(codes, "F64") == 1.0 for codes in run_engine(method, merges)[0]]
    pairs = [(a, b) for i, a in enumerate(masks) for b in masks[:i]]
    comparisons = len(masks) + len(pairs)
    for mask in masks:
        assert abs(mask.sum() - size * q) <= bernstein(size * q * (1 - q), 1.0, comparisons)
    for a, b in pairs:
        assert abs((a & b).sum() - size * q**2) <= bernstein(size * q**2 * (1 - q**2), 1.0, comparisons)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("method", DARE)
def test_dare_is_unbiased(method: str, models: int, density: float) -> None:
    """Over many seeds every element comes out, on average, as if nothing had been dropped.

    Models of one sign, because an election among what is left is biased by nature.
    """
    size, seeds = 1_001, 300
    rng = np.random.default_rng(2311_03099)
    deltas = rng.choice([-1.0, 1.0], size) * rng.uniform(0.1, 2.0, (models, size))
    weight = [1.0, 0.5, 0.3][:models]
    merge = float64_merge(deltas, dare(method, weight, density))
    total = np.zeros(size)
    for seed in range(seeds):
        total += decode(run_engine(method, [merge], seed=seed)[0][0], "F64")
    terms = np.array(weight)[:, None] * deltas
    q = effective(density)
    variance = seeds * (terms**2).sum(axis=0) * (1 - q) / q
    largest = np.abs(terms).max(axis=0) * max(1.0, (1 - q) / q)
    expected = seeds * terms.sum(axis=0)
    rounding = 1e-12 * np.abs(expected) / q
    assert (np.abs(total - expected) <= bernstein(variance, largest, size) + rounding).all()
    assert abs(np.sum(total - expected)) <= bernstein(variance.sum(), largest.max(), 1) + rounding.sum()


companies = st.lists(
    st.tuples(st.sampled_from([(), (0,), (1,), (5, 13), (BLOCK + 1,), (2, BLOCK + 5)]), st.integers(0, 1)), max_size=6
)


@on_every_device
@pytest.mark.parametrize("method", SPARSE)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.data(), companies, st.sampled_from([(61,), (3, 5), (7, 700), (3 * BLOCK + 17,)]),
    st.sampled_from(["BF16", "F32", "F64"]), st.sampled_from([0, BLOCK, 2 * BLOCK]), st.integers(1, 5),
)  # fmt: skip
def test_a_mask_does_not_depend_on_company_tiles_or_threads(
    method: str,
    device: str,
    data: st.DataObject,
    company: list[tuple[tuple[int, ...], int]],
    shape: tuple[int, ...],
    dtype: str,
    tile_elements: int,
    threads: int,
) -> None:
    """Nor on instruction set or device: what a tensor alone gives, it gives among others, at any place among them."""
    parameters = data.draw(st.sampled_from(ORACLES[method].variants(2)))
    alone = Merge(Case(shape, "heavy_ties", 2).tensors(dtype), parameters, "this tensor")
    others = [
        Merge(Case(other, "fine_tunes", 2).tensors("BF16"), ORACLES[method].variants(2)[variant], f"tensor {i}")
        for i, (other, variant) in enumerate(company)
    ]
    place = data.draw(st.integers(0, len(others)))
    instruction_set = data.draw(st.sampled_from(native().instruction_sets()))
    [expected] = run_engine(method, [alone])[0]
    outputs, _ = run_engine(
        method, [*others[:place], alone, *others[place:]],
        threads=threads, tile_elements=tile_elements, instruction_set=instruction_set, devices=numbers_of(device),
    )  # fmt: skip
    assert not (found := differing(outputs[place], expected)), f"{parameters}: {found}"


@on_every_device
@pytest.mark.parametrize("method", SPARSE)
def test_a_mask_does_not_depend_on_the_models_that_follow(method: str, device: str) -> None:
    tensors = Case((7, 700), "unrelated", 3).tensors("F32")
    for variant in ORACLES[method].variants(3):
        if variant.get("elect") == "unweighted":
            continue  # who weighs nothing still votes
        parameters = {**variant, "weight": [1.0, 0.0, 0.0], "normalize": False}
        first = {name: v[:1] if isinstance(v, list) else v for name, v in parameters.items()}
        alone = replace(tensors, models=tensors.models[:1], model_dtypes=tensors.model_dtypes[:1])
        [expected] = run_engine(method, [Merge(alone, first, "x")])[0]
        [among] = run_engine(method, [Merge(tensors, parameters, "x")], devices=numbers_of(device))[0]
        assert not (found := differing(among, expected)), f"{parameters}: {found}"

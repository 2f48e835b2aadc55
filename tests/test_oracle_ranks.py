"""The engine keeps exactly the elements the documented ranks and draws keep, whatever the values and the row's length.

One model of weight 1 on a base of zeros turns DELLA into its mask: an element comes out as its delta or as zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cases import BLOCK, Tensors
from device_calls import GPUS, numbers_of
from engine_calls import SEED, Merge, inputs_of, run_engine
from oracle import ORACLES
from oracle.formats import decode, encode
from oracle.sparsifiers import ranked

from fusion_kernels._native import native

WINDOWS = ((0.5, 0.15), (0.5, 0.5), (0.2, 0.0), (1e-6, 5e-7), (0.999, 0.001))  # density, epsilon


def in_few_bins(rng: np.random.Generator, size: int) -> np.ndarray:
    """Different magnitudes so close together that a histogram tells nothing, each of them several times."""
    return 1.0 + rng.integers(0, max(2, size // 5), size) * 2.0**-23


def equals_among_others(rng: np.random.Generator, size: int) -> np.ndarray:
    """A third are one value, the others a little above and below it."""
    return np.where(rng.random(size) < 0.33, 0.75, 0.75 + rng.integers(-40, 40, size) * 2.0**-22)


def with_outliers(rng: np.random.Generator, size: int) -> np.ndarray:
    """The largest are so large that all others lie far below."""
    return np.where(np.arange(size) % (size // 3 + 1) == size // 4, 1e9, 0.001) * rng.standard_normal(size)


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: 0.001 * rng.standard_normal(n),
    "few steps": lambda rng, n: rng.integers(-9, 10, n) * 2.0**-13,
    "ascending": lambda rng, n: np.linspace(1e-6, 1.0, n),
    "one value": lambda rng, n: np.full(n, -0.25),
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.01, rng.standard_normal(n), 0.0),
    "all zero": lambda rng, n: np.zeros(n),
    "all magnitudes": lambda rng, n: rng.choice([-1.0, 1.0], n) * 2.0 ** rng.uniform(-140, 120, n),
    "heavy tail": lambda rng, n: rng.standard_cauchy(n),
    "all NaN": lambda rng, n: np.full(n, np.nan),
    "some infinite": lambda rng, n: np.where(rng.random(n) < 0.01, np.inf, rng.standard_normal(n)),
    "in few bins": in_few_bins,
    "equals among others": equals_among_others,
    "with outliers": with_outliers,
}
# Rows too short to be counted in bins, with few bins and with many, of one segment and of several, longer than a tile.
COLUMNS = (1, 2, 16, 17, 33, 127, 128, 600, BLOCK - 1, BLOCK, 2 * BLOCK + 1, 50_021)


def assert_kept_as_documented(values: np.ndarray, dtype: str, **options: object) -> None:
    output = "F64" if dtype == "F64" else "F32"
    with np.errstate(over="ignore"):
        codes = encode(values.ravel(), dtype)
    tensors = Tensors("ranks", values.shape, output, dtype, np.zeros_like(codes), [dtype], [codes])
    defaults = {**ORACLES["della_linear"].EXAMPLE.parameters, "weight": [1.0], "lambda": 1.0}
    fixed = {"normalize": False, "rescale": False}
    merges = [
        Merge(tensors, {**defaults, **fixed, "density": [density], "epsilon": [epsilon]}, f"ranks/{density}")
        for density, epsilon in WINDOWS
    ]
    outputs, _ = run_engine("della_linear", merges, **options)
    for merge, codes in zip(merges, outputs, strict=True):
        [expected] = ranked(inputs_of(merge, SEED))
        got = decode(codes, output).reshape(expected.values.shape)
        np.testing.assert_array_equal(got, expected.values, err_msg=f"{values.shape}, {merge.parameters}")


@pytest.mark.parametrize("instruction_set", native().instruction_sets())
@pytest.mark.parametrize("dtype", ["F32", "BF16", "F64"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_what_is_kept_hangs_on_ranks_alone(distribution: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng(9)
    for columns in COLUMNS:
        rows = 1 if columns > BLOCK else 3
        values = DISTRIBUTIONS[distribution](rng, rows * columns).reshape(rows, columns)
        assert_kept_as_documented(values, dtype, instruction_set=instruction_set, tile_elements=4 * BLOCK)


@pytest.mark.parametrize("device", GPUS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_gpu_keeps_what_ranks_say(distribution: str, device: str) -> None:
    """The dtypes take the distributions in turn; rows are shorter than a tile, and several."""
    dtype = ("F32", "BF16", "F64")[list(DISTRIBUTIONS).index(distribution) % 3]
    for columns in (1, 17, 128, 600, BLOCK):
        values = DISTRIBUTIONS[distribution](np.random.default_rng(9), 2 * columns).reshape(2, columns)
        assert_kept_as_documented(values, dtype, devices=numbers_of(device))

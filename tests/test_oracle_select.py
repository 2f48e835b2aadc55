"""The engine keeps exactly the elements a stable sort keeps, whatever the values and the path it takes to the cut.

One model of weight 1 on a base of zeros turns TIES into its trim: an element comes out as its delta or as zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cases import Tensors
from device_calls import GPUS, numbers_of, on_every_device
from engine_calls import Merge, run_engine
from oracle import ORACLES
from oracle.formats import decode, encode
from oracle.statistics import kept

SCARCE = {"threads": 1, "memory_limit": 512 << 10}  # too little to collect what a sample brackets
DENSITIES = (1e-7, 0.001, 0.2, 0.5, 0.8, 0.999, 1.0 - 1e-7)


def hidden_from_a_stride(rng: np.random.Generator, size: int) -> np.ndarray:
    """All large elements sit at odd places in one corner, where a regular sample does not look."""
    values = np.full(size, 1e-3)
    values[size // 2 + 1 : size // 2 + size // 8 : 2] = 1.0 + rng.random(
        len(range(size // 2 + 1, size // 2 + size // 8, 2))
    )
    return values


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: 0.001 * rng.standard_normal(n),
    "ascending": lambda rng, n: np.linspace(1e-6, 1.0, n),
    "descending": lambda rng, n: np.linspace(1.0, 1e-6, n),
    "one value": lambda rng, n: np.full(n, -0.25),
    "two values": lambda rng, n: rng.choice([0.25, -0.5], n),
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.01, rng.standard_normal(n), 0.0),
    "all zero": lambda rng, n: np.zeros(n),
    "all magnitudes": lambda rng, n: rng.choice([-1.0, 1.0], n) * 2.0 ** rng.uniform(-120, 120, n),
    "heavy tail": lambda rng, n: rng.standard_cauchy(n),
    "equal but for a few": lambda rng, n: np.where(np.arange(n) % (n // 3) == 0, 2.0, 0.5),
    "hidden from a stride": hidden_from_a_stride,
}


def trim(
    values: np.ndarray, dtype: str, densities: tuple[float, ...], **options: object
) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Density, what the engine kept, what the stable sort keeps."""
    codes = encode(values, dtype)
    tensors = Tensors("trim", values.shape, "F32", dtype, np.zeros_like(codes), [dtype], [codes])
    defaults = {**ORACLES["ties"].EXAMPLE.parameters, "weight": [1.0], "normalize": False}
    merges = [Merge(tensors, {**defaults, "density": [density]}, f"trim/{density}") for density in densities]
    outputs, _ = run_engine("ties", merges, **options)
    stored = decode(codes, dtype).astype(np.float32)
    return [
        (density, output.view(np.float32), np.where(kept(stored, density), stored, np.float32(0)))
        for density, output in zip(densities, outputs, strict=True)
    ]


@pytest.mark.parametrize("options", [{}, SCARCE], ids=["ample", "scarce"])
@pytest.mark.parametrize("dtype", ["F32", "BF16"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_large_tensors_are_cut_where_a_stable_sort_cuts_them(distribution: str, dtype: str, options: dict) -> None:
    values = DISTRIBUTIONS[distribution](np.random.default_rng(3), 300_007)
    for density, got, expected in trim(values, dtype, DENSITIES, **options):
        assert np.array_equal(got, expected), f"density {density}: {np.count_nonzero(got != expected)} elements differ"


@pytest.mark.parametrize("device", GPUS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_gpu_cuts_where_a_stable_sort_does(distribution: str, device: str) -> None:
    values = DISTRIBUTIONS[distribution](np.random.default_rng(3), 40_009)
    dtype = ("F32", "BF16")[list(DISTRIBUTIONS).index(distribution) % 2]
    for density, got, expected in trim(values, dtype, (0.001, 0.5, 0.999), devices=numbers_of(device)):
        assert np.array_equal(got, expected), f"density {density}: {np.count_nonzero(got != expected)} elements differ"


@on_every_device
@pytest.mark.parametrize("size", [1, 2, 3, 7, 33, 4095, 4097, 20_000])
def test_small_tensors_are_cut_at_every_rank(size: int, device: str) -> None:
    rng = np.random.default_rng(size)
    values = rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], size) * 2.0 ** rng.integers(-2, 3, size)
    ranks = range(1, size + 1) if size < 50 else (1, 2, size // 3, size // 2, size - 2, size - 1)
    densities = tuple((rank + 0.5) / size for rank in ranks)
    for density, got, expected in trim(values, "F32", densities, devices=numbers_of(device)):
        assert np.array_equal(got, expected), f"density {density}: {np.count_nonzero(got != expected)} elements differ"


def test_double_precision_is_cut_by_all_of_its_bits() -> None:
    """Magnitudes that only differ below float32's last place."""
    rng = np.random.default_rng(8)
    values = (1.0 + rng.integers(0, 1 << 20, 40_003) * 2.0**-50) * rng.choice([-1.0, 1.0], 40_003)
    codes = encode(values, "F64")
    tensors = Tensors("trim", values.shape, "F64", "F64", np.zeros_like(codes), ["F64"], [codes])
    defaults = {**ORACLES["ties"].EXAMPLE.parameters, "weight": [1.0]}
    for options in ({}, SCARCE):
        merges = [Merge(tensors, {**defaults, "density": [density]}, f"trim/{density}") for density in DENSITIES]
        outputs, _ = run_engine("ties", merges, **options)
        for density, output in zip(DENSITIES, outputs, strict=True):
            np.testing.assert_array_equal(output.view(np.float64), np.where(kept(values, density), values, 0.0))

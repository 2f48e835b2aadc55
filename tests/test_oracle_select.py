"""The engine keeps exactly the elements a stable sort keeps, whatever the values and the path it takes to the cut.

One model of weight 1 on a base of zeros turns TIES into its trim: an element comes out as its delta or as zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cases import Tensors
from engine_calls import Merge, run_engine
from oracle import ORACLES
from oracle.formats import decode, encode
from oracle.statistics import kept

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


def trim(values: np.ndarray, dtype: str, densities: tuple[float, ...]) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Density, what the engine kept, what the stable sort keeps."""
    codes = encode(values, dtype)
    tensors = Tensors("trim", values.shape, "F32", dtype, np.zeros_like(codes), [dtype], [codes])
    defaults = {**ORACLES["ties"].EXAMPLE.parameters, "weight": [1.0], "normalize": False}
    merges = [Merge(tensors, {**defaults, "density": [density]}) for density in densities]
    outputs, _ = run_engine("ties", merges)
    stored = decode(codes, dtype).astype(np.float32)
    return [
        (density, output.view(np.float32), np.where(kept(stored, density), stored, np.float32(0)))
        for density, output in zip(densities, outputs, strict=True)
    ]


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_large_tensors_are_cut_where_a_stable_sort_cuts_them(distribution: str, dtype: str) -> None:
    values = DISTRIBUTIONS[distribution](np.random.default_rng(3), 300_007)
    for density, got, expected in trim(values, dtype, DENSITIES):
        assert np.array_equal(got, expected), f"density {density}: {np.count_nonzero(got != expected)} elements differ"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 33, 4095, 4097, 20_000])
def test_small_tensors_are_cut_at_every_rank(size: int) -> None:
    rng = np.random.default_rng(size)
    values = rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], size) * 2.0 ** rng.integers(-2, 3, size)
    ranks = range(1, size + 1) if size < 50 else (1, 2, size // 3, size // 2, size - 2, size - 1)
    for density, got, expected in trim(values, "F32", tuple((rank + 0.5) / size for rank in ranks)):
        assert np.array_equal(got, expected), f"density {density}: {np.count_nonzero(got != expected)} elements differ"


@pytest.mark.parametrize("memory_limit", [0, 1 << 20])
def test_the_cut_in_a_tensor_larger_than_the_memory_limit(memory_limit: int) -> None:
    rng = np.random.default_rng(8)
    values = encode(0.02 * rng.standard_normal(1_500_001), "BF16")
    tuned = encode(0.001 * rng.standard_normal(values.size) + 0.02 * rng.standard_normal(values.size), "BF16")
    tensors = Tensors("large", values.shape, "BF16", "BF16", values, ["BF16"], [tuned])
    merge = Merge(tensors, {**ORACLES["ties"].EXAMPLE.parameters, "weight": [1.0], "density": [0.2]})
    [limited], _ = run_engine("ties", [merge], memory_limit=memory_limit or 1 << 30, threads=1)
    [free], _ = run_engine("ties", [merge])
    assert np.array_equal(limited, free)

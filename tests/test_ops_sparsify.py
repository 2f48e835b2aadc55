"""Thinning one task vector: by magnitude as a stable sort would, at random by the public draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ops_tensors import CASES, DTYPES, TORCH, all_of, assert_stored, codes_of, ids, numbers_of, random_tensors
from oracle.philox import draws
from oracle.sparsifiers import share
from oracle.statistics import descending, kept, kept_count
from test_oracle_select import DENSITIES, DISTRIBUTIONS

from fusion_kernels import merge_tensors, ops

SOME_DENSITIES = (0.0, 1e-7, 0.2, 0.5, 0.999, 1.0)


def expected_cut(values: np.ndarray, density: float) -> tuple[float, int]:
    """By a stable sort: the last kept magnitude and its index, as documented for zeros, for all and for none."""
    keep = kept_count(density, values.size)
    if keep == 0:
        return math.nan, -1
    last = int(descending(values.ravel())[keep - 1])
    threshold = float(abs(values.ravel()[last]))
    return (0.0, -1) if keep == values.size or threshold == 0 else (threshold, last)


def test_a_threshold_by_hand() -> None:
    delta = torch.tensor([3.0, -1.0, 2.0, -2.0, 2.0])
    # Of five, 0.6 keeps three: 3 and the first two of the three magnitudes 2, the last of which is at index 3.
    threshold, last = ops.magnitude_threshold(delta, 0.6)
    assert (threshold.item(), last.item()) == (2.0, 3)
    assert (threshold.dtype, last.dtype, threshold.shape) == (torch.float32, torch.int64, ())
    assert ops.sparsify_magnitude(delta, 0.6).tolist() == [3.0, 0.0, 2.0, -2.0, 0.0]
    assert ops.sparsify_magnitude(delta, threshold=2.0).tolist() == [3.0, 0.0, 2.0, -2.0, 2.0]


def test_rows_by_hand() -> None:
    delta = torch.tensor([[1.0, -5.0, 2.0], [0.5, 0.25, -0.5]])
    threshold, last = ops.magnitude_threshold(delta, 0.4, per="row")
    assert threshold.tolist() == [5.0, 0.5]
    assert last.tolist() == [1, 0]
    assert ops.sparsify_magnitude(delta, 0.4, per="row").tolist() == [[0, -5, 0], [0.5, 0, 0]]
    assert ops.sparsify_magnitude(delta, threshold=torch.tensor([2.0, 0.5]), per="row").tolist() == [
        [0, -5, 2],
        [0.5, 0, -0.5],
    ]
    assert ops.sparsify_magnitude(delta, threshold=torch.tensor(2.0), per="row").tolist() == [[0, -5, 2], [0, 0, 0]]


@pytest.mark.parametrize("code", TORCH)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_the_cut_is_a_stable_sort_s(case, code) -> None:
    _, (delta, *_) = all_of(case, (code, code, (code,)))
    values = numbers_of(delta)
    for density in SOME_DENSITIES:
        threshold, last = ops.magnitude_threshold(delta, density)
        wanted, index = expected_cut(values, density)
        np.testing.assert_equal((threshold.item(), last.item()), (wanted, index), err_msg=f"density {density}")
        found = ops.sparsify_magnitude(delta, density)
        assert found.dtype == delta.dtype
        assert_stored(found, np.where(kept(values, density), values, 0))
        again = ops.sparsify_magnitude(delta, threshold=(threshold, last))
        assert np.array_equal(codes_of(again), codes_of(found))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_large_tensors_are_cut_where_a_stable_sort_cuts_them(distribution: str, dtype: torch.dtype) -> None:
    values = DISTRIBUTIONS[distribution](np.random.default_rng(3), 300_007)
    delta = torch.from_numpy(values).to(dtype)
    numbers = numbers_of(delta)
    for density in DENSITIES:
        threshold, last = ops.magnitude_threshold(delta, density)
        assert (threshold.item(), last.item()) == expected_cut(numbers, density), density
        assert_stored(ops.sparsify_magnitude(delta, density), np.where(kept(numbers, density), numbers, 0))


@pytest.mark.parametrize("shape", [(1, 40_000), (3, 70_001), (700, 501), (5, 1), (0, 3), (3, 0), (7,), (), (4, 3, 50)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_row_is_cut_as_if_it_were_a_tensor(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    delta = (random_tensors(1, *shape)[0] * 8).round().to(dtype) / 8  # many equals
    for density in (0.0, 0.1, 0.7, 1.0):
        thresholds, lasts = ops.magnitude_threshold(delta, density, per="row")
        sparse = ops.sparsify_magnitude(delta, density, per="row")
        rows = list(delta) if delta.dim() > 1 else [delta]
        assert thresholds.shape == lasts.shape == (len(rows),)
        for row, threshold, last in zip(rows, thresholds, lasts, strict=True):
            alone = ops.magnitude_threshold(row, density)
            torch.testing.assert_close((threshold, last), alone, rtol=0, atol=0, equal_nan=True)
        separately = [ops.sparsify_magnitude(row, density) for row in rows]
        expected = torch.stack(separately).reshape(shape) if rows else delta
        assert torch.equal(sparse, expected)


def test_nan_is_above_infinity_and_a_cut_may_fall_among_them() -> None:
    delta = torch.tensor([1.0, math.nan, -math.inf, -math.nan, math.inf, math.nan])
    threshold, last = ops.magnitude_threshold(delta, 0.4)
    assert math.isnan(threshold.item())
    assert last.item() == 3
    assert ops.sparsify_magnitude(delta, 0.4).isnan().tolist() == [False, True, False, True, False, False]
    assert ops.sparsify_magnitude(delta, threshold=(threshold, last)).isnan().sum() == 2
    assert ops.magnitude_threshold(delta, 0.7)[0].item() == math.inf
    assert ops.sparsify_magnitude(delta, 0.7).tolist()[2] == -math.inf
    assert ops.sparsify_magnitude(delta, 0.0).tolist() == [0.0] * 6
    assert ops.sparsify_magnitude(delta, threshold=math.inf).isfinite().tolist() == [True] + [False] * 5


def test_a_threshold_shared_by_tensors_cuts_each_there() -> None:
    one, other = random_tensors(2, 1000)
    threshold, _ = ops.magnitude_threshold(torch.cat([one, other]), 0.3)
    kept_of = [ops.sparsify_magnitude(tensor, threshold=threshold) for tensor in (one, other)]
    assert sum(int(part.count_nonzero()) for part in kept_of) == 600
    assert torch.equal(torch.cat(kept_of), ops.sparsify_magnitude(torch.cat([one, other]), 0.3))


def test_double_precision_is_cut_by_all_of_its_bits() -> None:
    values = 1.0 + np.random.default_rng(8).integers(0, 1 << 20, 40_003) * 2.0**-50
    delta = torch.from_numpy(values)
    threshold, last = ops.magnitude_threshold(delta, 0.3)
    assert threshold.dtype == torch.float64
    assert (threshold.item(), last.item()) == expected_cut(values, 0.3)


def test_zeros_come_out_as_positive_zero() -> None:
    delta = torch.tensor([-0.0, 1.0, -0.0])
    for sparse in (ops.sparsify_magnitude(delta, 1.0), ops.sparsify_random(delta, 1.0, seed=0)):
        assert sparse.signbit().tolist() == [False] * 3


# ---- at random -------------------------------------------------------------------------------------------------------


def test_random_by_hand() -> None:
    delta = torch.tensor([1.0, 2.0, 3.0, 4.0])
    drawn = draws("layer.weight", 7, 2, 4)
    expected = [2 * x if u < 32768 else 0 for x, u in zip(delta.tolist(), drawn, strict=True)]
    assert ops.sparsify_random(delta, 0.5, seed=7, name="layer.weight", model=2).tolist() == expected


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (9,), (63, 65), (2, 70_000)])
def test_the_draws_are_the_public_ones(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    delta = random_tensors(1, *shape, dtype=dtype)[0]
    values = numbers_of(delta)
    for density, seed in ((0.0, 1), (1e-9, 2), (0.3, 2**64 - 1), (0.5, 2**63), (1.0, 3)):
        below = int(share(density))
        mask = (draws("x", seed, 4, delta.numel()) < below).reshape(shape)
        sparse = ops.sparsify_random(delta, density, seed=seed, name="x", model=4, rescale=False)
        assert sparse.dtype == dtype
        assert_stored(sparse, np.where(mask, values, 0))
        rescaled = ops.sparsify_random(delta, density, seed=seed, name="x", model=4)
        with np.errstate(all="ignore"):
            factor = values.dtype.type(65536 / below if below else 1)
            assert_stored(rescaled, np.where(mask, values * factor, values.dtype.type(0)))


def test_a_dare_merge_keeps_the_same() -> None:
    deltas = random_tensors(3, 100, 37)
    for model, delta in enumerate(deltas):
        weight = [float(k == model) for k in range(3)]
        merged = merge_tensors(
            deltas, method="dare_linear", base=torch.zeros(100, 37), weight=weight, density=0.2, rescale=False,
            name="model.norm.weight", seed=11,
        )  # fmt: skip
        alone = ops.sparsify_random(delta, 0.2, seed=11, name="model.norm.weight", model=model, rescale=False)
        assert torch.equal(merged, alone)


def test_what_is_kept_at_random_has_the_expected_mean() -> None:
    sparse = ops.sparsify_random(torch.ones(1 << 18), 0.1, seed=5)
    assert sparse.unique().tolist() == [0.0, float(np.float32(65536 / 6554))]
    assert sparse.mean().item() == pytest.approx(1.0, abs=0.03)  # five standard deviations of 262144 draws

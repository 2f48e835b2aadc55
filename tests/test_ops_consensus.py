"""Electing a sign and averaging who agrees; the steps of TIES and DARE, put together, are the methods."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cases import Case
from ops_tensors import CASES, MIXES, all_of, assert_stored, codes_of, ids, numbers_of, random_tensors
from oracle.contract import Merged, ulp, weighted_sum
from oracle.formats import FORMATS, decode, encode
from oracle.sparsifiers import share

from fusion_kernels import merge_tensors, ops


def weights_of(models: int) -> list[float]:
    return [(-1.0) ** (k // 2) * (0.3 + 0.2 * k) for k in range(models)]


def sign_of(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), 0, np.sign(values)).astype(np.int8)


def test_an_election_by_hand() -> None:
    deltas = torch.tensor([[4.0, -3.0, 1.0, 0.0, 2.0], [-1.0, -5.0, -1.0, 0.0, 1.0], [-1.0, 6.0, 0.0, 0.0, math.nan]])
    # sums      2, −2, 0, 0, NaN
    assert ops.elect_sign(deltas).tolist() == [1, -1, 0, 0, 0]
    # positive 1, 1, 1, 0, 2; negative 2, 2, 1, 0, 0
    assert ops.elect_sign(deltas, by="count").tolist() == [-1, -1, 0, 0, 1]
    assert ops.elect_sign(deltas, [1, 2, 1], by="sum").tolist() == [1, -1, -1, 0, 0]
    assert ops.elect_sign(deltas, [1, -1, 0], by="count").tolist() == [1, 0, 1, 0, 0]
    signs = torch.tensor([1, -1, 1, 1, 0], dtype=torch.int8)
    assert ops.disjoint_mean(deltas, signs).tolist() == [4.0, -4.0, 1.0, 0.0, 0.0]
    assert ops.disjoint_mean(deltas, -signs).tolist() == [-1.0, 6.0, -1.0, 0.0, 0.0]
    assert ops.disjoint_mean(deltas, signs, [1, 3, 1]).tolist() == [4.0, -4.5, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_signs_are_those_of_the_sum_and_of_the_votes(case: Case, mix) -> None:
    _, deltas = all_of(case, mix)
    double = any(delta.dtype == torch.float64 for delta in deltas)
    values = [numbers_of(delta, double) for delta in deltas]
    for weights in (None, weights_of(len(deltas))):
        numbers = weights or [1.0] * len(deltas)
        total, _ = weighted_sum(values, numbers, values[0].dtype.type)
        assert np.array_equal(ops.elect_sign(deltas, weights).numpy(), sign_of(total))
        votes = sum(int(np.sign(w)) * sign_of(x).astype(int) for w, x in zip(numbers, values, strict=True))
        assert np.array_equal(ops.elect_sign(deltas, weights, by="count").numpy(), np.sign(votes))


@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_the_mean_of_those_that_agree_is_close_to_float64_s(case: Case, mix) -> None:
    _, deltas = all_of(case, mix)
    signs = ops.elect_sign(deltas, by="count")
    weights = weights_of(len(deltas))
    mean = ops.disjoint_mean(deltas, signs, weights)
    code = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
            torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2"}[mean.dtype]  # fmt: skip
    compute = FORMATS[code].compute
    wide = np.longdouble if compute is np.float64 else np.float64
    total, mass, terms = (np.zeros(case.shape, wide) for _ in range(3))
    with np.errstate(all="ignore"):
        for delta, weight in zip(deltas, weights, strict=True):
            x, w = numbers_of(delta, compute is np.float64), compute(weight)
            agrees = sign_of(x * w) == signs.numpy()
            agrees &= signs.numpy() != 0
            total += np.where(agrees, x.astype(wide) * wide(w), 0)
            terms += np.where(agrees, np.abs(x.astype(wide) * wide(w)), 0)
            mass += np.where(agrees, wide(w), 0)
        divisor = np.where(np.abs(mass) < 1e-6, 1, mass)
        # Weights of both signs may nearly cancel in the divisor: the error grows as they do.
        truth = Merged(total / divisor, terms / np.abs(divisor) * 8, terms)
        low, high = (decode(encode(end, code), code) for end in ulp(2 * len(deltas) + 2).interval(truth, compute))
        sure = (np.abs(mass) > 0.1) | (mass == 0)
        sure &= terms < np.finfo(compute).max / 16
    found = numbers_of(mean, True)
    low, high = low.reshape(case.shape), high.reshape(case.shape)
    assert ((low <= found) & (found <= high))[sure].all()


@pytest.mark.parametrize("elect", ["sum", "count"])
def test_where_nobody_agrees_there_is_zero(elect: str) -> None:
    deltas = [torch.tensor([0.0, -0.0, math.nan, 1.0]), torch.tensor([0.0, 0.0, math.nan, -1.0])]
    signs = ops.elect_sign(deltas, by=elect)
    assert signs.tolist() == [0, 0, 0, 0]
    for given in (signs, torch.tensor([1, -1, 1, 0], dtype=torch.int8)):
        mean = ops.disjoint_mean(deltas, given)
        assert mean.tolist() == [0.0] * 4


# ---- put together ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("models", [1, 2, 3, 4, 6])
def test_trim_elect_and_mean_are_ties_bit_for_bit(dtype: torch.dtype, models: int) -> None:
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    base, *tuned = random_tensors(models + 1, 57, 129, dtype=dtype)
    tuned = [(base.to(compute) + x.to(compute) / 64).to(dtype) for x in tuned]
    weights = [0.3, 0.5, -0.11, 0.7, 1.1, 1.3][:models]  # no sum of some is near zero: it divides
    deltas = [x.to(compute) - base.to(compute) for x in tuned]
    kept = [ops.sparsify_magnitude(delta, 0.3) for delta in deltas]
    mean = ops.disjoint_mean(kept, ops.elect_sign(kept, weights), weights)
    merged = merge_tensors(tuned, method="ties", base=base, weight=weights, density=0.3, zero_sign="none")
    assert torch.equal((base.to(compute) + mean).to(dtype), merged)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_draw_and_combine_are_dare_bit_for_bit(dtype: torch.dtype, method: str) -> None:
    base, *tuned = random_tensors(4, 57, 129, dtype=dtype)
    weights, rescale = [0.5, -0.25, 1.0], method == "dare_linear"
    kept = [
        ops.sparsify_random(x.float() - base.float(), 0.3, seed=3, name="w", model=k, rescale=False)
        for k, x in enumerate(tuned)
    ]
    if rescale:  # the factor joins the weight before it is rounded
        merged_delta = ops.linear_combination(kept, [w * (65536 / int(share(0.3))) for w in weights])
        options = {"rescale": True, "rescale_by": "density"}
    else:
        merged_delta = ops.disjoint_mean(kept, ops.elect_sign(kept, weights), weights)
        options = {"rescale": False, "zero_sign": "none", "normalize": True}
    merged = merge_tensors(tuned, method=method, base=base, weight=weights, density=0.3, seed=3, name="w", **options)
    assert torch.equal((base.float() + merged_delta).to(dtype), merged)


def test_the_result_s_dtype_can_be_chosen() -> None:
    deltas = random_tensors(2, 100, dtype=torch.bfloat16)
    signs = ops.elect_sign(deltas)
    wide = ops.disjoint_mean(deltas, signs, dtype=torch.float32)
    assert wide.dtype == torch.float32
    assert_stored(ops.disjoint_mean(deltas, signs), wide.numpy())
    assert np.array_equal(codes_of(wide.bfloat16()), codes_of(ops.disjoint_mean(deltas, signs)))

"""Dot products and norms: to the bit, in the order the engine documents."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cases import Case
from ops_tensors import CASES, MIXES, all_of, ids, numbers_of, random_tensors
from oracle.statistics import dot, magnitude_sum

from fusion_kernels import ops


def deltas_of(tensors: list[torch.Tensor], base: torch.Tensor | None) -> list[np.ndarray]:
    double = any(one.dtype == torch.float64 for one in [*tensors, *([] if base is None else [base])])
    values = [numbers_of(tensor, double) for tensor in tensors]
    with np.errstate(all="ignore"):
        return values if base is None else [value - numbers_of(base, double) for value in values]


def test_products_and_norms_by_hand() -> None:
    tensors = [torch.tensor([3.0, 4.0]), torch.tensor([1.0, -2.0])]
    assert ops.gram(tensors).tolist() == [[25.0, -5.0], [-5.0, 5.0]]
    assert ops.gram(tensors, base=torch.tensor([1.0, 2.0])).tolist() == [[8.0, -8.0], [-8.0, 16.0]]
    assert ops.norms(tensors).tolist() == [5.0, math.sqrt(5)]
    assert ops.norms(tensors, p=1).tolist() == [7.0, 3.0]
    assert ops.norms(tensors, base=torch.tensor([1.0, 2.0]), p=1).tolist() == [4.0, 4.0]
    rows = torch.tensor([[[3.0, 4.0], [0.0, 1.0]]])
    assert ops.norms(rows, per="row").tolist() == [[5.0, 1.0]]


@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_products_and_norms_are_summed_in_the_one_order(case: Case, mix) -> None:
    start, tensors = all_of(case, mix)
    for base in (None, start):
        values = [value.ravel() for value in deltas_of(tensors, base)]
        gram = ops.gram(tensors, base=base)
        assert gram.dtype == torch.float64
        np.testing.assert_array_equal(gram.numpy(), [[dot(a, b) for b in values] for a in values])
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(
                ops.norms(tensors, base=base).numpy(), np.sqrt([dot(value, value) for value in values])
            )
        np.testing.assert_array_equal(
            ops.norms(tensors, base=base, p=1).numpy(), [magnitude_sum(value) for value in values]
        )


@pytest.mark.parametrize("shape", [(5, 13), (3, 4097), (600, 700), (2, 300_001), (2, 3, 5), (7,), (), (0, 4), (4, 0)])
@pytest.mark.parametrize("p", [1, 2])
def test_a_row_s_norm_is_that_of_the_row_alone(shape: tuple[int, ...], p: int) -> None:
    base, *tensors = random_tensors(3, *shape, dtype=torch.bfloat16)
    for start in (None, base):
        found = ops.norms(tensors, base=start, p=p, per="row")
        if len(shape) < 2:
            expected = ops.norms(tensors, base=start, p=p).reshape(2, 1)
        else:
            rows = [
                ops.norms([x[row] for x in tensors], base=None if start is None else start[row], p=p)
                for row in range(shape[0])
            ]
            expected = torch.stack(rows, dim=1) if rows else torch.empty(2, 0, dtype=torch.float64)
        assert torch.equal(found, expected)


def test_large_tensors_are_summed_in_the_one_order() -> None:
    tensors = random_tensors(5, 1_000_003)
    values = deltas_of(tensors, None)
    np.testing.assert_array_equal(ops.gram(tensors).numpy(), [[dot(a, b) for b in values] for a in values])
    assert ops.norms(tensors[:1], p=1).item() == magnitude_sum(values[0])


def test_nan_and_infinity_show() -> None:
    tensors = [torch.tensor([math.nan, 1.0]), torch.tensor([math.inf, 1.0])]
    assert str(ops.norms(tensors).tolist()) == str(ops.norms(tensors, p=1).tolist()) == "[nan, inf]"
    assert ops.gram(tensors).isnan().tolist() == [[True, True], [True, False]]

"""Linear combinations and their gradients, and the trimmed mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import Case
from ops_tensors import CASES, DTYPES, MIXES, all_of, assert_stored, codes_of, ids, numbers_of, random_tensors
from oracle.contract import Inputs, weighted_sum
from oracle.statistics import dot
from oracle.trimmed_mean import mean_of_middle
from torch.utils._python_dispatch import TorchDispatchMode

from fusion_kernels import merge_tensors, ops
from fusion_kernels.ops._cpu import Cpu


def coefficients_of(models: int) -> list[float]:
    return [(-1.0) ** k * (0.3 + 0.25 * k) for k in range(models)]


def test_a_combination_by_hand() -> None:
    a, b, base = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -4.0]), torch.tensor([1.0, 1.0])
    assert ops.linear_combination([a, b], [2.0, 0.5]).tolist() == [3.5, 2.0]
    # base + 2 (0, 1) + 0.5 (2, -5)
    assert ops.linear_combination([a, b], [2.0, 0.5], base=base).tolist() == [2.0, 0.5]
    assert ops.linear_combination(torch.stack([a, b]), torch.tensor([2.0, 0.5])).tolist() == [3.5, 2.0]


@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_combination_is_the_documented_operations_and_rounded_once(case: Case, mix) -> None:
    base, tensors = all_of(case, mix)
    numbers = coefficients_of(len(tensors))
    for start in (None, base):
        combined = ops.linear_combination(tensors, numbers, base=start)
        compute = np.float64 if combined.dtype == torch.float64 else np.float32
        values = [numbers_of(tensor, compute is np.float64) for tensor in tensors]
        with np.errstate(all="ignore"):
            if start is None:
                total, _ = weighted_sum(values, numbers, compute)
            else:
                first = numbers_of(start, compute is np.float64)
                total, _ = weighted_sum([value - first for value in values], numbers, compute)
                total = first + total
        assert_stored(combined, total)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_a_combination_is_the_merge_of_that_name(dtype: torch.dtype) -> None:
    base, *tensors = random_tensors(4, 300, 401, dtype=dtype)
    numbers = [0.2, -0.7, 1.5]
    linear = merge_tensors(tensors, method="linear", weight=numbers, normalize=False)
    assert torch.equal(ops.linear_combination(tensors, numbers), linear)
    arithmetic = merge_tensors(tensors, method="task_arithmetic", base=base, weight=numbers)
    assert torch.equal(ops.linear_combination(tensors, numbers, base=base), arithmetic)


def test_infinities_and_nan_are_arithmetic_s() -> None:
    combined = ops.linear_combination([torch.tensor([math.inf, math.nan, 1e38])] * 2, [10.0, 10.0])
    assert str(combined.tolist()) == "[inf, nan, inf]"
    assert ops.linear_combination([torch.tensor([math.inf])], [0.0]).isnan().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.float8_e4m3fn])
def test_the_result_s_dtype_can_be_chosen(dtype: torch.dtype) -> None:
    tensors = random_tensors(2, 100, dtype=torch.bfloat16)
    combined = ops.linear_combination(tensors, [0.5, 0.5], dtype=dtype)
    assert combined.dtype == dtype
    compute = np.float64 if dtype == torch.float64 else np.float32
    values = [numbers_of(x, dtype == torch.float64) for x in tensors]
    assert_stored(combined, weighted_sum(values, [0.5, 0.5], compute)[0])


# ---- gradients -------------------------------------------------------------------------------------------------------


def leaves(count: int, *shape: int) -> list[torch.Tensor]:
    return [tensor.requires_grad_() for tensor in random_tensors(count, *shape, dtype=torch.float64)]


@pytest.mark.parametrize("with_base", [False, True])
def test_gradients_are_finite_differences_even_of_gradients(with_base: bool) -> None:
    tensors, base = leaves(3, 4, 3), leaves(1, 4, 3)[0] if with_base else None
    numbers = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)

    def combine(numbers: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        *models, start = given if with_base else (*given, None)
        return ops.linear_combination(models, numbers, base=start)

    given = (numbers, *tensors, *([base] if with_base else []))
    assert torch.autograd.gradcheck(combine, given)
    assert torch.autograd.gradgradcheck(combine, given)


def test_gradients_of_a_stacked_tensor() -> None:
    stacked = leaves(1, 3, 5)[0]
    numbers = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ops.linear_combination, (stacked, numbers))


@pytest.mark.parametrize("mix", [mix for mix in MIXES if not mix[0].startswith("F8")], ids=str)
@pytest.mark.parametrize("models", [1, 2, 3, 4, 5, 9])
def test_the_coefficients_gradient_is_a_dot_product_in_the_one_order(models: int, mix) -> None:
    base, tensors = all_of(Case((3, 4096 + 77), "fine_tunes", models), mix)
    for start in (None, base):
        numbers = torch.tensor(coefficients_of(models), dtype=torch.float64, requires_grad=True)
        combined = ops.linear_combination(tensors, numbers, base=start)
        gradient = random_tensors(1, *combined.shape, dtype=combined.dtype, seed=models)[0]
        combined.backward(gradient)
        double = any(one.dtype == torch.float64 for one in (combined, *tensors, *([] if start is None else [start])))
        left = numbers_of(gradient, double).ravel()
        for k, tensor in enumerate(tensors):
            values = numbers_of(tensor, double)
            delta = values if start is None else values - numbers_of(start, double)
            assert numbers.grad[k].item() == dot(left, delta.ravel())


def test_the_inputs_gradients_have_their_dtypes_and_one_rounding() -> None:
    a = random_tensors(1, 50, dtype=torch.bfloat16)[0].requires_grad_()
    b = random_tensors(1, 50, dtype=torch.float32)[0].requires_grad_()
    base = random_tensors(1, 50, dtype=torch.float16)[0].requires_grad_()
    combined = ops.linear_combination([a, b], [0.3, 0.6], base=base)
    gradient = random_tensors(1, 50, seed=1)[0]
    combined.backward(gradient)
    for tensor, factor in ((a, 0.3), (b, 0.6), (base, 1 - (0.3 + 0.6))):
        assert tensor.grad.dtype == tensor.dtype
        assert_stored(tensor.grad, gradient.numpy() * np.float32(factor))


class Largest(TorchDispatchMode):
    """The names of the operations run, and how many elements the largest result has."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.names.append(func.name())
        for one in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return result


def test_the_coefficients_gradient_needs_no_memory_of_the_models_size(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = random_tensors(8, 1000)
    numbers = torch.full((8,), 0.125, requires_grad=True)
    combined = ops.linear_combination(tensors, numbers)
    gradient = torch.ones_like(combined)
    made: list[int] = []
    new = Cpu.new
    monkeypatch.setattr(Cpu, "new", lambda *given: made.append(new(*given).numel()) or new(*given))
    with Largest() as seen:
        combined.backward(gradient)
    assert seen.names.count("fusion_kernels::dot_products") == 1
    assert "fusion_kernels::linear_combination" not in seen.names
    assert seen.elements == 8
    assert made == [8]


def test_only_the_gradients_that_are_wanted_are_made_and_models_are_kept_for_the_coefficients_alone() -> None:
    tensors = random_tensors(3, 10)
    tensors[1].requires_grad_()
    combined = ops.linear_combination(tensors, [1.0, 2.0, 3.0])
    assert max(saved.numel() for saved in combined.grad_fn.saved_tensors) == 3
    with Largest() as seen:
        combined.sum().backward()
    assert seen.names.count("fusion_kernels::linear_combination") == 1
    assert "fusion_kernels::dot_products" not in seen.names
    assert tensors[1].grad.tolist() == [2.0] * 10


def test_coefficients_can_be_learned() -> None:
    tensors = random_tensors(3, 500)
    target = 0.2 * tensors[0] + 0.5 * tensors[1] - 0.1 * tensors[2]
    numbers = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([numbers], lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        (ops.linear_combination(tensors, numbers) - target).pow(2).mean().backward()
        optimizer.step()
    torch.testing.assert_close(numbers.detach(), torch.tensor([0.2, 0.5, -0.1]), atol=1e-4, rtol=0)


# ---- the trimmed mean ------------------------------------------------------------------------------------------------


def test_a_trimmed_mean_by_hand() -> None:
    tensors = torch.tensor([[1.0, 2.0], [5.0, 3.0], [3.0, -4.0], [64.0, 2.0]])
    assert ops.trimmed_mean(tensors, 0.25).tolist() == [4.0, 2.0]
    assert ops.trimmed_mean(tensors, 0).tolist() == [18.25, 0.75]


@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_trimmed_mean_is_the_documented_operations(case: Case, mix) -> None:
    _, tensors = all_of(case, mix)
    models = len(tensors)
    for trim in (0.0, 0.2, 0.34, 0.5):
        mean = ops.trimmed_mean(tensors, trim)
        double = mean.dtype == torch.float64
        values = [numbers_of(tensor, double) for tensor in tensors]
        dropped = min(math.floor(trim * models), (models - 1) // 2)
        expected = mean_of_middle(Inputs(None, values, {}, "", 0), dropped, values[0].dtype.type)
        assert_stored(mean, expected.value)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_trimmed_mean_is_the_merge_of_that_name(dtype: torch.dtype) -> None:
    tensors = random_tensors(5, 300, 401, dtype=dtype)
    merged = merge_tensors(tensors, method="trimmed_mean", trim=0.2)
    assert np.array_equal(codes_of(ops.trimmed_mean(tensors, 0.2)), codes_of(merged))

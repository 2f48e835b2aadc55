"""The operations as citizens of torch: schema, shapes without values, gradients, compilation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ops_tensors import random_tensors

from fusion_kernels import ops
from fusion_kernels.ops import _library

A, B, BASE = random_tensors(3, 5, 7)
DEEP = torch.tensor([0.5, -2.0])
SIGNS = ops.elect_sign([A, B])


def wanting(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.clone().requires_grad_() for tensor in tensors]


CALLS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "threshold": (_library.magnitude_threshold, (A, 0.3, False)),
    "threshold of rows": (_library.magnitude_threshold, (A.double(), 0.3, True)),
    "sparsify": (_library.sparsify_magnitude, (A, torch.tensor(0.5), torch.tensor(3))),
    "random": (_library.sparsify_random, (A.t(), 0.3, -1, "x", 2, True)),
    "elect": (_library.elect_sign, ([A, B], DEEP, False)),
    "count": (_library.elect_sign, ([A.half(), B], DEEP, True)),
    "disjoint": (_library.disjoint_mean, ([A, B], SIGNS, DEEP, None)),
    "disjoint wide": (_library.disjoint_mean, ([A, B], SIGNS, DEEP, torch.float64)),
    "trimmed": (_library.trimmed_mean, ([A, B, BASE], 0.4, None)),
    "combination": (_library.linear_combination, ([A, B.bfloat16()], DEEP, None, None)),
    "combination with gradients": (_library.linear_combination, (wanting(A, B), wanting(DEEP)[0], None, None)),
    "combination on a base": (_library.linear_combination, ([A, B], *wanting(DEEP, BASE), torch.float64)),
    "dots": (_library.dot_products, (A, [A, B], BASE)),
    "dots with gradients": (_library.dot_products, (wanting(A)[0], wanting(A, B), wanting(BASE)[0])),
    "gram": (_library.gram, ([A, B], BASE)),
    "norms": (_library.norms, ([A, B], None, 1, True)),
}


@pytest.mark.parametrize("call", CALLS)
def test_torch_finds_nothing_wrong(call: str) -> None:
    operation, arguments = CALLS[call]
    torch.library.opcheck(operation, arguments)


@pytest.mark.parametrize("name", _library.__all__)
def test_every_operation_is_checked_and_can_be_called_by_its_name(name: str) -> None:
    arguments = next(arguments for operation, arguments in CALLS.values() if operation is getattr(_library, name))
    found = getattr(torch.ops.fusion_kernels, name)(*arguments)
    expected = getattr(_library, name)(*arguments)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def ties(models: list[torch.Tensor], base: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    kept = [ops.sparsify_magnitude(model - base, 0.4) for model in models]
    return base + ops.disjoint_mean(kept, ops.elect_sign(kept, weights), weights)


def dare(models: list[torch.Tensor], base: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    kept = [ops.sparsify_random(model - base, 0.5, seed=2**63, model=k) for k, model in enumerate(models)]
    return base + ops.linear_combination(kept, weights)


def everything_else(models: list[torch.Tensor], base: torch.Tensor, weights: torch.Tensor) -> Any:
    by_rows = ops.sparsify_magnitude(base, threshold=ops.magnitude_threshold(base, 0.5, per="row"), per="row")
    shared = ops.sparsify_magnitude(base, threshold=0.5)
    return (
        by_rows, shared, ops.trimmed_mean(models, 0.2), ops.gram(models, base=base), ops.norms(models, p=1, per="row"),
        ops.linear_combination(torch.stack(models), [0.5, 0.25], base=base, dtype=torch.float64),
        ops.elect_sign(models, by="count"),
    )  # fmt: skip


@pytest.mark.parametrize("function", [ties, dare, everything_else])
def test_functions_compile_without_a_break(function: Any) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    for models, base in (([A, B], BASE), ([A.t(), B.t()], BASE.t())):
        torch.testing.assert_close(compiled(models, base, DEEP), function(models, base, DEEP), rtol=0, atol=0)


def test_shapes_may_change() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(ties, backend="aot_eager", fullgraph=True, dynamic=True)
    for rows in (3, 4, 9):
        base, *models = random_tensors(3, rows, 5)
        assert torch.equal(compiled(models, base, DEEP), ties(models, base, DEEP))


def test_gradients_go_through_a_compiled_function() -> None:
    torch._dynamo.reset()

    def loss(numbers: torch.Tensor, models: list[torch.Tensor], base: torch.Tensor) -> torch.Tensor:
        return ops.linear_combination(models, numbers, base=base).pow(2).sum()

    plain, traced = (wanting(DEEP, A, B, BASE) for _ in range(2))
    loss(plain[0], plain[1:3], plain[3]).backward()
    torch.compile(loss, backend="aot_eager", fullgraph=True)(traced[0], traced[1:3], traced[3]).backward()
    for left, right in zip(plain, traced, strict=True):
        torch.testing.assert_close(left.grad, right.grad)


def test_what_has_no_gradient_says_so() -> None:
    trimmed = ops.trimmed_mean(wanting(A, B, BASE), 0.4)
    with pytest.raises(RuntimeError, match=r"trimmed_mean.*no autograd formula"):
        trimmed.sum().backward()

"""The operations give the same bits on every instruction set and on any number of threads."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ops_tensors import DTYPES, random_tensors

from fusion_kernels import ops
from fusion_kernels._native import native
from fusion_kernels.ops import _cpu

SHAPE = (5, 70_003)


def results(dtype: torch.dtype) -> list[torch.Tensor]:
    base, *tensors = (x.clamp(-4, 4).to(dtype) for x in random_tensors(6, *SHAPE))
    mixed = [*tensors[:2], tensors[2].float()]
    numbers = torch.tensor([0.5, -0.25, 1.0, 0.75, 2.0], requires_grad=True)
    combined = ops.linear_combination(tensors, numbers, base=base)
    combined.backward(tensors[0].to(combined.dtype))
    signs = ops.elect_sign(tensors, numbers.detach())
    found = [combined.detach(), numbers.grad, signs, ops.elect_sign(mixed, by="count")]
    for per in ("tensor", "row"):
        found += ops.magnitude_threshold(tensors[0], 0.3, per=per)
        found += [ops.sparsify_magnitude(tensors[0], 0.3, per=per)]
        found += [ops.norms(group, base=base, p=p, per=per) for p in (1, 2) for group in (tensors, mixed)]
    found += [ops.sparsify_random(tensors[0], 0.3, seed=1), ops.trimmed_mean(tensors, 0.2)]
    found += [ops.disjoint_mean(group, signs) for group in (tensors, mixed)]
    return found + [ops.gram(group, base=base) for group in (tensors, mixed)]


def same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    bits = [one.contiguous().reshape(-1).view(torch.uint8) for one in (left, right)]
    return left.dtype == right.dtype and left.shape == right.shape and torch.equal(*bits)


def with_engine(monkeypatch: pytest.MonkeyPatch, instruction_set: str) -> None:
    engine = native()

    def on_it(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **options: function(*arguments, instruction_set=instruction_set, **options)

    chosen = {name: on_it(getattr(engine.ops, name)) for name in dir(engine.ops) if not name.startswith("_")}
    stand_in = SimpleNamespace(ops=SimpleNamespace(**chosen), execute=on_it(engine.execute))
    monkeypatch.setattr(_cpu, "native", lambda: stand_in)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_instruction_sets_agree(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = results(dtype)
    for instruction_set in native().instruction_sets():
        with_engine(monkeypatch, instruction_set)
        for index, (left, right) in enumerate(zip(results(dtype), expected, strict=True)):
            assert same_bits(left, right), f"{instruction_set}, result {index}"


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_numbers_of_threads_agree(threads: int) -> None:
    expected = results(torch.bfloat16)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert all(same_bits(left, right) for left, right in zip(results(torch.bfloat16), expected, strict=True))
    finally:
        torch.set_num_threads(before)

"""The operations on a GPU as citizens of torch: schema, shapes without values, gradients, compilation, memory."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ops_devices import AVAILABLE, DEVICE, REAL, WHY_NOT, Emulated, as_gpu, moved, processor_as
from ops_tensors import random_tensors
from test_ops_torch import BASE, CALLS, DEEP, A, B, dare, everything_else, ties

import fusion_kernels
from fusion_kernels import ops, resident, tensors
from fusion_kernels.ops import _backend, _library
from fusion_kernels.ops._gpu import Gpu

needs_kernels = pytest.mark.skipif(not AVAILABLE, reason=WHY_NOT)
emulated_only = pytest.mark.skipif(REAL or not AVAILABLE, reason="looks into the emulated GPU")


@pytest.fixture
def gpu() -> Iterator[None]:
    with as_gpu():
        yield


@needs_kernels
@pytest.mark.parametrize("call", CALLS)
def test_torch_finds_nothing_wrong(call: str, gpu: None) -> None:
    operation, arguments = CALLS[call]
    torch.library.opcheck(operation, moved(arguments, DEVICE))


@pytest.mark.parametrize("name", _library.__all__)
def test_every_operation_is_registered_for_cuda_and_for_tracing(name: str) -> None:
    for key in ("CPU", "CUDA", "Meta"):
        assert torch._C._dispatch_has_computed_kernel_for_dispatch_key(f"fusion_kernels::{name}", key)


def test_tensors_said_to_be_on_a_gpu_have_results_said_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backend, "native", lambda: SimpleNamespace(device_kind=lambda: "cuda"))
    with torch._subclasses.FakeTensorMode():
        x, y = torch.empty(4, 3, device="cuda:0"), torch.empty(4, 3, device="cuda:0", dtype=torch.bfloat16)
        found = [
            *ops.magnitude_threshold(x, 0.5, per="row"), ops.sparsify_magnitude(x, 0.5, per="row"),
            ops.sparsify_magnitude(x, threshold=0.5), ops.sparsify_random(y, 0.5, seed=1), ops.elect_sign([x, y]),
            ops.disjoint_mean([x, y], torch.empty(4, 3, device="cuda:0", dtype=torch.int8)), ops.gram([x, y]),
            ops.trimmed_mean([x, y], 0.2), ops.linear_combination([x, y], [0.5, 0.5], base=y),
            ops.norms([x, y], p=1, per="row"),
        ]  # fmt: skip
    assert all(one.device == torch.device("cuda:0") for one in found)
    assert [tuple(one.shape) for one in found] == [(4,), (4,), *[(4, 3)] * 5, (2, 2), (4, 3), (4, 3), (2, 4)]


@needs_kernels
@pytest.mark.parametrize("with_base", [False, True])
def test_gradients_are_finite_differences_even_of_gradients(with_base: bool, gpu: None) -> None:
    *tensors, base = (
        x.to(DEVICE).requires_grad_() for x in random_tensors(4 if with_base else 3, 4, 3, dtype=torch.float64)
    )
    numbers = torch.tensor([0.5, -1.0, 2.0][: len(tensors)], dtype=torch.float64, device=DEVICE, requires_grad=True)

    def combine(numbers: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        *models, start = given if with_base else (*given, None)
        return ops.linear_combination(models, numbers, base=start)

    given = (numbers, *tensors, *([base] if with_base else []))
    assert torch.autograd.gradcheck(combine, given)
    assert torch.autograd.gradgradcheck(combine, given)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_gradients_have_the_processors_bits(dtype: torch.dtype) -> None:
    base, *tensors = random_tensors(4, 3, 4096 + 77, dtype=dtype)

    def gradients(device: str) -> list[torch.Tensor]:
        given = (torch.tensor([0.5, -0.25, 2.0]), base, *tensors)
        numbers, start, *models = (x.to(device, copy=True).requires_grad_() for x in given)
        combined = ops.linear_combination(models, numbers, base=start)
        combined.backward(tensors[0].to(device, combined.dtype))
        return [leaf.grad.cpu() for leaf in (numbers, start, *models)]

    expected = gradients("cpu")
    with as_gpu():
        found = gradients(DEVICE)
    assert all(torch.equal(left, right) for left, right in zip(found, expected, strict=True))


@needs_kernels
@pytest.mark.parametrize("function", [ties, dare, everything_else])
def test_functions_compile_without_a_break(function: Any, gpu: None) -> None:
    torch._dynamo.reset()
    arguments = moved(([A, B], BASE, DEEP), DEVICE)
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*arguments), function(*arguments), rtol=0, atol=0)


@emulated_only
def test_gradients_of_coefficients_need_little_memory() -> None:
    tensors = random_tensors(8, 65_536)
    numbers = torch.full((8,), 0.125, requires_grad=True)
    combined = ops.linear_combination(tensors, numbers)
    with processor_as(Emulated()) as emulated:
        emulated.dense = lambda tensor: tensor  # type: ignore[method-assign]  # inputs are read where they are
        combined.backward(torch.ones_like(combined))
    assert max(emulated.made) < 8 * 65_536 * 4 / 100  # bytes: a hundredth of the models'


class Full(Gpu):
    """A GPU on which nothing can be allocated any more."""

    def new(self, *_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 12.00 EiB.")


def test_too_little_memory_is_a_device_error_that_names_the_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_backend._BACKENDS, "cpu", Full())
    with pytest.raises(fusion_kernels.DeviceError, match=r"gram: cpu has no room.*free memory there.*12.00 EiB"):
        ops.gram([A, B])


@needs_kernels
def test_a_merge_in_too_little_memory_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 12.00 EiB.")

    call = tensors._prepare([A, B], "linear", None, "mergekit", None, "", 0, None, {"weight": 1.0})
    monkeypatch.setattr(torch, "empty", refuse)
    with pytest.raises(fusion_kernels.DeviceError, match=r"cuda:0 has no room for .* works in.*12.00 EiB"):
        resident.execute(call.work((A.data_ptr(), 140)), "cuda:0")


def test_a_build_without_kernels_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backend, "native", lambda: SimpleNamespace(device_kind=lambda: None))
    with pytest.raises(fusion_kernels.DeviceError, match=r"cuda:0.*made without nvcc, or with FK_CUDA=OFF"):
        _backend.backend_of(torch.device("cuda:0"))


@emulated_only
def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Emulated, "queue", lambda *_: (99, 0))
    with processor_as(Emulated()), pytest.raises(fusion_kernels.DeviceError, match="there is no GPU 99"):
        ops.gram([A, B])

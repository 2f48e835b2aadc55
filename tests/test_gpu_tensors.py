"""Tensors of torch on a GPU are merged there, on the current stream, without waiting. They need a real GPU."""

from __future__ import annotations

import pytest
import torch
from device_calls import KIND

import fusion_kernels
import fusion_kernels.ops
from fusion_kernels.tensors import workspace_bytes

pytestmark = pytest.mark.skipif(
    KIND != "cuda" or not torch.cuda.is_available(), reason="needs a GPU and a build for it (FK_CUDA=ON)"
)

FOLDS = {
    "linear": {"weight": 1},
    "ties": {"weight": 1, "density": 0.2},
    "dare_ties": {"weight": 1, "density": 0.3},
    "della": {"weight": 1, "density": 0.5, "epsilon": 0.2},
    "breadcrumbs": {"weight": 1, "density": 0.3, "gamma": 0.05},
    "median": {},
}
GRAMS = {"slerp": {"t": 0.4}, "nuslerp": {"weight": [1, 2]}, "model_stock": {}, "karcher": {}}


def inputs(method: str, shape: tuple[int, ...] = (300, 1025)) -> tuple[list[torch.Tensor], torch.Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(shape, generator=generator).mul(0.02)
    models = [(base + 0.002 * torch.randn(shape, generator=generator)).bfloat16() for _ in range(2)]
    takes_base = method not in ("linear", "median", "karcher", "slerp")
    return models, base.bfloat16() if takes_base else None


def moved(tensors: list[torch.Tensor], base: torch.Tensor | None) -> dict:
    return {"tensors": [t.cuda() for t in tensors], "base": None if base is None else base.cuda()}


@pytest.mark.parametrize("method", [*FOLDS, *GRAMS])
def test_the_result_is_the_processors_and_stays_there(method: str) -> None:
    parameters = (FOLDS | GRAMS)[method]
    models, base = inputs(method)
    expected = fusion_kernels.merge_tensors(models, base=base, method=method, name="t", **parameters)
    merged = fusion_kernels.merge_tensors(**moved(models, base), method=method, name="t", **parameters)
    assert merged.is_cuda
    assert torch.equal(merged.cpu().view(torch.int16), expected.view(torch.int16))


@pytest.mark.parametrize("method", FOLDS)
def test_a_fold_can_be_captured_in_a_graph(method: str) -> None:
    models, base = inputs(method)
    on_gpu = moved(models, base)
    out = torch.empty_like(on_gpu["tensors"][0])
    arguments = {"method": method, "name": "t", **FOLDS[method]}
    workspace = torch.empty(workspace_bytes(**on_gpu, **arguments), dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        fusion_kernels.merge_tensors(**on_gpu, **arguments, out=out, workspace=workspace)
    first = fusion_kernels.merge_tensors(**on_gpu, **arguments)
    for _ in range(2):
        out.zero_()
        workspace.fill_(0xA5)
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(out.view(torch.int16), first.view(torch.int16))


def test_the_merge_waits_for_what_torch_put_on_the_stream_before() -> None:
    models, base = inputs("ties", (4096, 4096))
    expected = fusion_kernels.merge_tensors(models, base=base, method="ties", weight=1, density=0.2)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        late = [torch.empty_like(model, device="cuda") for model in models]
        torch.cuda._sleep(100_000_000)
        for there, here in zip(late, models, strict=True):
            there.copy_(here.pin_memory(), non_blocking=True)
        assert base is not None
        merged = fusion_kernels.merge_tensors(late, base=base.cuda(), method="ties", weight=1, density=0.2)
    stream.synchronize()
    assert torch.equal(merged.cpu().view(torch.int16), expected.view(torch.int16))


def test_tensors_on_two_devices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tensors\[1\] is on cpu, but tensors\[0\] on cuda:0"):
        fusion_kernels.merge_tensors([torch.ones(3, device="cuda"), torch.ones(3)], method="linear", weight=1)


def test_memory_that_is_lent_is_apart_from_the_rest() -> None:
    first, second = (torch.ones(5000, device="cuda") for _ in range(2))
    with pytest.raises(ValueError, match=r"out shares memory with tensors\[1\]"):
        fusion_kernels.merge_tensors([first, second], method="linear", weight=1, out=second)
    with pytest.raises(ValueError, match=r"workspace shares memory with tensors\[0\]"):
        fusion_kernels.merge_tensors([first, second], method="linear", weight=1, workspace=first.view(torch.uint8))
    with pytest.raises(ValueError, match="workspace: a contiguous torch tensor on cuda:0 is expected, got cpu"):
        fusion_kernels.merge_tensors([first, second], method="linear", weight=1, workspace=torch.empty(5000))


def test_too_little_memory_is_a_device_error() -> None:
    models = [torch.ones(1 << 24, device="cuda") for _ in range(2)]
    base, out = torch.zeros_like(models[0]), torch.empty_like(models[0])
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)  # less than is taken already
    try:
        with pytest.raises(fusion_kernels.DeviceError, match="cuda:0 has no room for the"):
            fusion_kernels.merge_tensors(models, method="ties", base=base, density=0.5, weight=1, out=out)
        with pytest.raises(fusion_kernels.DeviceError, match="sparsify_random: cuda:0 has no room"):
            fusion_kernels.ops.sparsify_random(base, 0.5, seed=1)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

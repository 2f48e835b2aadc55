"""The operations on torch's CUDA tensors never wait for the GPU, and keep to its streams. They need a real GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from ops_devices import REAL
from ops_tensors import random_tensors

from fusion_kernels import ops

pytestmark = pytest.mark.skipif(not REAL, reason="needs a GPU and a build for it (FK_CUDA=ON)")

Operation = Callable[[list[torch.Tensor], torch.Tensor], torch.Tensor]
OPERATIONS: dict[str, Operation] = {
    "threshold": lambda models, _: ops.magnitude_threshold(models[0], 0.2)[0],
    "threshold of rows": lambda models, _: ops.magnitude_threshold(models[0], 0.2, per="row")[1],
    "sparsify": lambda models, _: ops.sparsify_magnitude(models[0], 0.2),
    "sparsify shared": lambda models, _: ops.sparsify_magnitude(models[0], threshold=0.5),
    "sparsify rows": lambda models, _: ops.sparsify_magnitude(models[0], 0.2, per="row"),
    "random": lambda models, _: ops.sparsify_random(models[0], 0.2, seed=1),
    "elect": ops.elect_sign,
    "elect by default": lambda models, _: ops.elect_sign(models),
    "count": lambda models, weights: ops.elect_sign(models, weights, by="count"),
    "disjoint": lambda models, weights: ops.disjoint_mean(models, ops.elect_sign(models), weights),
    "trimmed": lambda models, _: ops.trimmed_mean(models, 0.34),
    "combination": ops.linear_combination,
    "combination on a base": lambda models, weights: ops.linear_combination(models, weights, base=models[0]),
    "combination of numbers": lambda models, _: ops.linear_combination(models, [0.25, 0.5, 0.125]),
    "gram": lambda models, _: ops.gram(models),
    "norms": lambda models, _: ops.norms(models, p=1),
    "norms of rows": lambda models, _: ops.norms(models, per="row"),
}


def inputs() -> tuple[list[torch.Tensor], torch.Tensor]:
    models = [x.cuda() for x in random_tensors(3, 300, 1025, dtype=torch.bfloat16)]
    return models, torch.tensor([0.5, -0.25, 1.0], device="cuda")


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return torch.equal(left.reshape(-1).view(torch.uint8), right.reshape(-1).view(torch.uint8))


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Whoever has torch wait for the GPU gets an error."""
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_host_does_not_wait(name: str, no_waiting: None) -> None:
    models, weights = (torch.ones(3, 300, 1025, device="cuda").bfloat16().unbind(), torch.ones(3, device="cuda"))
    OPERATIONS[name](list(models), weights)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_enqueued_and_left(name: str) -> None:
    """It returns while the GPU is still busy with what was there before."""
    models, weights = inputs()
    expected = OPERATIONS[name](models, weights)
    torch.cuda.synchronize()
    torch.cuda._sleep(500_000_000)  # cycles: a third of a second
    busy = torch.cuda.Event()
    busy.record()
    found = OPERATIONS[name](models, weights)
    assert not busy.query()
    torch.cuda.synchronize()
    assert same(found, expected)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_can_be_captured_in_a_graph(name: str) -> None:
    models, weights = inputs()
    expected = OPERATIONS[name](models, weights)
    held = [torch.zeros_like(model) for model in models]
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = OPERATIONS[name](held, weights)
    for there, model in zip(held, models, strict=True):
        there.copy_(model)
    for _ in range(2):
        graph.replay()
    torch.cuda.synchronize()
    assert same(out, expected)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_waits_for_what_torch_put_on_the_stream_before(name: str) -> None:
    models, weights = inputs()
    expected = OPERATIONS[name](models, weights)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        late = [torch.zeros_like(model) for model in models]
        torch.cuda._sleep(100_000_000)
        for there, model in zip(late, models, strict=True):
            there.copy_(model)
        found = OPERATIONS[name](late, weights)
        torch.cuda.current_stream().synchronize()
    assert same(found, expected)


def test_gradients_of_coefficients_wait_for_nothing(no_waiting: None) -> None:
    models = [torch.ones(300, 1025, device="cuda") for _ in range(3)]
    numbers = torch.ones(3, device="cuda", requires_grad=True)
    ops.linear_combination(models, numbers).sum().backward()
    assert numbers.grad is not None


def test_results_are_on_the_inputs_gpu_whatever_the_current_one() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("this machine has one GPU")
    models = [x.to("cuda:1") for x in random_tensors(2, 1000)]
    with torch.cuda.device(0):
        combined = ops.linear_combination(models, [0.5, 0.5])
    assert combined.device == torch.device("cuda:1")
    assert torch.equal(combined.cpu(), ops.linear_combination([x.cpu() for x in models], [0.5, 0.5]))

"""GPUs that fail, and what cannot be merged on them: errors that name it, nothing published, a merge to start again."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch
from device_calls import KIND
from emulated_gpus import RANDOM, REVERSE, emulated_gpus, needs_emulator
from safetensors.torch import save_file

import fusion_kernels
from fusion_kernels._native import native
from fusion_kernels.tensors import workspace_bytes

pytestmark = needs_emulator

METHODS = {
    "ties": {"weight": 1, "density": 0.3},
    "dare_linear": {"weight": 1, "density": 0.4, "seed": 3},
    "model_stock": {},
}


def checkpoints(folder: Path) -> list[Path]:
    generator = torch.Generator().manual_seed(7)
    paths = []
    base = {"a": torch.randn(90, 1001, generator=generator), "norm": torch.randn(63, generator=generator)}
    for index in range(3):
        paths.append(folder / f"model{index}.safetensors")
        save_file({n: v + index * 0.01 * torch.randn(v.shape, generator=generator) for n, v in base.items()}, paths[-1])
    return paths


def merge(paths: list[Path], out: Path, method: str = "ties", **options: object) -> bytes:
    arguments = {"method": method, "base": paths[0], "output": out, "device": KIND, **METHODS[method], **options}
    fusion_kernels.merge(paths[1:], **arguments)
    return out.read_bytes()


@pytest.mark.parametrize("device", [f"{KIND}", f"{KIND}:0,1"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("launches", [1, 2, 5])
def test_a_lost_gpu_ends_the_merge_and_it_can_be_started_again(
    launches: int, method: str, device: str, tmp_path: Path
) -> None:
    paths = checkpoints(tmp_path)
    out = tmp_path / "out" / "merged.safetensors"
    out.parent.mkdir()
    limits = {"device": device, "device_memory_limit": "2MB", "threads": 2}
    with (
        emulated_gpus(lost_after=launches),
        pytest.raises(fusion_kernels.DeviceError, match=r"cannot .*: .*(unavailable|lost)"),
    ):
        merge(paths, out, method, **limits)
    assert list(out.parent.iterdir()) == []
    expected = merge(paths, tmp_path / "cpu.safetensors", method, device="cpu")
    with emulated_gpus() as controls:
        held = controls.fk_emulator_allocated_bytes()
        assert merge(paths, out, method, **limits) == expected
        assert controls.fk_emulator_allocated_bytes() == held  # what the lanes held is free again


def test_less_device_memory_means_smaller_tiles(tmp_path: Path) -> None:
    paths = checkpoints(tmp_path)
    expected = merge(paths, tmp_path / "cpu.safetensors", device="cpu")
    with emulated_gpus(memory=800_000):
        assert merge(paths, tmp_path / "gpu.safetensors", threads=2) == expected


def test_a_gpu_without_memory_is_an_error_that_says_how_much_is_needed(tmp_path: Path) -> None:
    paths = checkpoints(tmp_path)
    with (
        emulated_gpus(memory=10_000),
        pytest.raises(ValueError, match=r"device_memory_limit is \d+ bytes; method 'ties'"),
    ):
        merge(paths, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_limit_above_what_the_gpu_has_is_out_of_memory(tmp_path: Path) -> None:
    """As when another program takes the memory after the merge was planned."""
    paths = checkpoints(tmp_path)
    with (
        emulated_gpus(memory=100_000),
        pytest.raises(fusion_kernels.DeviceError, match=r"GPU 0 is out of memory.*smaller device_memory_limit"),
    ):
        merge(paths, tmp_path / "out.safetensors", device_memory_limit="1GB")
    assert not (tmp_path / "out.safetensors").exists()
    assert merge(paths, tmp_path / "out.safetensors")


@pytest.mark.parametrize("order", [(REVERSE, 0), (RANDOM, 1), (RANDOM, 2)])
@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_threads_and_streams_does_not_show(method: str, order: tuple[int, int], tmp_path: Path) -> None:
    paths = checkpoints(tmp_path)
    expected = merge(paths, tmp_path / "cpu.safetensors", method, device="cpu")
    with emulated_gpus(order=order):
        got = merge(paths, tmp_path / "gpu.safetensors", method, device_memory_limit="2MB", threads=2)
    assert got == expected


def test_limits_are_read_as_other_sizes_are() -> None:
    with pytest.raises(ValueError, match="device_memory_limit: 'auto', bytes as an int, or text such as '256MiB'"):
        fusion_kernels.merge([{"w": torch.ones(3)}], method="linear", weight=1, device_memory_limit="lots")


# ---- tensors in a GPU's memory: stand-ins, which torch believes to be there ------------------------------------------


class OnGpu(torch.Tensor):
    """A tensor that says it lies on a GPU; the emulated one reads it where it is."""

    place = torch.device("cuda:0")

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.place

    def contiguous(self, *args: object, **options: object) -> torch.Tensor:
        return on_gpu(self.as_subclass(torch.Tensor).contiguous())


class OnOtherGpu(OnGpu):
    place = torch.device("cuda:1")


def on_gpu(tensor: torch.Tensor, kind: type[OnGpu] = OnGpu) -> torch.Tensor:
    return tensor.as_subclass(kind)


HELD: list[object] = []  # memory of the device that tensors lie in


class Stream:
    def __init__(self, handle: int) -> None:
        self.cuda_stream = handle


@pytest.fixture
def current_stream(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What torch says its current stream is."""
    handles = [0]
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: Stream(handles[0]))
    return handles


def lent(tensors: list[torch.Tensor], **options: object) -> dict[str, object]:
    """Arguments with an output and a workspace."""
    arguments = {"method": "linear", "weight": 1, **options}
    needed = workspace_bytes(tensors, **arguments) + 64
    memory = native().DeviceBytes(0, needed)
    HELD.append(memory)
    here = (ctypes.c_char * needed).from_address(memory.address)
    return arguments | {
        "workspace": on_gpu(torch.frombuffer(here, dtype=torch.uint8)),
        "out": on_gpu(torch.empty(tensors[0].shape)),
    }


def two() -> list[torch.Tensor]:
    return [on_gpu(torch.arange(5000.0)), on_gpu(torch.ones(5000))]


def test_stand_ins_are_merged(current_stream: list[int]) -> None:
    tensors = two()
    merged = fusion_kernels.merge_tensors(tensors, **lent(tensors))
    assert torch.equal(merged.as_subclass(torch.Tensor), (torch.arange(5000.0) + 1) / 2)


def test_an_output_that_is_an_input_is_refused(current_stream: list[int]) -> None:
    tensors = two()
    with pytest.raises(ValueError, match=r"out shares memory with tensors\[1\]; give memory of its own"):
        fusion_kernels.merge_tensors(tensors, **lent(tensors) | {"out": tensors[1]})


def test_an_output_that_overlaps_an_input_is_refused(current_stream: list[int]) -> None:
    memory = on_gpu(torch.zeros(9000))
    tensors = [memory[:5000], on_gpu(torch.ones(5000))]
    with pytest.raises(ValueError, match=r"out shares memory with tensors\[0\]"):
        fusion_kernels.merge_tensors(tensors, **lent(tensors) | {"out": memory[4000:]})


def test_a_workspace_that_overlaps_is_refused(current_stream: list[int]) -> None:
    tensors = two()
    arguments = lent(tensors)
    memory = on_gpu(torch.zeros(20_000 + len(arguments["workspace"]), dtype=torch.uint8))
    arguments |= {"workspace": memory, "out": memory[:20_000].view(torch.float32)}
    with pytest.raises(ValueError, match="workspace shares memory with out"):
        fusion_kernels.merge_tensors(tensors, **arguments)


def test_inputs_that_are_one_another_or_have_gaps_are_read(current_stream: list[int]) -> None:
    one = on_gpu(torch.arange(10_000.0))
    every_other = one[::2]
    merged = fusion_kernels.merge_tensors([every_other, every_other], **lent([every_other, every_other]))
    assert torch.equal(merged.as_subclass(torch.Tensor), torch.arange(0.0, 10_000.0, 2))


def test_an_output_with_gaps_is_refused(current_stream: list[int]) -> None:
    tensors = two()
    with pytest.raises(ValueError, match="out is not contiguous"):
        fusion_kernels.merge_tensors(tensors, **lent(tensors) | {"out": on_gpu(torch.empty(10_000))[::2]})


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ("input", r"tensors\[1\] is on cuda:1, but tensors\[0\] on cuda:0; move them to one device"),
        ("out", r"out is on cuda:1, the result on cuda:0, where the inputs are"),
        ("workspace", r"workspace: a contiguous torch tensor on cuda:0 is expected, got one on cuda:1"),
    ],
)
def test_several_devices_in_one_call_are_refused(replaced: str, said: str, current_stream: list[int]) -> None:
    tensors = two()
    arguments = lent(tensors)
    if replaced == "input":
        tensors[1] = on_gpu(tensors[1].as_subclass(torch.Tensor), OnOtherGpu)
    else:
        arguments[replaced] = on_gpu(arguments[replaced].as_subclass(torch.Tensor), OnOtherGpu)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=said):
        fusion_kernels.merge_tensors(tensors, **arguments)


def test_a_stream_of_another_device_is_refused(current_stream: list[int]) -> None:
    tensors = two()
    arguments = lent(tensors)
    with emulated_gpus() as controls:
        current_stream[0] = controls.fk_emulator_open_stream(1)
        with pytest.raises(fusion_kernels.DeviceError, match="invalid handle of a stream"):
            fusion_kernels.merge_tensors(tensors, **arguments)
        current_stream[0] = controls.fk_emulator_open_stream(0)
        merged = fusion_kernels.merge_tensors(tensors, **arguments)
        assert not torch.equal(merged.as_subclass(torch.Tensor), (torch.arange(5000.0) + 1) / 2)  # enqueued alone
        controls.fk_emulator_synchronise(current_stream[0])
        assert torch.equal(merged.as_subclass(torch.Tensor), (torch.arange(5000.0) + 1) / 2)

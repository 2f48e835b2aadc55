"""What is asked of GPUs when a checkpoint is streamed through them: how many launches and bytes, in what order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from device_calls import KIND
from emulated_gpus import needs_emulator, traced
from safetensors.torch import load_file, save_file

import fusion_kernels

pytestmark = needs_emulator

TIES = {"method": "ties", "weight": 1, "density": 0.3}


def checkpoints(folder: Path, shapes: dict[str, tuple[int, ...]], models: int = 3) -> list[Path]:
    """A base and fine-tunes of it in bf16."""
    generator = torch.Generator().manual_seed(3)
    base = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    paths = []
    for index in range(models):
        tensors = {
            name: (value + index * 0.1 * torch.randn(value.shape, generator=generator)).bfloat16()
            for name, value in base.items()
        }
        paths.append(folder / f"model{index}.safetensors")
        save_file(tensors, paths[-1])
    return paths


def merge(paths: list[Path], output: Path, device: str | None = KIND, **options: object) -> Path:
    base, *tuned = paths
    fusion_kernels.merge(tuned, base=base, output=output, device=str(device), **TIES | options)
    return output


def nbytes(path: Path) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in load_file(path).values())


def test_thousands_of_small_tensors_take_a_handful_of_launches(tmp_path: Path) -> None:
    """Between two large ones, as norms lie between matrices."""
    small = {f"layers.{i}.norm": (17,) for i in range(2000)}
    few = checkpoints(tmp_path, {"layers.0.norm": (17,)})
    with traced() as one:
        merge(few, tmp_path / "one.safetensors")
    paths = checkpoints(tmp_path, small)
    with traced() as many:
        got = merge(paths, tmp_path / "gpu.safetensors")
    assert many.count("kernel") <= 4 * one.count("kernel")
    assert many.count("in") <= 4 * one.count("in") + 100  # tables beyond what a kernel's arguments carry
    assert many.count("out") <= 4 * one.count("out")
    assert got.read_bytes() == merge(paths, tmp_path / "cpu.safetensors", "cpu").read_bytes()


def test_large_tensors_do_not_part_small_ones(tmp_path: Path) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(6):
        shapes |= {f"{i}.matrix": (70, 1001), f"{i}.norm": (33,)}
    paths = checkpoints(tmp_path, shapes)
    with traced() as trace:
        merge(paths, tmp_path / "gpu.safetensors", threads=1, device_memory_limit="3MB")
    sizes = [call.nbytes for call in trace.calls if call.what == "out"]
    assert sum(size < 70 * 1001 * 2 and size >= 6 * 33 * 2 for size in sizes) > 0  # the norms, together
    cpu = merge(paths, tmp_path / "cpu.safetensors", "cpu")
    assert (tmp_path / "gpu.safetensors").read_bytes() == cpu.read_bytes()


@pytest.mark.parametrize("method", ["linear", "ties", "della", "slerp", "nuslerp"])
def test_a_tensor_larger_than_the_device_memory_is_merged_there(method: str, tmp_path: Path) -> None:
    paths = checkpoints(tmp_path, {"w": (400, 500)}, 3)
    options = {
        "linear": {"method": "linear", "weight": 1, "density": None},
        "ties": {},
        "della": {"method": "della", "density": 0.5, "epsilon": 0.2},
        "slerp": {"method": "slerp", "t": 0.3},
        "nuslerp": {"method": "nuslerp", "weight": [1, 3]},
    }[method]
    tuned = paths[1:2] if method == "slerp" else paths[1:]
    arguments = {k: v for k, v in (TIES | options).items() if v is not None}
    if method in ("slerp", "nuslerp"):
        arguments.pop("density")
    if method == "slerp":
        arguments.pop("weight")
    base = None if method == "linear" else paths[0]

    def run(name: str, **more: object) -> bytes:
        fusion_kernels.merge(tuned, base=base, output=tmp_path / name, **arguments, **more)
        return (tmp_path / name).read_bytes()

    limit = 700_000  # of 1.6 MB for a base, two models and a result
    with traced() as trace:
        streamed = run("gpu.safetensors", device=KIND, threads=1, device_memory_limit=limit)
    inputs = len(tuned) + (base is not None)
    assert streamed == run("cpu.safetensors")
    assert trace.count("kernel") >= 2  # of several tiles
    passes = 1 if method == "linear" else 2
    moved = 400 * 500 * 2 * inputs * passes
    assert moved <= trace.nbytes("in") <= 1.2 * moved + 400_000  # rows around tiles, tables
    assert 400 * 500 * 2 <= trace.nbytes("out") <= 1.3 * 400 * 500 * 2 + 300_000


def test_scope_model_is_found_and_applied_on_the_device(tmp_path: Path) -> None:
    shapes = {"b": (300, 401), "a": (77,), "c": (90, 1001)}
    paths = checkpoints(tmp_path, shapes)
    with traced() as trace:
        got = merge(paths, tmp_path / "gpu.safetensors", scope="model", threads=1, device_memory_limit="700KB")
    assert got.read_bytes() == merge(paths, tmp_path / "cpu.safetensors", "cpu", scope="model").read_bytes()
    moved = 3 * nbytes(paths[0])
    # One pass that collects, one that makes the result, a tile more for each model where equals are to be told apart.
    assert 2 * moved <= trace.nbytes("in") <= 3 * moved
    assert trace.nbytes("out") >= nbytes(paths[0])


def test_a_tile_is_copied_while_the_one_before_is_merged(tmp_path: Path) -> None:
    """Within one lane: tile i + 1 is read and its copies enqueued before the host waits for tile i."""
    paths = checkpoints(tmp_path, {"w": (100, 1000)})
    with traced() as trace:
        fusion_kernels.merge(
            paths, method="linear", weight=1, output=tmp_path / "out.safetensors", device=KIND, threads=1,
            device_memory_limit="400KB",
        )  # fmt: skip
    calls = [call for call in trace.calls if call.what in ("in", "out", "wait", "kernel") and call.nbytes != 8]
    streams = {call.stream for call in calls if call.what == "kernel"}
    assert len(streams) == 2
    waits = [i for i, call in enumerate(calls) if call.what == "wait" and call.stream in streams]
    results = [i for i, call in enumerate(calls) if call.what == "out"]
    assert len(results) >= 4
    for result in results[:-1]:
        stream = calls[result].stream
        awaited = next(i for i in waits if i > result and calls[i].stream == stream)
        between = [call for call in calls[result:awaited] if call.what == "in" and call.stream != stream]
        assert between, "the next tile's copies come before this tile's result is waited for"


def test_two_gpus_share_the_tiles_of_one_tensor(tmp_path: Path) -> None:
    paths = checkpoints(tmp_path, {"w": (300, 1001)})
    for options in ({}, {"scope": "model"}, {"method": "slerp", "weight": None, "density": None, "t": 0.4}):
        given = {k: v for k, v in (TIES | options).items() if v is not None}
        tuned = paths[1:2] if given["method"] == "slerp" else paths[1:]
        results = []
        for device in ("cpu", f"{KIND}:0,1"):
            out = tmp_path / f"{len(results)}.safetensors"
            with traced() as trace:
                fusion_kernels.merge(
                    tuned, base=paths[0], output=out, overwrite=True, device=device, threads=2,
                    device_memory_limit="700KB", **given,
                )  # fmt: skip
            results.append(out.read_bytes())
        assert results[0] == results[1]
        assert trace.devices() == {0, 1}

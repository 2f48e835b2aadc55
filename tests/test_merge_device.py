"""Merges on a GPU, from disk and from memory: the processor's result, and its errors. The emulated GPU serves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from device_calls import KIND
from safetensors.torch import load_file, save_file

import fusion_kernels

pytestmark = pytest.mark.skipif(KIND is None, reason="this build has no GPU kernels (FK_CUDA=OFF)")

METHODS = {
    "linear": {"weight": [1, 2]},
    "ties": {"weight": 1, "density": 0.3},
    "dare_ties": {"weight": 1, "density": 0.4, "seed": 3},
    "della": {"weight": 1, "density": 0.5, "epsilon": 0.2},
    "slerp": {"t": 0.3},
    "nuslerp": {"weight": [1, 3], "nuslerp_flatten": False},
    "model_stock": {},
    "median": {},
}


def models(folder: Path) -> list[Path]:
    """A base and two fine-tunes, with tensors of one element, none, several tiles, and integers."""
    generator = torch.Generator().manual_seed(5)
    paths = []
    base = {
        "embed": torch.randn(301, 257, generator=generator),
        "norm": torch.randn(63, generator=generator),
        "scale": torch.randn((), generator=generator),
        "nothing": torch.empty(0, 4),
    }
    for index in range(3):
        tensors = {
            name: (value + index * 0.1 * torch.randn(value.shape, generator=generator)).bfloat16()
            for name, value in base.items()
        }
        path = folder / f"model{index}.safetensors"
        save_file(tensors | {"steps": torch.tensor([7])}, path)
        paths.append(path)
    return paths


def merged(paths: list[Path], method: str, output: Path, device: str, **more: object) -> dict[str, torch.Tensor]:
    base, *tuned = paths
    arguments = METHODS[method] | more
    if method in ("linear", "median"):
        report = fusion_kernels.merge(tuned, method=method, output=output, device=device, **arguments)
    elif method == "slerp":
        report = fusion_kernels.merge(tuned[:1], base=base, method=method, output=output, device=device, **arguments)
    else:
        report = fusion_kernels.merge(tuned, base=base, method=method, output=output, device=device, **arguments)
    assert report.bytes_written > 0
    return load_file(output)


@pytest.mark.parametrize("device", [f"{KIND}", f"{KIND}:0,1"])
@pytest.mark.parametrize("method", METHODS)
def test_a_merge_from_disk_is_the_processors(method: str, device: str, tmp_path: Path) -> None:
    if device.endswith(",1") and len(fusion_kernels.devices()) < 3:
        pytest.skip("this machine has one GPU: two that share the tensors need a second")
    paths = models(tmp_path)
    expected = merged(paths, method, tmp_path / "cpu.safetensors", "cpu")
    got = merged(paths, method, tmp_path / "gpu.safetensors", device)
    for name, tensor in expected.items():
        assert torch.equal(tensor, got[name]), name
    assert (tmp_path / "cpu.safetensors").read_bytes() == (tmp_path / "gpu.safetensors").read_bytes()


def test_scope_model_gives_the_processors_result(tmp_path: Path) -> None:
    paths = models(tmp_path)
    merged(paths, "ties", tmp_path / "cpu.safetensors", "cpu", scope="model")
    merged(paths, "ties", tmp_path / "gpu.safetensors", str(KIND), scope="model")
    assert (tmp_path / "cpu.safetensors").read_bytes() == (tmp_path / "gpu.safetensors").read_bytes()


def test_an_overflow_is_the_same_error_and_nothing_is_published(tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    for path in (one, two):
        save_file({"w": torch.full((5000,), 60000.0, dtype=torch.float16)}, path)
    with pytest.raises(ValueError, match=r"tensor 'w': element 0 and others .* NaN or infinite in F16"):
        fusion_kernels.merge(
            [one, two], method="linear", weight=1, normalize=False, output=tmp_path / "out.safetensors", device=KIND
        )
    assert not (tmp_path / "out.safetensors").exists()


def test_a_state_dict_in_memory(tmp_path: Path) -> None:
    one = {"w": torch.arange(5000, dtype=torch.float32)}
    two = {"w": torch.ones(5000)}
    expected = fusion_kernels.merge([one, two], method="linear", weight=[1, 3])
    assert torch.equal(
        fusion_kernels.merge([one, two], method="linear", weight=[1, 3], device=KIND)["w"], expected["w"]
    )


def test_devices_lists_it() -> None:
    listed = [device for device in fusion_kernels.devices() if device.name.startswith(str(KIND))]
    assert listed
    assert listed[0].memory > 0
    assert "GB" in str(listed[0])


@pytest.mark.parametrize(
    ("device", "error", "said"),
    [
        (f"{KIND}:99", "DeviceError", "there is no GPU 99"),
        (f"{KIND}:0,0", "ValueError", "names a GPU twice"),
        (f"{KIND}:x", "ValueError", "unknown device"),
        ("gpu", "ValueError", "unknown device"),
    ],
)
def test_a_device_that_is_not_there(device: str, error: str, said: str) -> None:
    with pytest.raises(Exception, match=said) as raised:
        fusion_kernels.merge([{"w": torch.ones(3)}], method="linear", weight=1, device=device)
    assert type(raised.value).__name__ == error

"""Which backend computes on a device: the one place where another joins."""

from __future__ import annotations

import torch

from fusion_kernels._native import native
from fusion_kernels.ops._cpu import Cpu
from fusion_kernels.ops._engine import Backend
from fusion_kernels.ops._gpu import Gpu

__all__ = ["backend_of", "check_device"]

_BACKENDS: dict[str, Backend] = {"cpu": Cpu(), "cuda": Gpu()}


def backend_of(device: torch.device) -> Backend:
    """What computes on a device that check_device() lets pass."""
    check_device(device, "the tensor")
    return _BACKENDS[device.type]


def check_device(device: torch.device, label: str) -> None:
    """Raises DeviceError where no backend computes on a device, saying why, and what is to be moved."""
    lacking = None
    if device.type not in _BACKENDS:
        lacking = f"there are no operations on {device.type!r}"
    elif device.type == "cuda":
        lacking = _lacking_cuda()
    if lacking is not None:
        from fusion_kernels.errors import DeviceError

        raise DeviceError(f"{label} is on {device}, and {lacking}: move it to the CPU")


# A function that is traced does not ask the engine.
@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # torch declares no types for it
def _lacking_cuda() -> str | None:
    kind = native().device_kind()
    if kind == "cuda":
        return None
    if kind is None:
        return "this build has no GPU kernels (it was made without nvcc, or with FK_CUDA=OFF)"
    return f"this build has kernels for the device {kind!r} alone"

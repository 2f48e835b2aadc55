"""Which backend computes on a device: the one place where another joins."""

from __future__ import annotations

from types import ModuleType

import torch

from fusion_kernels.ops import _cpu

__all__ = ["backend_of"]

_BACKENDS: dict[str, ModuleType] = {"cpu": _cpu}


def backend_of(device: torch.device, label: str = "the tensor") -> ModuleType:
    """The module that computes on a device; see _cpu for what it offers.

    Raises DeviceError where this build has none, saying what is to be moved.
    """
    backend = _BACKENDS.get(device.type)
    if backend is None:
        from fusion_kernels.errors import DeviceError

        raise DeviceError(
            f"{label} is on {device}; single operations on {device.type!r} are not available in this build: "
            "move it to the CPU"
        )
    return backend

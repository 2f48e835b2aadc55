"""The devices tests run on, and calls to the GPU backend with the tensors of a case: a GPU, or the emulated one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from engine_calls import SEED, Merge, arrange

from fusion_kernels._native import native

KIND = native().device_kind()  # None: this build has no GPU kernels
GPUS = () if KIND is None else (KIND, f"{KIND}:0,1") if KIND == "emulated" else (KIND,)

# For tests of what must hold anywhere: on the processor, on one GPU, and on two that share the tensors.
on_every_device = pytest.mark.parametrize("device", ["cpu", *GPUS])


def numbers_of(device: str) -> list[int]:
    """The GPUs of a device's name, as the engine takes them; none for the processor."""
    return [] if device == "cpu" else [int(number) for number in device.partition(":")[2].split(",") if number] or [0]


def run_on_device(method: str, merges: Sequence[Merge], *, device: int = 0, seed: int = SEED) -> list[np.ndarray]:
    """The codes the backend writes for each merge, in one call."""
    call = arrange(merges)
    held = [on_device(array, device) for array in call.arrays]
    buffers = [(memory.address, array.nbytes) for memory, array in zip(held, call.arrays, strict=True)]
    needed = native().device_workspace_bytes(method, call.jobs, call.parameter_sets, buffers)
    workspace = on_device(np.full(needed, 0xA5, dtype=np.uint8), device)  # what is not written is not zero
    native().merge_on_device(
        method,
        call.jobs,
        call.parameter_sets,
        buffers,
        device=device,
        stream=0,
        workspace=workspace.address,
        seed=seed,
    )
    for memory, array in zip(held, call.arrays, strict=True):
        if any(array is output for output in call.outputs):
            memory.read(array.reshape(-1).view(np.uint8))
    return call.outputs


def on_device(array: np.ndarray, device: int) -> object:
    """A copy of the array in the device's memory."""
    memory = native().DeviceBytes(device, array.nbytes)
    memory.write(array.reshape(-1).view(np.uint8))
    return memory

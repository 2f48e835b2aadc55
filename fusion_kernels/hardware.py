"""Lists the devices a merge can run on."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fusion_kernels.errors import listing, quoted, suggest

__all__ = ["Device", "devices", "gpu_numbers"]


@dataclass(frozen=True)
class Device:
    """One device: ``name`` is what ``merge(device=...)`` takes."""

    name: str
    model: str  # as the processor calls itself
    threads: int  # the cores this process may use; 0 for a GPU
    memory: int  # bytes available to this process now; a GPU's whole memory
    instruction_sets: tuple[str, ...]  # best last; the last is used; none for a GPU

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"instruction_sets": list(self.instruction_sets)}

    def __str__(self) -> str:
        if not self.instruction_sets:
            return f"{self.model}, {self.memory / 1e9:.1f} GB"
        return (
            f"{self.model}, {self.threads} threads, {self.memory / 1e9:.1f} GB available, "
            f"instruction sets {', '.join(self.instruction_sets)}"
        )


def devices() -> list[Device]:
    """The devices of this machine that this engine can merge on."""
    from fusion_kernels._native import native
    from fusion_kernels.limits import available_memory

    found = [
        Device(
            name="cpu",
            model=_processor(),
            threads=len(os.sched_getaffinity(0)),
            memory=available_memory(),
            instruction_sets=tuple(native().instruction_sets()),
        )
    ]
    kind = native().device_kind()
    if kind is not None:
        try:
            gpus = native().gpus()
        except native().DeviceError:  # built with GPU kernels, on a machine without a GPU or its driver
            gpus = []
        found += [Device(f"{kind}:{number}", model, 0, memory, ()) for number, (model, memory) in enumerate(gpus)]
    return found


def gpu_numbers(device: str) -> tuple[int, ...]:
    """The GPUs that ``merge(device=...)`` means: none for "auto" and "cpu", (0,) for "cuda", (0, 1) for "cuda:0,1".

    Raises DeviceError for devices this build or this machine does not have, ValueError for unknown names.
    """
    from fusion_kernels._native import native

    if device in ("auto", "cpu"):
        return ()
    kind, _, numbers = device.partition(":") if isinstance(device, str) else ("", "", "")
    built = native().device_kind()
    known = ("auto", "cpu", built or "cuda")
    if kind not in (built, "cuda") or not re.fullmatch(r"(\d+(,\d+)*)?", numbers) or device.endswith(":"):
        raise ValueError(f"unknown device {quoted(device)}; known: {listing(known)}.{suggest(str(device), known)}")
    if kind != built:
        has = f"has kernels for the device {built!r} alone"
        if built is None:
            has = "has no GPU kernels (it was made without nvcc, or with FK_CUDA=OFF)"
        raise native().DeviceError(f"device {quoted(device)} is not available: this build {has}; use device='cpu'")
    wanted = tuple(int(number) for number in numbers.split(",")) if numbers else (0,)
    count = len(native().gpus())  # says why there is none
    for number in wanted:
        if number >= count:
            raise native().DeviceError(f"device {quoted(device)}: there is no GPU {number}, this machine has {count}")
    if len(set(wanted)) != len(wanted):
        raise ValueError(f"device {quoted(device)} names a GPU twice")
    return wanted


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown processor"
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, "unknown processor")

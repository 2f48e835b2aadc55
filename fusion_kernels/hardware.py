"""Lists the devices a merge can run on."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fusion_kernels.errors import listing, quoted, suggest

__all__ = ["Device", "check_device", "devices"]


@dataclass(frozen=True)
class Device:
    """One device: ``name`` is what ``merge(device=...)`` takes."""

    name: str
    model: str  # as the processor calls itself
    threads: int  # the cores this process may use
    memory: int  # bytes available to this process now
    instruction_sets: tuple[str, ...]  # best last; the last is used

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"instruction_sets": list(self.instruction_sets)}

    def __str__(self) -> str:
        return (
            f"{self.model}, {self.threads} threads, {self.memory / 1e9:.1f} GB available, "
            f"instruction sets {', '.join(self.instruction_sets)}"
        )


def devices() -> list[Device]:
    """The devices of this machine that this engine can merge on."""
    from fusion_kernels._native import native
    from fusion_kernels.limits import available_memory

    return [
        Device(
            name="cpu",
            model=_processor(),
            threads=len(os.sched_getaffinity(0)),
            memory=available_memory(),
            instruction_sets=tuple(native().instruction_sets()),
        )
    ]


def check_device(device: str) -> str:
    """The device that ``merge(device=...)`` means.

    Raises DeviceError for devices this build does not run on, ValueError for unknown names.
    """
    if device in ("auto", "cpu"):
        return "cpu"
    if isinstance(device, str) and device.partition(":")[0] == "cuda":
        from fusion_kernels._native import native

        raise native().DeviceError(f"device {quoted(device)} is not available in this build; use device='cpu'")
    known = ("auto", "cpu")
    raise ValueError(f"unknown device {quoted(device)}; known: {listing(known)}.{suggest(device, known)}")


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown processor"
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, "unknown processor")

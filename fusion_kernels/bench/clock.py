"""Times calls, on the processor or by a GPU's own events, and says how far the times spread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

__all__ = ["kernel_seconds", "seconds", "spread"]


def seconds(call: Callable[[], object], device: str = "cpu") -> float:
    """Of one call. On a GPU, of what it enqueues on torch's current stream, between two events there."""
    if not device.startswith("cuda"):
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun
    import torch

    with torch.cuda.device(device):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        begin.record()
        call()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3


def kernel_seconds(call: Callable[[], object]) -> dict[str, float]:
    """Of each kernel that one call runs on a GPU, all its launches together, as torch's profiler sees them.

    Empty where it sees none: a machine may not let processes trace its GPU.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile

    try:
        with profile(activities=[ProfilerActivity.CUDA]) as traced:
            call()
            torch.cuda.synchronize()
    except RuntimeError:
        return {}
    found: dict[str, float] = {}
    for event in traced.key_averages():
        if event.device_time_total > 0:
            name = event.key.partition("(")[0].rpartition("::")[2].partition("<")[0]
            found[name] = found.get(name, 0.0) + event.device_time_total / 1e6
    return found


def spread(values: Sequence[float], digits: int = 4) -> dict[str, float]:
    """The smallest, the median and the largest, as results state ratios and times."""
    return {
        "min": round(min(values), digits),
        "median": round(median(values), digits),
        "max": round(max(values), digits),
    }

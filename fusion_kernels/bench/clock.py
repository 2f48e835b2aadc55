"""Times calls, on the processor or by a GPU's own events, and says how far the times spread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

__all__ = ["seconds", "spread"]


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


def spread(values: Sequence[float], digits: int = 4) -> dict[str, float]:
    """The smallest, the median and the largest, as results state ratios and times."""
    return {
        "min": round(min(values), digits),
        "median": round(median(values), digits),
        "max": round(max(values), digits),
    }

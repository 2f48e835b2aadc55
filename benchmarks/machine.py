"""The facts that stand beside every result: processor, memory, versions, date."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import datetime, timezone
from pathlib import Path


def facts() -> dict[str, object]:
    """Machine, versions and date of this run."""
    from fusion_kernels._native import native

    processor = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        processor.setdefault(key.strip(), value.strip())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "processor": processor.get("model name", platform.machine()),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "instruction_sets": list(native().instruction_sets()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "fusion_kernels": native().__version__,
        "numpy": importlib.metadata.version("numpy"),
    }

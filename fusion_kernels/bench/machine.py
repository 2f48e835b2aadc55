"""The facts that stand beside every result: processor, memory, caches, versions, commit, date."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of a checkout
MEASURED = ("csrc", "fusion_kernels", "CMakeLists.txt")


def facts() -> dict[str, object]:
    """Machine, versions and date of this run."""
    from fusion_kernels._native import native

    processor: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        processor.setdefault(key.strip(), value.strip())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit(),
        "processor": processor.get("model name", platform.machine()),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "last_level_cache_bytes": last_level_cache(),
        "instruction_sets": list(native().instruction_sets()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "fusion_kernels": native().__version__,
        "numpy": importlib.metadata.version("numpy"),
    }


def commit() -> str:
    """The commit that was measured; with a "+" where its sources have changes that are not committed.

    Empty where the package is installed without its sources.
    """
    if not (ROOT / "csrc").is_dir():
        return ""

    def git(*words: str) -> str:
        answer = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return answer.stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", *MEASURED) else "")
    except FileNotFoundError:
        return ""


def last_level_cache() -> int:
    """Bytes of the last-level caches that this process's cores have together; 32 MiB where the system does not say."""
    found: dict[int, dict[str, int]] = {}  # level -> the cores that share one -> its bytes
    for core in sorted(os.sched_getaffinity(0)):
        for index in Path(f"/sys/devices/system/cpu/cpu{core}/cache").glob("index*"):
            try:
                level, size, shared = ((index / name).read_text().strip() for name in _CACHE_FILES)
            except OSError:
                continue
            found.setdefault(int(level), {})[shared] = int(size.rstrip("KM")) << (20 if size.endswith("M") else 10)
    last = max(found, default=0)
    return sum(found[last].values()) if last > 1 else 32 << 20


_CACHE_FILES = ("level", "size", "shared_cpu_list")

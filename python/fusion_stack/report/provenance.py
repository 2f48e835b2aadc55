"""Where a result comes from and what it cost: versions, hashes, seconds, memory."""

from __future__ import annotations

import hashlib
import platform
import resource
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from fusion_kernels.sources import open_source
from fusion_stack.lazy import is_module
from fusion_stack.modelpool.base import BaseModelPool

_PACKAGES = ("numpy", "torch", "transformers", "datasets", "peft", "scikit-learn", "torchmetrics", "hydra-core")
_BLOCK = 1 << 22


def versions() -> dict[str, str]:
    """Of Python, this package, and what else of the stack is installed."""
    import fusion_kernels

    found = {"python": platform.python_version(), "fusion_kernels": fusion_kernels.__version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


class Cost:
    """Counts from its making on; processor time is that of all threads and of finished child processes."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._processor()

    def so_far(self) -> dict[str, float | int]:
        """seconds, cpu_seconds, and peak_memory_bytes: the largest resident set of the process since its start."""
        return {
            "seconds": round(time.perf_counter() - self._wall, 3),
            "cpu_seconds": round(self._processor() - self._cpu, 3),
            "peak_memory_bytes": _peak_memory(),
        }

    @staticmethod
    def _processor() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime


def _peak_memory() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage tells includes the process this one was forked from
        line = next((one for one in status.read_text().splitlines() if one.startswith("VmHWM:")), None)
        if line is not None:
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def model_hashes(pool: BaseModelPool) -> dict[str, str]:
    """SHA-256 of each model's weights: of its files in order, or of its tensors in memory."""
    with ThreadPoolExecutor() as threads:
        return dict(
            zip(pool.all_model_names, threads.map(lambda name: _of(pool, name), pool.all_model_names), strict=True)
        )


def _of(pool: BaseModelPool, name: str) -> str:
    source = pool.source(name)
    digest = hashlib.sha256()
    if is_module(source):
        for key, tensor in source.state_dict().items():
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(_bytes_dtype()).numpy())
        return digest.hexdigest()
    return _of_files(digest, open_source(source).files)


def _of_files(digest: Any, files: Iterable[Path]) -> str:
    for file in files:
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                digest.update(block)
    return str(digest.hexdigest())


def _bytes_dtype() -> Any:
    import torch

    return torch.uint8

"""How fast a device copies memory: what every kernel is compared with. Bytes are counted as read and as written.

The processor by the best of three ways, on a given number of threads: the C library's memcpy on one share of the buffer
per thread, torch's copy_, and the engine's own job that copies a tensor. A GPU by torch's copy_ within its memory.
"""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fusion_kernels.bench.clock import seconds

CALIBRATION_ROUNDS = 5
SMALLEST_ON_DEVICE = 1 << 30  # bytes; less is over before a GPU's memory is at full speed


class DeviceCopy:
    """A copy of `size` bytes within a GPU's memory, again and again."""

    name = "torch copy_"

    def __init__(self, size: int, device: str) -> None:
        import torch

        size = max(size, SMALLEST_ON_DEVICE)
        self._device = device
        self._source = torch.ones(size, dtype=torch.uint8, device=device)
        self._target = torch.zeros(size, dtype=torch.uint8, device=device)
        self.candidates = {self.name: max(self() for _ in range(CALIBRATION_ROUNDS))}
        assert bool((self._target == 1).all()), f"{self.name} did not copy"

    def __call__(self) -> float:
        """Copy once; bytes read and written per second."""
        return 2 * self._source.numel() / seconds(lambda: self._target.copy_(self._source), self._device)


class HostCopy:
    """A copy of `size` bytes, again and again, by the way that proved fastest."""

    def __init__(self, size: int, threads: int) -> None:
        self.threads = threads
        self._source = np.ones(size, dtype=np.uint8)
        self._target = np.zeros(size, dtype=np.uint8)
        self._pool = ThreadPoolExecutor(threads)
        ways: dict[str, Callable[[], None]] = {
            "memcpy": self._memcpy,
            "torch copy_": self._torch(),
            "engine copy": self._engine(),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(1 + CALIBRATION_ROUNDS):
            for name, way in ways.items():
                self._target[:] = 0
                found[name].append(self._timed(way))
                assert self._target[0] == self._target[-1] == 1, f"{name} did not copy"
        self.candidates = {name: max(rates[1:]) for name, rates in found.items()}
        self.name = max(self.candidates, key=lambda name: self.candidates[name])
        self._way = ways[self.name]

    def __call__(self) -> float:
        """Copy once; bytes read and written per second."""
        return self._timed(self._way)

    def _timed(self, way: Callable[[], None]) -> float:
        begun = time.perf_counter()
        way()
        return 2 * self._source.nbytes / (time.perf_counter() - begun)

    def _memcpy(self) -> None:
        size, source, target = self._source.nbytes, self._source.ctypes.data, self._target.ctypes.data
        cuts = [size * i // self.threads for i in range(self.threads + 1)]
        shares = [
            self._pool.submit(ctypes.memmove, target + start, source + start, stop - start)
            for start, stop in itertools.pairwise(cuts)
        ]
        for share in shares:
            share.result()

    def _torch(self) -> Callable[[], None]:
        import torch

        source, target = torch.from_numpy(self._source), torch.from_numpy(self._target)

        def copy() -> None:
            torch.set_num_threads(self.threads)
            target.copy_(source)

        return copy

    def _engine(self) -> Callable[[], None]:
        from fusion_kernels._native import native

        arrays = self._source, self._target
        job = ("copy", "copied", 1, self._source.nbytes, None, (1, 0, "U8"), None, [(0, 0, "U8")])
        buffers = [(array.ctypes.data, array.nbytes) for array in arrays]
        workspace = bytearray(native().workspace_bytes("passthrough", [job], [], buffers, threads=self.threads))

        def copy() -> None:
            native().execute("passthrough", [job], [], buffers, threads=self.threads, workspace=workspace)

        return copy

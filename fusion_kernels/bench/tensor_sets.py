"""Tensors in memory, and calls of one method's kernels on them that allocate nothing while they run.

Each tensor is at least as large as the last-level cache, so that a method's second pass over it finds nothing of the
first there; the tensors of a call are together at least five times as large, so that no call finds anything of the one
before.
"""

from __future__ import annotations

import sys
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from contenders import registered
from engine_calls import model_count
from oracle.formats import FORMATS

from fusion_kernels._native import native

COLUMNS = 4096
ROTATION = 5  # times the last-level cache
TORCH_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
POISON = 0xA5


class TensorSet:
    """One tensor of a base, of its fine-tunes, and the output: weights of spread 0.02, changes of spread 0.001."""

    def __init__(self, dtype: str, rows: int, columns: int, models: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        draw = lambda spread: spread * torch.randn(rows, columns, generator=generator)  # noqa: E731
        # NumPy asks for huge pages, torch does not; both sides shall have the same memory.
        self._memory = [np.empty((rows, columns), FORMATS[dtype].carrier) for _ in range(models + 2)]
        self.base, *self.models, self.output = (
            torch.from_numpy(memory.view(f"i{memory.itemsize}")).view(TORCH_DTYPES[dtype]) for memory in self._memory
        )
        self.base.copy_(draw(0.02))
        for model in self.models:
            model.copy_(self.base.float() + draw(0.001))
        self.poison()

    @cached_property
    def bytes_each(self) -> int:
        return self._memory[0].nbytes

    def poison(self) -> None:
        """Fill the output with what no method writes, so that an earlier call's result cannot pass for this one's."""
        self._memory[-1].view(np.uint8)[:] = POISON

    def checksum(self) -> int:
        return zlib.crc32(self._memory[-1])


class Pool:
    """As many tensor sets of one dtype as calls ask for, of at least `elements` elements a tensor."""

    def __init__(self, dtype: str, elements: int, models: int, columns: int = COLUMNS) -> None:
        self.dtype = dtype
        self.columns = columns
        self.rows = max(1, -(-elements // columns))
        self.models = models
        self._sets: list[TensorSet] = []

    @property
    def elements(self) -> int:
        return self.rows * self.columns

    def take(self, count: int) -> list[TensorSet]:
        while len(self._sets) < count:
            self._sets.append(TensorSet(self.dtype, self.rows, self.columns, self.models, seed=len(self._sets)))
        return self._sets[:count]


def merged_count(method: str, models: int) -> int:
    """The number of tensors a method merges when there are `models` fine-tunes; the base counts where it is merged."""
    return model_count(method, models)


def base_is_apart(method: str) -> bool:
    """Whether the method reads a base that is not one of the merged models; an optional one is given."""
    return registered()[method]["base"] in ("required", "optional")


class KernelCall:
    """One method on some tensor sets, prepared: calling it runs the engine and nothing else.

    Each call starts at another set. `repeats` goes over the sets several times in one call.
    """

    def __init__(
        self, method: str, parameters: dict[str, Any], sets: list[TensorSet], dtype: str,
        *, threads: int, instruction_set: str, repeats: int = 1,
    ) -> None:  # fmt: skip
        self.method = method
        self.sets = sets
        count = merged_count(method, len(sets[0].models))
        buffers: list[tuple[int, int]] = []
        jobs = []
        rows, columns = sets[0].output.shape

        def place(tensor: torch.Tensor) -> tuple[int, int, str]:
            buffers.append((tensor.data_ptr(), tensor.nbytes))
            return len(buffers) - 1, 0, dtype

        for number, tensors in enumerate(sets):
            base = place(tensors.base) if base_is_apart(method) else None
            models = [place(tensor) for tensor in self.models(tensors, count)]
            jobs.append(("merge", f"layers.{number}.weight", rows, columns, 0, place(tensors.output), base, models))
        self.tensors = repeats * len(jobs)
        self.elements = self.tensors * rows * columns
        self.touched = sum(size for _, size in buffers)
        self._turns = [(jobs[i:] + jobs[:i]) * repeats for i in range(len(jobs))]
        self._next = 0
        self._arguments = [parameters], buffers
        needed = native().workspace_bytes(method, self._turns[0], *self._arguments, threads=threads)
        self._options = {
            "threads": threads, "instruction_set": instruction_set, "workspace": bytearray(needed),
        }  # fmt: skip

    def models(self, tensors: TensorSet, count: int) -> list[torch.Tensor]:
        """The merged tensors of a set, the base among them where the method merges it."""
        member = registered()[self.method]["base"] == "member"
        return [tensors.base, *tensors.models][:count] if member else tensors.models[:count]

    def __call__(self) -> dict[str, Any]:
        """Run once; the engine's report, with the bytes it read and wrote."""
        jobs = self._turns[self._next]
        self._next = (self._next + 1) % len(self._turns)
        report: dict[str, Any] = native().execute(self.method, jobs, *self._arguments, **self._options)
        return report

    def poison(self) -> None:
        for tensors in self.sets:
            tensors.poison()

    def checksums(self) -> list[int]:
        return [tensors.checksum() for tensors in self.sets]


def sets_for(method: str, pool: Pool, cache: int) -> list[TensorSet]:
    """So many sets that what the method reads and writes of them is five times the cache; at least two."""
    used = merged_count(method, pool.models) + base_is_apart(method) + 1
    itemsize = FORMATS[pool.dtype].bits // 8
    return pool.take(max(2, -(-ROTATION * cache // (used * pool.elements * itemsize))))

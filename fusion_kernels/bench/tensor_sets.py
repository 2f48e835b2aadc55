"""Tensors in memory for a benchmark to work on: sets of a base, its fine-tunes and an output, taken in turn.

Each tensor is at least as large as the last-level cache, so that a method's second pass over it finds nothing of the
first there; the tensors of a call are together at least five times as large, so that no call finds anything of the one
before.
"""

from __future__ import annotations

import zlib
from functools import cached_property

import numpy as np
import torch

__all__ = ["COLUMNS", "ROTATION", "TORCH_DTYPES", "Pool", "TensorSet", "sets_for"]

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
    """One tensor of a base, of its fine-tunes, and the output."""

    def __init__(self, base: torch.Tensor, models: list[torch.Tensor], output: torch.Tensor) -> None:
        self.base, self.models, self.output = base, models, output
        self.poison()

    @classmethod
    def drawn(cls, dtype: str, shape: tuple[int, int], models: int, seed: int, device: str = "cpu") -> TensorSet:
        """Weights of spread 0.02, changes of spread 0.001."""
        where = device if device.startswith("cuda") else "cpu"
        generator = torch.Generator(where).manual_seed(seed)

        def draw(spread: float) -> torch.Tensor:
            return torch.randn(shape, generator=generator, device=where).mul_(spread)

        base, *tuned, output = (_empty(dtype, shape, where) for _ in range(models + 2))
        base.copy_(draw(0.02))
        for model in tuned:
            model.copy_(base.float() + draw(0.001))
        return cls(base, tuned, output)

    @cached_property
    def _host_inputs(self) -> list[torch.Tensor]:
        return [tensor.cpu() for tensor in (self.base, *self.models)]

    def on_host(self) -> TensorSet:
        """The same numbers in the processor's memory, with an output of their own."""
        base, *models = self._host_inputs
        return TensorSet(base, models, torch.empty_like(base))

    def poison(self) -> None:
        """Fill the output with what no method writes, so that an earlier call's result cannot pass for this one's."""
        self.output.view(torch.uint8).fill_(POISON)

    def checksum(self) -> int:
        """Of the output's bytes, in the processor's memory."""
        return zlib.crc32(self.output.view(torch.uint8).numpy().data)

    def equals(self, other: TensorSet) -> bool:
        """Whether the outputs have the same bytes, wherever they are."""
        return torch.equal(*(tensors.output.cpu().view(torch.uint8) for tensors in (self, other)))


def _empty(dtype: str, shape: tuple[int, int], device: str) -> torch.Tensor:
    if device != "cpu":
        return torch.empty(shape, dtype=TORCH_DTYPES[dtype], device=device)
    # NumPy asks for huge pages, torch does not; both sides shall have the same memory.
    codes = np.empty(shape, np.dtype(f"i{TORCH_DTYPES[dtype].itemsize}"))
    return torch.from_numpy(codes).view(TORCH_DTYPES[dtype])


class Pool:
    """As many tensor sets of one dtype as calls ask for, of at least `elements` elements a tensor."""

    def __init__(self, dtype: str, elements: int, models: int, device: str = "cpu", columns: int = COLUMNS) -> None:
        self.dtype = dtype
        self.device = device
        self.columns = columns
        self.rows = max(1, -(-elements // columns))
        self.models = models
        self._sets: list[TensorSet] = []

    @property
    def elements(self) -> int:
        return self.rows * self.columns

    @property
    def bytes_each(self) -> int:
        return self.elements * TORCH_DTYPES[self.dtype].itemsize

    def take(self, count: int) -> list[TensorSet]:
        while len(self._sets) < count:
            seed, shape = len(self._sets), (self.rows, self.columns)
            self._sets.append(TensorSet.drawn(self.dtype, shape, self.models, seed, self.device))
        return self._sets[:count]


def sets_for(pool: Pool, used: int, cache: int) -> list[TensorSet]:
    """So many sets that the `used` tensors of each are together five times the cache; at least two."""
    return pool.take(max(2, -(-ROTATION * cache // (used * pool.bytes_each))))

"""Calls of one method's kernels on tensors in memory that allocate nothing while they run: on cores, or on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fusion_kernels._native import native
from fusion_kernels.bench.methods import base_is_apart, merged_count, registered
from fusion_kernels.bench.tensor_sets import TensorSet

__all__ = ["DeviceCall", "HostCall", "tensors_of"]

SEED = 1


def merged(method: str, tensors: TensorSet) -> list[torch.Tensor]:
    """The tensors of a set that a method merges, the base among them where it merges that."""
    count = merged_count(method, len(tensors.models))
    member = registered()[method]["base"] == "member"
    return [tensors.base, *tensors.models][:count] if member else tensors.models[:count]


def tensors_of(method: str, tensors: TensorSet) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
    """The base a method reads apart from the models, or None, and the models."""
    return tensors.base if base_is_apart(method) else None, merged(method, tensors)


class _Jobs:
    """Jobs of one output tensor each, and the buffers they name."""

    def __init__(self, method: str, dtype: str) -> None:
        self.method, self.dtype = method, dtype
        self.buffers: list[tuple[int, int]] = []
        self.jobs: list[tuple[Any, ...]] = []

    def add(
        self,
        number: int,
        shape: Sequence[int],
        base: tuple[int, int] | None,
        models: list[tuple[int, int]],
        output: tuple[int, int],
    ) -> None:
        def place(buffer: tuple[int, int]) -> tuple[int, int, str]:
            self.buffers.append(buffer)
            return len(self.buffers) - 1, 0, self.dtype

        start = None if base is None else place(base)
        inputs = [place(model) for model in models]
        self.jobs.append(("merge", f"layers.{number}.weight", *shape, 0, place(output), start, inputs))

    @property
    def touched(self) -> int:
        return sum(size for _, size in self.buffers)


def _buffer(tensor: torch.Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.nbytes


class HostCall:
    """One method on some tensor sets, prepared: calling it runs the engine on cores and nothing else.

    Each call starts at another set. `repeats` goes over the sets several times in one call.
    """

    def __init__(
        self, method: str, parameters: dict[str, Any], sets: list[TensorSet], dtype: str,
        *, threads: int | None = None, instruction_set: str = "", repeats: int = 1,
    ) -> None:  # fmt: skip
        self.method, self.sets = method, sets
        listed = _Jobs(method, dtype)
        for number, tensors in enumerate(sets):
            base, models = tensors_of(method, tensors)
            start = None if base is None else _buffer(base)
            listed.add(number, tensors.output.shape, start, [_buffer(x) for x in models], _buffer(tensors.output))
        jobs = listed.jobs
        self.tensors = repeats * len(jobs)
        self.elements = self.tensors * sets[0].output.numel()
        self.touched = listed.touched
        self._turns = [(jobs[i:] + jobs[:i]) * repeats for i in range(len(jobs))]
        self._next = 0
        self._arguments = [parameters], listed.buffers
        self._options: dict[str, Any] = {"instruction_set": instruction_set, "seed": SEED}
        if threads is not None:
            self._options["threads"] = threads
        chosen = {} if threads is None else {"threads": threads}
        needed = native().workspace_bytes(method, self._turns[0], *self._arguments, **chosen)
        self._options["workspace"] = bytearray(needed)

    def __call__(self) -> int:
        """Run once; the bytes it read and wrote."""
        jobs = self._turns[self._next]
        self._next = (self._next + 1) % len(self._turns)
        report = native().execute(self.method, jobs, *self._arguments, **self._options)
        return int(report["bytes_read"] + report["bytes_written"])

    def poison(self) -> None:
        for tensors in self.sets:
            tensors.poison()

    def checksums(self) -> list[int]:
        return [tensors.checksum() for tensors in self.sets]


class DeviceCall:
    """One method on tensor sets in a GPU's memory, prepared: calling it enqueues one merge for each set.

    An emulated GPU works on copies in a memory of its own.
    """

    def __init__(
        self, method: str, parameters: dict[str, Any], sets: list[TensorSet], dtype: str, device: str
    ) -> None:  # fmt: skip
        self.method, self.sets, self.device = method, sets, device
        self._emulated = not device.startswith("cuda")
        self._number = int(device.partition(":")[2] or 0)
        self._parameters = [parameters]
        self._held: list[Any] = []  # the emulated GPU's memory
        self._merges: list[_Jobs] = []
        for number, tensors in enumerate(sets):
            base, models = tensors_of(method, tensors)
            output = self._place(tensors.output)
            one = _Jobs(method, dtype)
            start = None if base is None else self._place(base)
            one.add(number, tensors.output.shape, start, [self._place(x) for x in models], output)
            self._merges.append(one)
        self.tensors = len(sets)
        self.elements = self.tensors * sets[0].output.numel()
        self.touched = sum(one.touched for one in self._merges)
        first = self._merges[0]
        self.workspace_bytes = native().device_workspace_bytes(method, first.jobs, self._parameters, first.buffers)
        self._workspace = self._place(
            torch.empty(max(16, self.workspace_bytes), dtype=torch.uint8, device="cpu" if self._emulated else device)
        )[0]

    def _place(self, tensor: torch.Tensor) -> tuple[int, int]:
        """The tensor's address there; an emulated GPU gets a copy of it."""
        if not self._emulated:
            self._held.append(tensor)
            return _buffer(tensor)
        memory = native().DeviceBytes(self._number, tensor.nbytes)
        memory.write(_bytes_of(tensor))
        self._held.append(memory)
        return memory.address, tensor.nbytes

    def __call__(self) -> int:
        """Enqueue once on torch's current stream; the bytes of all tensors, each once."""
        stream = 0 if self._emulated else torch.cuda.current_stream(self.device).cuda_stream
        for one in self._merges:
            native().merge_on_device(
                self.method, one.jobs, self._parameters, one.buffers,
                device=self._number, stream=stream, workspace=self._workspace, seed=SEED,
            )  # fmt: skip
        return self.touched

    def poison(self) -> None:
        for tensors in self.sets:
            tensors.poison()

    def fetch(self) -> None:
        """Have an emulated GPU's results in the sets, where a GPU's own are already."""
        if self._emulated:
            held = {memory.address: memory for memory in self._held}
            for one, tensors in zip(self._merges, self.sets, strict=True):
                held[one.buffers[-1][0]].read(_bytes_of(tensors.output))


def _bytes_of(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    return tensor.view(torch.uint8).reshape(-1).numpy()

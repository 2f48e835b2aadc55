"""What a test asks of the emulated GPUs that real ones would not be asked: faults, less memory, a trace of its work."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from device_calls import KIND

from fusion_kernels._native import native

needs_emulator = pytest.mark.skipif(KIND != "emulated", reason="needs the emulated GPU (FK_CUDA=EMULATED)")
FORWARD, REVERSE, RANDOM = range(3)  # orders of the threads of a block


def _controls() -> ctypes.CDLL:
    library = ctypes.CDLL(native().__file__)
    library.fk_emulator_set_device_memory.argtypes = [ctypes.c_size_t]
    library.fk_emulator_set_order.argtypes = [ctypes.c_int, ctypes.c_uint64]
    library.fk_emulator_lose_device_after.argtypes = [ctypes.c_int64]
    library.fk_emulator_launches.restype = ctypes.c_int64
    library.fk_emulator_allocated_bytes.restype = ctypes.c_size_t
    library.fk_emulator_open_stream.restype = ctypes.c_size_t
    library.fk_emulator_synchronise.argtypes = [ctypes.c_size_t]
    library.fk_emulator_traced.restype = ctypes.c_char_p
    return library


@contextmanager
def emulated_gpus(
    *, memory: int | None = None, lost_after: int | None = None, order: tuple[int, int] | None = None
) -> Iterator[ctypes.CDLL]:
    """The emulator's controls, with so many bytes a device, or with the device lost that gets that launch."""
    controls = _controls()
    controls.fk_emulator_reset()
    if memory is not None:
        controls.fk_emulator_set_device_memory(memory)
    if lost_after is not None:
        controls.fk_emulator_lose_device_after(lost_after)
    if order is not None:
        controls.fk_emulator_set_order(*order)
    try:
        yield controls
    finally:
        controls.fk_emulator_reset()


@dataclass(frozen=True)
class Call:
    """What the host asked of a stream: "in" and "out" are copies to and from the device."""

    what: str
    device: int
    stream: int
    nbytes: int


class Trace:
    """The calls of the host, in its order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def count(self, what: str) -> int:
        return Counter(call.what for call in self.calls)[what]

    def nbytes(self, what: str) -> int:
        return sum(call.nbytes for call in self.calls if call.what == what)

    def devices(self) -> set[int]:
        return {call.device for call in self.calls if call.what == "kernel"}


@contextmanager
def traced() -> Iterator[Trace]:
    """Everything that is asked of the emulated GPUs meanwhile; readable afterwards."""
    controls, trace = _controls(), Trace()
    controls.fk_emulator_trace(1)
    try:
        yield trace
    finally:
        controls.fk_emulator_trace(0)
        for line in controls.fk_emulator_traced().decode().splitlines():
            what, *numbers = line.split()
            trace.calls.append(Call(what, *map(int, numbers)))

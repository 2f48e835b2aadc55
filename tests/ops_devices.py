"""The operations on a GPU, for tests that run them on the processor too: on a real one, or on the emulated one.

A build with the emulated GPU runs its kernels for CPU tensors, through the same functions as torch's CUDA tensors. All
that they read and write is copied to memory that ends at an inaccessible page.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from device_calls import KIND

from fusion_kernels._native import native
from fusion_kernels.ops import _backend
from fusion_kernels.ops._gpu import Gpu

REAL = KIND == "cuda" and torch.cuda.is_available()
DEVICE = "cuda" if REAL else "cpu"
AVAILABLE = REAL or KIND == "emulated"
WHY_NOT = "this build has no GPU kernels (FK_CUDA=OFF)" if KIND is None else "this machine has no GPU"


class Emulated(Gpu):
    """The GPU's backend for tensors on the processor.

    Numbers are read from the device, or `known` beforehand. Tensors begin `shift` elements behind a boundary of 16
    bytes; what an operation works in always begins at one.
    """

    def __init__(self, known: bool = False, shift: int = 0) -> None:
        self.known = known
        self.shift = shift
        self.made: list[int] = []  # elements of every tensor

    def dense(self, tensor: torch.Tensor) -> torch.Tensor:
        dense = super().dense(tensor)
        return self.new(dense, dense.shape, dense.dtype).copy_(dense)

    def new(self, like: torch.Tensor, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        nothing = torch.empty(shape, dtype=dtype, device="meta")
        self.made.append(nothing.numel())
        if nothing.numel() == 0:
            return torch.empty(shape, dtype=dtype)
        before = 0 if dtype == torch.uint8 else self.shift
        size = (before + nothing.numel()) * nothing.element_size()
        memory = native().DeviceBytes(0, size)
        array = (ctypes.c_char * size).from_address(memory.address)
        array.owner = memory
        return torch.frombuffer(array, dtype=torch.uint8).view(dtype)[before:].view(tuple(shape))

    def queue(self, on: torch.Tensor) -> tuple[int, int]:
        return 0, 0

    def is_known(self, values: torch.Tensor) -> bool:
        return self.known


@contextmanager
def processor_as(backend: Emulated) -> Iterator[Emulated]:
    """CPU tensors are computed on by the backend."""
    before = _backend._BACKENDS["cpu"]
    _backend._BACKENDS["cpu"] = backend
    try:
        yield backend
    finally:
        _backend._BACKENDS["cpu"] = before


def as_gpu() -> AbstractContextManager[Any]:
    """Tensors on DEVICE are computed on by a GPU, which may be the emulated one."""
    return nullcontext() if REAL else processor_as(Emulated())


def moved(value: Any, device: str) -> Any:
    """The tensors of an argument, or of a result, on a device, as far behind a boundary of memory as they were."""
    if isinstance(value, torch.Tensor):
        before = value.storage_offset() if value.is_contiguous() else 0
        there = torch.empty(before + value.numel(), dtype=value.dtype, device=device)[before:].view(value.shape)
        return there.copy_(value.detach()).requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        return type(value)(moved(one, device) for one in value)
    return value


def on_gpu(operation: Callable[..., Any], *arguments: Any, emulated: Emulated | None = None, **options: Any) -> Any:
    """What an operation gives on the GPU for tensors on the processor, brought back there."""
    if REAL:
        there = {name: moved(value, "cuda") for name, value in options.items()}
        return moved(operation(*moved(arguments, "cuda"), **there), "cpu")
    with processor_as(emulated or Emulated()):
        return operation(*arguments, **options)

"""Checks memory that a caller lends the engine: to work in, or to write to."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import Any

from fusion_kernels.errors import quoted
from fusion_kernels.limits import format_bytes

__all__ = ["check_apart", "workspace_buffer"]


def workspace_buffer(workspace: Any, needed: int) -> ctypes.Array[ctypes.c_char]:
    """The memory of `workspace` (torch or numpy uint8, or any writable buffer) of at least `needed` bytes."""
    expected = "workspace: writable contiguous memory is expected (torch or numpy uint8, or a bytearray)"
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(workspace, torch.Tensor):
        if workspace.device.type != "cpu" or not workspace.is_contiguous():
            raise ValueError(f"{expected}, got a tensor on {workspace.device} with strides {tuple(workspace.stride())}")
        size = int(workspace.numel() * workspace.element_size())
        buffer: ctypes.Array[ctypes.c_char] = (ctypes.c_char * size).from_address(workspace.data_ptr())
    else:
        try:
            view = memoryview(workspace)
            buffer = (ctypes.c_char * view.nbytes).from_buffer(view)
        except (TypeError, ValueError, BufferError) as error:
            raise ValueError(f"{expected}, got {quoted(type(workspace).__name__)}: {error}") from None
    if len(buffer) < needed:
        raise ValueError(f"workspace has {len(buffer)} bytes, this call needs {needed} ({format_bytes(needed)})")
    return buffer


def check_apart(what: str, memory: tuple[int, int], others: Mapping[str, tuple[int, int]]) -> None:
    """Raises ValueError where address and bytes of `memory` overlap those of one of the others."""
    begin, nbytes = memory
    for label, (start, length) in others.items():
        if begin < start + length and start < begin + nbytes:
            raise ValueError(f"{what} shares memory with {label}; give memory of its own")

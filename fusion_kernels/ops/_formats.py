"""The engine's number formats as torch's dtypes, and a tensor's division into rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from fusion_kernels.dtypes import DTYPES, promote

__all__ = ["CODES", "compute_dtype", "promoted", "rows_of"]

CODES: dict[torch.dtype, str] = {
    getattr(torch, str(dtype.torch_name)): dtype.code
    for dtype in DTYPES.values()
    if dtype.mergeable and hasattr(torch, str(dtype.torch_name))
}
_TORCH: dict[str, torch.dtype] = {code: dtype for dtype, code in CODES.items()}


def promoted(tensors: Sequence[torch.Tensor | None]) -> torch.dtype:
    """The narrowest format that holds the values of all tensors: a result's where none is asked for."""
    return _TORCH[promote(CODES[tensor.dtype] for tensor in tensors if tensor is not None)]


def compute_dtype(tensors: Sequence[torch.Tensor | None]) -> torch.dtype:
    """What is computed in: float64 where that is among the tensors' formats, else float32."""
    return torch.float64 if promoted(tensors) is torch.float64 else torch.float32


def rows_of(shape: Sequence[int], by_row: bool) -> tuple[int, int]:
    """How many rows there are and how long they are: the first dimension's, one if there is no other, or if all is one.

    A tensor of no elements has as many rows as its first dimension says, however short.
    """
    if not by_row or len(shape) < 2:
        return 1, prod(shape)
    return shape[0], prod(shape[1:])

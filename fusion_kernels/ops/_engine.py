"""What a backend of the operations offers, and the memory of tensors as the engine is told of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fusion_kernels.ops._formats import CODES

__all__ = ["Backend", "given", "merge_call"]


class Backend(ABC):
    """Computes on the tensors of one kind of device. Arguments have been checked, tensors are dense()."""

    def dense(self, tensor: Tensor) -> Tensor:
        """The tensor with its elements in order, as the engine reads them."""
        return tensor.detach().resolve_neg().contiguous()

    def new(self, like: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor where another is, whatever torch's default device."""
        return like.new_empty(shape, dtype=dtype)

    @abstractmethod
    def numbers(self, values: Tensor) -> Any:
        """One float64 number for each model as `run` takes them; `values` is kept until that has returned."""

    @abstractmethod
    def run(self, operation: str, *arguments: Any, on: Tensor) -> None:
        """One of the engine's operations, on memory that it is given by address, where a tensor is."""

    @abstractmethod
    def merge(
        self, method: str, parameters: Mapping[str, Any], tensors: Sequence[Tensor], base: Tensor | None, out: Tensor
    ) -> None:
        """A merge method on one tensor of each model. NaN and infinities are what arithmetic makes of them."""

    @abstractmethod
    def linear_combination(self, tensors: Sequence[Tensor], base: Tensor | None, factors: Tensor, out: Tensor) -> None:
        """Σ c_k x_k, or base + Σ c_k (x_k − base), of float64 factors."""


def given(tensor: Tensor) -> tuple[int, str]:
    """A dense tensor's address and the code of its format."""
    return tensor.data_ptr(), CODES[tensor.dtype]


def merge_call(
    method: str, parameters: Mapping[str, Any], tensors: Sequence[Tensor], base: Tensor | None, out: Tensor
) -> tuple[Any, ...]:
    """The merge as the engine's only job (see fusion_kernels.jobs): method, jobs, parameters and buffers."""
    every = [*tensors, *([] if base is None else [base]), out]
    buffers = [(tensor.data_ptr(), tensor.numel() * tensor.element_size()) for tensor in every]
    views = [(index, 0, CODES[tensor.dtype]) for index, tensor in enumerate(every)]
    count = len(tensors)
    job = ("merge", "", 1, out.numel(), 0, views[-1], None if base is None else views[count], views[:count])
    return method, [job], [parameters], buffers

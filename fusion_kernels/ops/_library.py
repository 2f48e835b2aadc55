"""The operations in the form torch knows them: schema, computation by the device's backend, shapes for tracing.

    torch.ops.fusion_kernels.linear_combination(tensors, coefficients, base, dtype)

The functions of `fusion_kernels.ops` check their arguments and call these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fusion_kernels.ops import _computation
from fusion_kernels.ops._backend import backend_of
from fusion_kernels.ops._formats import compute_dtype, promoted, rows_of

__all__ = [
    "disjoint_mean", "dot_products", "elect_sign", "gram", "linear_combination", "magnitude_threshold", "norms",
    "sparsify_magnitude", "sparsify_random", "trimmed_mean",
]  # fmt: skip


def _operation(schema: str) -> Callable[[Callable[..., Any]], Any]:
    """An operation of the backend: the decorated function says what its result looks like, and gives it its name."""

    def decorate(shape_of: Callable[..., Any]) -> Any:
        name = shape_of.__name__

        def compute(*arguments: Any) -> Any:
            first = arguments[0]
            device = (first if isinstance(first, Tensor) else first[0]).device
            try:
                return getattr(_computation, name)(backend_of(device), *arguments)
            except torch.OutOfMemoryError as error:
                from fusion_kernels.errors import DeviceError

                raise DeviceError(
                    f"{name}: {device} has no room for the result and the work on it; free memory there, or give "
                    f"parts of the tensors one by one. torch says: {error}"
                ) from error

        operation = torch.library.custom_op(f"fusion_kernels::{name}", compute, mutates_args=(), schema=schema)
        operation.register_fake(shape_of)
        return operation

    return decorate


@_operation("(Tensor delta, float density, bool by_row) -> (Tensor, Tensor)")
def magnitude_threshold(delta: Tensor, density: float, by_row: bool) -> tuple[Tensor, Tensor]:
    shape = (rows_of(delta.shape, by_row)[0],) if by_row else ()
    return delta.new_empty(shape, dtype=compute_dtype([delta])), delta.new_empty(shape, dtype=torch.int64)


@_operation("(Tensor delta, Tensor threshold, Tensor last_index) -> Tensor")
def sparsify_magnitude(delta: Tensor, threshold: Tensor, last_index: Tensor) -> Tensor:
    return delta.new_empty(delta.shape)


@_operation("(Tensor delta, float density, int seed, str name, int model, bool rescale) -> Tensor")
def sparsify_random(delta: Tensor, density: float, seed: int, name: str, model: int, rescale: bool) -> Tensor:
    return delta.new_empty(delta.shape)


@_operation("(Tensor[] deltas, Tensor weights, bool by_count) -> Tensor")
def elect_sign(deltas: Sequence[Tensor], weights: Tensor, by_count: bool) -> Tensor:
    return deltas[0].new_empty(deltas[0].shape, dtype=torch.int8)


@_operation("(Tensor[] deltas, Tensor signs, Tensor weights, ScalarType? dtype) -> Tensor")
def disjoint_mean(deltas: Sequence[Tensor], signs: Tensor, weights: Tensor, dtype: torch.dtype | None) -> Tensor:
    return deltas[0].new_empty(deltas[0].shape, dtype=dtype or promoted(deltas))


@_operation("(Tensor[] tensors, float trim, ScalarType? dtype) -> Tensor")
def trimmed_mean(tensors: Sequence[Tensor], trim: float, dtype: torch.dtype | None) -> Tensor:
    return tensors[0].new_empty(tensors[0].shape, dtype=dtype or promoted(tensors))


@_operation("(Tensor[] tensors, Tensor coefficients, Tensor? base, ScalarType? dtype) -> Tensor")
def linear_combination(
    tensors: Sequence[Tensor], coefficients: Tensor, base: Tensor | None, dtype: torch.dtype | None
) -> Tensor:
    return tensors[0].new_empty(tensors[0].shape, dtype=dtype or promoted([*tensors, base]))


@_operation("(Tensor left, Tensor[] tensors, Tensor? base) -> Tensor")
def dot_products(left: Tensor, tensors: Sequence[Tensor], base: Tensor | None) -> Tensor:
    return left.new_empty((len(tensors),), dtype=torch.float64)


@_operation("(Tensor[] tensors, Tensor? base) -> Tensor")
def gram(tensors: Sequence[Tensor], base: Tensor | None) -> Tensor:
    return tensors[0].new_empty((len(tensors), len(tensors)), dtype=torch.float64)


@_operation("(Tensor[] tensors, Tensor? base, int p, bool by_row) -> Tensor")
def norms(tensors: Sequence[Tensor], base: Tensor | None, p: int, by_row: bool) -> Tensor:
    rows = (rows_of(tensors[0].shape, by_row)[0],) if by_row else ()
    return tensors[0].new_empty((len(tensors), *rows), dtype=torch.float64)

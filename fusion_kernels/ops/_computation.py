"""The operations on tensors of any device: results are allocated, and the backend is given addresses.

Arguments have been checked. What torch allocates and what the backend enqueues lie in the order of one stream.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusion_kernels.ops._engine import Backend, given
from fusion_kernels.ops._formats import compute_dtype, promoted, rows_of


def _as_double(coefficients: Tensor) -> Tensor:
    return coefficients.detach().to(torch.float64).contiguous()


def _all_dense(backend: Backend, tensors: Sequence[Tensor]) -> list[Tensor]:
    return [backend.dense(tensor) for tensor in tensors]


def _is_double(tensors: Sequence[Tensor | None]) -> bool:
    return promoted(tensors) is torch.float64


def magnitude_threshold(backend: Backend, delta: Tensor, density: float, by_row: bool) -> tuple[Tensor, Tensor]:
    dense = backend.dense(delta)
    rows, length = rows_of(delta.shape, by_row)
    shape = (rows,) if by_row else ()
    threshold, last = backend.new(delta, shape, compute_dtype([delta])), backend.new(delta, shape, torch.int64)
    addresses = threshold.data_ptr(), last.data_ptr()
    backend.run("find_cuts", given(dense), rows, length, density, *addresses, on=dense)
    return threshold, last


def sparsify_magnitude(backend: Backend, delta: Tensor, threshold: Tensor, last_index: Tensor) -> Tensor:
    dense, out = backend.dense(delta), backend.new(delta, delta.shape, delta.dtype)
    rows = threshold.numel()
    if rows == 0:
        return out
    thresholds = backend.dense(threshold.to(compute_dtype([delta])))
    last = backend.dense(last_index.to(torch.int64))
    addresses = thresholds.data_ptr(), last.data_ptr(), out.data_ptr()
    backend.run("keep_above", given(dense), rows, delta.numel() // rows, *addresses, on=dense)
    return out


def sparsify_random(
    backend: Backend, delta: Tensor, density: float, seed: int, name: str, model: int, rescale: bool
) -> Tensor:
    dense, out = backend.dense(delta), backend.new(delta, delta.shape, delta.dtype)
    drawing = density, seed % 2**64, model, name, rescale
    backend.run("keep_at_random", given(dense), delta.numel(), *drawing, out.data_ptr(), on=dense)
    return out


def elect_sign(backend: Backend, deltas: Sequence[Tensor], weights: Tensor, by_count: bool) -> Tensor:
    dense, numbers = _all_dense(backend, deltas), _as_double(weights)
    signs = backend.new(deltas[0], deltas[0].shape, torch.int8)
    if by_count:  # the engine counts them as they are: of a very small number float32 would have no sign
        numbers = (numbers > 0).double() - (numbers < 0).double()
    numbers = backend.dense(numbers)
    backend.run(
        "elect_sign", [given(delta) for delta in dense], backend.numbers(numbers), signs.numel(), _is_double(deltas),
        by_count, signs.data_ptr(), on=signs,
    )  # fmt: skip
    return signs


def disjoint_mean(
    backend: Backend, deltas: Sequence[Tensor], signs: Tensor, weights: Tensor, dtype: torch.dtype | None
) -> Tensor:
    dense, elected, numbers = _all_dense(backend, deltas), backend.dense(signs), backend.dense(_as_double(weights))
    out = backend.new(signs, signs.shape, dtype or promoted(deltas))
    backend.run(
        "disjoint_mean", [given(delta) for delta in dense], backend.numbers(numbers), elected.data_ptr(), out.numel(),
        given(out), on=out,
    )  # fmt: skip
    return out


def trimmed_mean(backend: Backend, tensors: Sequence[Tensor], trim: float, dtype: torch.dtype | None) -> Tensor:
    out = backend.new(tensors[0], tensors[0].shape, dtype or promoted(tensors))
    backend.merge("trimmed_mean", {"trim": trim}, _all_dense(backend, tensors), None, out)
    return out


def linear_combination(
    backend: Backend, tensors: Sequence[Tensor], coefficients: Tensor, base: Tensor | None, dtype: torch.dtype | None
) -> Tensor:
    dense, start = _all_dense(backend, tensors), None if base is None else backend.dense(base)
    out = backend.new(tensors[0], tensors[0].shape, dtype or promoted([*tensors, base]))
    backend.linear_combination(dense, start, backend.dense(_as_double(coefficients)), out)
    return out


def dot_products(backend: Backend, left: Tensor, tensors: Sequence[Tensor], base: Tensor | None) -> Tensor:
    one, dense = backend.dense(left), _all_dense(backend, tensors)
    start = None if base is None else backend.dense(base)
    out = backend.new(left, (len(tensors),), torch.float64)
    backend.run(
        "dot_products", given(one), [given(tensor) for tensor in dense], None if start is None else given(start),
        left.numel(), _is_double([left, *tensors, base]), out.data_ptr(), on=out,
    )  # fmt: skip
    return out


def gram(backend: Backend, tensors: Sequence[Tensor], base: Tensor | None) -> Tensor:
    dense, start = _all_dense(backend, tensors), None if base is None else backend.dense(base)
    out = backend.new(tensors[0], (len(tensors), len(tensors)), torch.float64)
    backend.run(
        "gram", [given(tensor) for tensor in dense], None if start is None else given(start), tensors[0].numel(),
        _is_double([*tensors, base]), out.data_ptr(), on=out,
    )  # fmt: skip
    return out


def norms(backend: Backend, tensors: Sequence[Tensor], base: Tensor | None, p: int, by_row: bool) -> Tensor:
    dense, start = _all_dense(backend, tensors), None if base is None else backend.dense(base)
    rows, length = rows_of(tensors[0].shape, by_row)
    out = backend.new(tensors[0], (len(tensors), rows) if by_row else (len(tensors),), torch.float64)
    backend.run(
        "norms", [given(tensor) for tensor in dense], None if start is None else given(start), rows, length,
        _is_double([*tensors, base]), p, out.data_ptr(), on=out,
    )  # fmt: skip
    return out

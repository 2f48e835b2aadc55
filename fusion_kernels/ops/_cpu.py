"""The operations on CPU memory: allocates results and hands addresses to the engine.

A backend for another device offers the same functions. Arguments have been checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fusion_kernels._native import native
from fusion_kernels.ops._formats import CODES, compute_dtype, promoted, rows_of

_Given = tuple[int, str]  # address and code


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().resolve_neg().contiguous()


def _new(like: torch.Tensor, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    return like.new_empty(shape, dtype=dtype)  # where the tensor is, whatever torch's default device


def _given(tensor: torch.Tensor) -> _Given:
    return tensor.data_ptr(), CODES[tensor.dtype]


def _numbers(coefficients: torch.Tensor) -> list[float]:
    numbers: list[float] = coefficients.detach().to("cpu", torch.float64).tolist()
    return numbers


def _is_double(dtype: torch.dtype) -> bool:
    return dtype is torch.float64


def magnitude_threshold(delta: torch.Tensor, density: float, by_row: bool) -> tuple[torch.Tensor, torch.Tensor]:
    dense = _dense(delta)
    rows, length = rows_of(delta.shape, by_row)
    shape = (rows,) if by_row else ()
    threshold, last = _new(dense, shape, compute_dtype([delta])), _new(dense, shape, torch.int64)
    threads = torch.get_num_threads()
    native().ops.find_cuts(_given(dense), rows, length, density, threshold.data_ptr(), last.data_ptr(), threads=threads)
    return threshold, last


def sparsify_magnitude(delta: torch.Tensor, threshold: torch.Tensor, last_index: torch.Tensor) -> torch.Tensor:
    dense, out = _dense(delta), _new(delta, delta.shape, delta.dtype)
    rows = threshold.numel()
    if rows == 0:
        return out
    threshold, last = threshold.to(compute_dtype([delta])).contiguous(), last_index.to(torch.int64).contiguous()
    addresses = threshold.data_ptr(), last.data_ptr(), out.data_ptr()
    native().ops.keep_above(_given(dense), rows, delta.numel() // rows, *addresses, threads=torch.get_num_threads())
    return out


def sparsify_random(
    delta: torch.Tensor, density: float, seed: int, name: str, model: int, rescale: bool
) -> torch.Tensor:
    dense, out = _dense(delta), _new(delta, delta.shape, delta.dtype)
    native().ops.keep_at_random(
        _given(dense), delta.numel(), density, seed % 2**64, model, name, rescale, out.data_ptr(),
        threads=torch.get_num_threads(),
    )  # fmt: skip
    return out


def elect_sign(deltas: Sequence[torch.Tensor], weights: torch.Tensor, by_count: bool) -> torch.Tensor:
    dense, signs = [_dense(delta) for delta in deltas], _new(deltas[0], deltas[0].shape, torch.int8)
    native().ops.elect_sign(
        [_given(delta) for delta in dense], _numbers(weights), signs.numel(), _is_double(promoted(deltas)), by_count,
        signs.data_ptr(), threads=torch.get_num_threads(),
    )  # fmt: skip
    return signs


def disjoint_mean(
    deltas: Sequence[torch.Tensor], signs: torch.Tensor, weights: torch.Tensor, dtype: torch.dtype | None
) -> torch.Tensor:
    dense, elected = [_dense(delta) for delta in deltas], signs.contiguous()
    out = _new(signs, signs.shape, dtype or promoted(deltas))
    native().ops.disjoint_mean(
        [_given(delta) for delta in dense], _numbers(weights), elected.data_ptr(), out.numel(), _given(out),
        threads=torch.get_num_threads(),
    )  # fmt: skip
    return out


def trimmed_mean(tensors: Sequence[torch.Tensor], trim: float, dtype: torch.dtype | None) -> torch.Tensor:
    return _merged("trimmed_mean", {"trim": trim}, tensors, None, dtype)


def linear_combination(
    tensors: Sequence[torch.Tensor], coefficients: torch.Tensor, base: torch.Tensor | None, dtype: torch.dtype | None
) -> torch.Tensor:
    parameters = {"weight": _numbers(coefficients), "normalize": False}
    if base is None:
        return _merged("linear", parameters, tensors, None, dtype)
    return _merged("task_arithmetic", {**parameters, "lambda": 1.0}, tensors, base, dtype)


def dot_products(left: torch.Tensor, tensors: Sequence[torch.Tensor], base: torch.Tensor | None) -> torch.Tensor:
    one, dense = _dense(left), [_dense(tensor) for tensor in tensors]
    start = None if base is None else _dense(base)
    out = _new(left, (len(tensors),), torch.float64)
    native().ops.dot_products(
        _given(one), [_given(tensor) for tensor in dense], None if start is None else _given(start), left.numel(),
        _is_double(promoted([left, *tensors, base])), out.data_ptr(), threads=torch.get_num_threads(),
    )  # fmt: skip
    return out


def gram(tensors: Sequence[torch.Tensor], base: torch.Tensor | None) -> torch.Tensor:
    dense, start = [_dense(tensor) for tensor in tensors], None if base is None else _dense(base)
    out = _new(tensors[0], (len(tensors), len(tensors)), torch.float64)
    native().ops.gram(
        [_given(tensor) for tensor in dense], None if start is None else _given(start), tensors[0].numel(),
        _is_double(promoted([*tensors, base])), out.data_ptr(), threads=torch.get_num_threads(),
    )  # fmt: skip
    return out


def norms(tensors: Sequence[torch.Tensor], base: torch.Tensor | None, p: int, by_row: bool) -> torch.Tensor:
    dense, start = [_dense(tensor) for tensor in tensors], None if base is None else _dense(base)
    rows, length = rows_of(tensors[0].shape, by_row)
    out = _new(tensors[0], (len(tensors), rows) if by_row else (len(tensors),), torch.float64)
    native().ops.norms(
        [_given(tensor) for tensor in dense], None if start is None else _given(start), rows, length,
        _is_double(promoted([*tensors, base])), p, out.data_ptr(), threads=torch.get_num_threads(),
    )  # fmt: skip
    return out


def _merged(
    method: str,
    parameters: Mapping[str, Any],
    tensors: Sequence[torch.Tensor],
    base: torch.Tensor | None,
    dtype: torch.dtype | None,
) -> torch.Tensor:
    """A merge method's result, of one tensor of each model. NaN and infinities are what arithmetic makes of them."""
    dense = [_dense(tensor) for tensor in tensors] + ([] if base is None else [_dense(base)])
    out = _new(tensors[0], tensors[0].shape, dtype or promoted([*tensors, base]))
    buffers = [(tensor.data_ptr(), tensor.numel() * tensor.element_size()) for tensor in [*dense, out]]
    views = [(index, 0, CODES[tensor.dtype]) for index, tensor in enumerate([*dense, out])]
    count = len(tensors)
    job = ("merge", "", 1, out.numel(), 0, views[-1], None if base is None else views[count], views[:count])
    native().execute(method, [job], [parameters], buffers, threads=torch.get_num_threads(), allow_nonfinite=True)
    return out

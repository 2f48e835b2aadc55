"""What the geometry of models is made of: their dot products and norms, in the engine's one order of summation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from fusion_kernels.ops import _library
from fusion_kernels.ops._inputs import base_tensor, choice, many_tensors

__all__ = ["gram", "norms"]


def gram(tensors: Sequence[Tensor] | Tensor, *, base: Tensor | None = None) -> Tensor:
    """The matrix of dot products <x_j, x_k> or, with a base, <x_j − base, x_k − base>.

    Angles, interpolation on spheres and averages of directions need nothing else of the models (slerp, karcher and
    model_stock are made of it). Products of float32 values are exact in float64, in which they are added: in blocks of
    4096 elements, 64 lanes in each, then in a binary tree, so that the sums are the same bits everywhere.

    tensors: a list of K equally shaped tensors, or one with K first.
    base: a tensor of their shape; differences are rounded to the compute type.

    Returns a symmetric K × K tensor of dtype float64. Raises ValueError where shapes or dtypes do not fit, naming the
    tensor; DeviceError for a device it cannot run on.
    """
    models = many_tensors(tensors, "tensors")
    products: Tensor = _library.gram(models, base_tensor(base, models, "tensors"))
    return products


def norms(
    tensors: Sequence[Tensor] | Tensor,
    *,
    base: Tensor | None = None,
    p: Literal[1, 2] = 2,
    per: Literal["tensor", "row"] = "tensor",
) -> Tensor:
    """The norms of the tensors or, with a base, of their differences from it: Σ |x| for p = 1, √Σ x² for p = 2.

    Summed as :func:`gram` says, anew for each row.

    tensors: a list of K equally shaped tensors, or one with K first.
    base: a tensor of their shape.
    p: 1 or 2.
    per: "tensor", or "row" for the norm of each row: what belongs to one index of the first dimension. A tensor of
        fewer than two dimensions is one row.

    Returns a float64 tensor of shape (K,), or (K, rows). Raises ValueError where shapes or dtypes do not fit, naming
    the tensor; DeviceError for a device it cannot run on.
    """
    models = many_tensors(tensors, "tensors")
    start = base_tensor(base, models, "tensors")
    if p not in (1, 2) or isinstance(p, bool):
        raise ValueError(f"p: 1 or 2 is expected, got {p!r}")
    found: Tensor = _library.norms(models, start, int(p), choice(per, "per", ("tensor", "row")) == "row")
    return found

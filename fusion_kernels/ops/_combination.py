"""Combines models element by element: weighted, with gradients, or without the extremes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusion_kernels.ops import _gradients as _gradients  # the operations' gradients are registered there
from fusion_kernels.ops import _library
from fusion_kernels.ops._inputs import base_tensor, coefficient_tensor, many_tensors, number, out_dtype

__all__ = ["linear_combination", "trimmed_mean"]


def linear_combination(
    tensors: Sequence[Tensor] | Tensor,
    coefficients: Sequence[float] | Tensor,
    *,
    base: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Σ c_k x_k or, with a base, base + Σ c_k (x_k − base), in one pass over the tensors.

    The first is a weighted sum (model soups: Wortsman et al. 2022, arXiv:2203.05482), the second task arithmetic
    (Ilharco et al. 2023, arXiv:2212.04089). Coefficients are not normalised. Terms are added in the order given.

    Differentiable, as often as wanted: ∂/∂c_k = <g, x_k − base>, ∂/∂x_k = c_k g, ∂/∂base = (1 − Σ c_k) g. The
    gradients of all coefficients take one pass over the tensors, and no memory of their size: coefficients can be
    learned (AdaMerging: Yang et al. 2024, arXiv:2310.02575) at the cost of one combination each way.

    tensors: a list of K equally shaped tensors, or one with K first.
    coefficients: K numbers, as a list or a 1-D tensor on the tensors' device; rounded to the compute type.
    base: a tensor of their shape.
    dtype: of the result; by default the common one of the tensors and the base.

    Returns a tensor of their shape. NaN and infinities follow IEEE arithmetic. Raises ValueError where shapes, dtypes
    or counts do not fit, naming the tensor; DeviceError for a device it cannot run on.
    """
    models = many_tensors(tensors, "tensors")
    start = base_tensor(base, models, "tensors")
    numbers = coefficient_tensor(coefficients, "coefficients", models, "tensors")
    combined: Tensor = _library.linear_combination(models, numbers, start, out_dtype(dtype))
    return combined


def trimmed_mean(tensors: Sequence[Tensor] | Tensor, trim: float, *, dtype: torch.dtype | None = None) -> Tensor:
    """The average of each element's values without the smallest and the largest of them.

    Of K values g = min(floor(trim · K), (K − 1) // 2) go at either end, and the K − 2g others are averaged (Yin et al.
    2018, arXiv:1803.01498); trim 0.5 is the median. -0 is below +0, equals are in the order of the models, and a NaN in
    any model is a NaN in the result.

    tensors: a list of K equally shaped tensors, or one with K first.
    trim: the share that goes at either end, from 0 to 0.5.
    dtype: of the result; by default the tensors' common one.

    Returns a tensor of their shape. Raises ValueError where shapes, dtypes or the share do not fit, naming the tensor;
    DeviceError for a device it cannot run on.
    """
    models = many_tensors(tensors, "tensors")
    mean: Tensor = _library.trimmed_mean(models, number(trim, "trim", 0, 0.5), out_dtype(dtype))
    return mean

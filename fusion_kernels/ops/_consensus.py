"""How models that disagree about an element's sign come to one value: the election and the mean of TIES."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from fusion_kernels.ops import _library
from fusion_kernels.ops._inputs import choice, coefficient_tensor, many_tensors, out_dtype, sign_tensor

__all__ = ["disjoint_mean", "elect_sign"]


def elect_sign(
    deltas: Sequence[Tensor] | Tensor,
    weights: Sequence[float] | Tensor | None = None,
    *,
    by: Literal["sum", "count"] = "sum",
) -> Tensor:
    """The sign that each element of the task vectors elects (TIES: Yadav et al. 2023, arXiv:2306.01708).

    by="sum": sign(Σ w_k d_k), the terms added in the order of the models. by="count": the sign that more of the w_k d_k
    have than have the other.

    deltas: a list of K equally shaped tensors, or one with K first.
    weights: w_k, K numbers as a list or a 1-D tensor; all 1 if None. In a count only their signs matter.

    Returns an int8 tensor of a delta's shape: -1, 0 or +1. It is 0 where the sum is zero or NaN, or as many models have
    one sign as the other; zeros and NaN have no sign to count. Of a zero, ties and dare_ties elect + with
    zero_sign="positive", their default, and nobody with "none".

    Raises ValueError where shapes, dtypes or counts do not fit, naming the tensor; DeviceError for a device it cannot
    run on.
    """
    models = many_tensors(deltas, "deltas")
    numbers = coefficient_tensor(weights, "weights", models, "deltas")
    by_count = choice(by, "by", ("sum", "count")) == "count"
    signs: Tensor = _library.elect_sign(models, numbers, by_count)
    return signs


def disjoint_mean(
    deltas: Sequence[Tensor] | Tensor,
    signs: Tensor,
    weights: Sequence[float] | Tensor | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The average, element by element, of the task vectors that have the elected sign.

    Σ w_k d_k / Σ w_k over the k for which w_k d_k has the sign (TIES: Yadav et al. 2023, arXiv:2306.01708). Zeros and
    NaN agree with nobody. The result is 0 where nobody agrees and where the sign is 0. Where the w_k of those that
    agree add up to 0 the sum is not divided.

    deltas: a list of K equally shaped tensors, or one with K first.
    signs: an int8 tensor of a delta's shape, -1, 0 or +1, as :func:`elect_sign` gives.
    weights: w_k, K numbers as a list or a 1-D tensor; all 1 if None.
    dtype: of the result; by default the deltas' common one.

    Returns a tensor of a delta's shape. Raises ValueError where shapes, dtypes or counts do not fit, naming the tensor;
    DeviceError for a device it cannot run on.
    """
    models = many_tensors(deltas, "deltas")
    elected = sign_tensor(signs, models, "deltas")
    numbers = coefficient_tensor(weights, "weights", models, "deltas")
    mean: Tensor = _library.disjoint_mean(models, elected, numbers, out_dtype(dtype))
    return mean

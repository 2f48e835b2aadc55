"""The gradients of a linear combination, and of the dot products they are made of: each is made of the other.

    out = base + Σ c_k (x_k − base)      ∂/∂c_k = <g, x_k − base>   ∂/∂x_k = c_k g   ∂/∂base = (1 − Σ c_k) g
    s_k = <l, x_k − base>                ∂/∂l = Σ u_k (x_k − base)  ∂/∂x_k = u_k l   ∂/∂base = −(Σ u_k) l

So gradients can be taken of gradients. Those of the coefficients read every model once and store nothing of its size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fusion_kernels.ops._library import dot_products, linear_combination

__all__: list[str] = []


def _scaled(tensor: Tensor, factor: Tensor, dtype: torch.dtype) -> Tensor:
    result: Tensor = linear_combination([tensor], factor.reshape(1), None, dtype)
    return result


def _combination_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    tensors, coefficients, base, _ = inputs
    ctx.dtypes = [tensor.dtype for tensor in tensors]
    ctx.base_dtype = None if base is None else base.dtype
    # The models are needed for the coefficients' gradient alone.
    ctx.save_for_backward(coefficients, *([*tensors, base] if coefficients.requires_grad else []))


def _combination_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    coefficients, *rest = ctx.saved_tensors
    wants_tensors, wants_coefficients, wants_base, _ = ctx.needs_input_grad
    tensors: list[Tensor | None] = [
        _scaled(gradient, coefficients[k], dtype) if wanted else None
        for k, (dtype, wanted) in enumerate(zip(ctx.dtypes, wants_tensors, strict=True))
    ]
    of_coefficients = of_base = None
    if wants_coefficients:
        *models, base = rest
        of_coefficients = dot_products(gradient, models, base).to(coefficients.dtype)
    if wants_base:
        of_base = _scaled(gradient, 1 - coefficients.double().sum(), ctx.base_dtype)
    return tensors, of_coefficients, of_base, None


def _products_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    left, tensors, base = inputs
    ctx.save_for_backward(left, *tensors, base)


def _products_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    left, *tensors, base = ctx.saved_tensors
    wants_left, wants_tensors, wants_base = ctx.needs_input_grad
    of_left = of_base = None
    if wants_left:
        terms, factors = tensors, gradient
        if base is not None:
            terms, factors = [*tensors, base], torch.cat([gradient, -gradient.sum().reshape(1)])
        of_left = linear_combination(terms, factors, None, left.dtype)
    of_tensors: list[Tensor | None] = [
        _scaled(left, gradient[k], tensor.dtype) if wanted else None
        for k, (tensor, wanted) in enumerate(zip(tensors, wants_tensors, strict=True))
    ]
    if wants_base:
        of_base = _scaled(left, -gradient.sum(), base.dtype)
    return of_left, of_tensors, of_base


linear_combination.register_autograd(_combination_backward, setup_context=_combination_context)
dot_products.register_autograd(_products_backward, setup_context=_products_context)

"""Registers small merge methods written in Python, for tests that run them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fusion_kernels import MergeInfo, PerModel, merge_method


def register(name: str = "mine", **options: Any) -> list[tuple[list[torch.Tensor], torch.Tensor | None, MergeInfo]]:
    """A method that adds the weighted differences from the base, if there is one; returns what it is called with."""
    calls = []

    @merge_method(name, **options)
    def mine(tensors, base, *, info, weight: PerModel[float] = 0.5, factor: float = 1.0):
        calls.append(([tensor.clone() for tensor in tensors], None if base is None else base.clone(), info))
        start = torch.zeros_like(tensors[0]) if base is None else base
        return start + factor * sum(w * (tensor - start) for w, tensor in zip(weight, tensors, strict=True))

    return calls


def register_function(function: Callable[..., Any], **options: Any) -> None:
    @merge_method("mine", **options)
    def mine(tensors, base, *, info):
        return function(tensors, base, info)

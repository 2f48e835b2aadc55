"""The processor as a backend of the operations: on all threads torch may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fusion_kernels._native import native
from fusion_kernels.ops._engine import Backend, merge_call

__all__ = ["Cpu"]


class Cpu(Backend):
    """Computes at once."""

    def numbers(self, values: Tensor) -> Any:
        return values.tolist()

    def run(self, operation: str, *arguments: Any, on: Tensor) -> None:
        getattr(native().ops, operation)(*arguments, threads=torch.get_num_threads())

    def merge(
        self, method: str, parameters: Mapping[str, Any], tensors: Sequence[Tensor], base: Tensor | None, out: Tensor
    ) -> None:
        call = merge_call(method, parameters, tensors, base, out)
        native().execute(*call, threads=torch.get_num_threads(), allow_nonfinite=True)

    def linear_combination(self, tensors: Sequence[Tensor], base: Tensor | None, factors: Tensor, out: Tensor) -> None:
        parameters = {"weight": self.numbers(factors), "normalize": False}
        if base is None:
            self.merge("linear", parameters, tensors, None, out)
        else:
            self.merge("task_arithmetic", {**parameters, "lambda": 1.0}, tensors, base, out)

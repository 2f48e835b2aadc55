"""No merging: every model of the pool on its own, what merged models are compared with."""

from __future__ import annotations

from typing import Any

from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.modelpool.base import BaseModelPool


class IndividualModels(BaseAlgorithm):
    """Returns the pool itself, whose models the program evaluates one after the other.

    Where models bear the names of tasks, tables take each model's score on its own task, and divide others' by it.
    """

    def run(self, modelpool: Any) -> BaseModelPool:
        return BaseModelPool.of(modelpool)

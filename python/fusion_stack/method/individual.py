"""No merging: every model of the pool on its own, what merged models are compared with."""

from __future__ import annotations

from typing import Any, ClassVar

from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.modelpool.base import BaseModelPool


class IndividualModels(BaseAlgorithm):
    """Returns the pool itself, whose models the program evaluates one after the other.

    Where models bear the names of tasks, each is evaluated on its own, and tables divide other methods' scores by its.
    """

    merges: ClassVar[bool] = False

    def run(self, modelpool: Any) -> BaseModelPool:
        return BaseModelPool.of(modelpool)

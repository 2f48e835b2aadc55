"""No merging: hands the base, or the first model, to the taskpool, to evaluate one model as it is."""

from __future__ import annotations

from typing import Any, ClassVar

from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.modelpool.base import BaseModelPool


class DummyAlgorithm(BaseAlgorithm):
    """Returns the pool's `_pretrained_` model, or its first where it has none."""

    merges: ClassVar[bool] = False

    def run(self, modelpool: Any) -> Any:
        """`modelpool`: a pool, modules in a list or dictionary, or one module, which is returned."""
        pool = BaseModelPool.of(modelpool)
        return pool.load_pretrained_or_first_model()

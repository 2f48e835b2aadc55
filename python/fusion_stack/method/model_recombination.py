"""Model recombination: which model supplies which part is shuffled (Chen et al. 2023, arXiv:2305.10730)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.serialization import auto_register_config


@auto_register_config
class ModelRecombinationAlgorithm(BaseAlgorithm):
    """Makes as many models as there are, each part of each taken from one of them, no part twice.

    A part is a layer of a ModuleList, an entry of a ModuleDict, or an entry of any other module's state dict. Parts of
    lists and dictionaries are shared with the pool's models, not copied. The program's seed decides the shuffle.

    return_modelpool: the pool of all of them (true, and None), or the first (false).
    """

    return_modelpool: bool | None

    def __init__(self, return_modelpool: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def run(self, modelpool: Any, return_modelpool: bool = True) -> Any:
        """Returns a modelpool, or its first model. The argument counts where the attribute is None."""
        pool = BaseModelPool.of(modelpool)
        models = list(pool.models())
        if not models:
            raise ValueError("recombination needs models; the modelpool has none besides special ones")
        made = BaseModelPool.like(pool, dict(zip(pool.model_names, _recombined(models), strict=True)))
        every = return_modelpool if self.return_modelpool is None else self.return_modelpool
        return made if every else made.load_model(made.model_names[0])


def _recombined(models: Sequence[Any]) -> list[Any]:
    from torch import nn

    first = models[0]
    if isinstance(first, nn.ModuleList):
        columns = [_shuffled([model[index] for model in models]) for index in range(len(first))]
        return [nn.ModuleList(row) for row in zip(*columns, strict=True)]
    if isinstance(first, nn.ModuleDict):
        columns = [_shuffled([model[key] for model in models]) for key in first]
        return [nn.ModuleDict(dict(zip(first, row, strict=True))) for row in zip(*columns, strict=True)]
    from copy import deepcopy

    states = [model.state_dict() for model in models]
    columns = [_shuffled([state[key] for state in states]) for key in states[0]]
    made = [deepcopy(model) for model in models]
    for model, row in zip(made, zip(*columns, strict=True), strict=True):
        model.load_state_dict(dict(zip(states[0], row, strict=True)))
    return made


def _shuffled(parts: list[Any]) -> list[Any]:
    random.shuffle(parts)
    return parts

"""Ensembles: the mean, a weighted mean or the maximum of the models' outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.serialization import auto_register_config


@auto_register_config
class SimpleEnsembleAlgorithm(BaseAlgorithm):
    """Mean of the outputs. device_map: {model number: device}, None to leave the models where they are."""

    device_map: Mapping[int, Any] | None

    def __init__(self, device_map: Mapping[int, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def run(self, modelpool: Any) -> Any:
        """Returns a module that holds every model of the pool."""
        from fusion_stack.method.ensemble.wrappers import EnsembleModule

        return EnsembleModule(_loaded(modelpool), self.device_map)


@auto_register_config
class WeightedEnsembleAlgorithm(BaseAlgorithm):
    """Weighted mean of the outputs. weights: one a model, None for equal ones. normalize: divide by their sum."""

    normalize: bool
    weights: Sequence[float] | None

    def __init__(self, normalize: bool = True, weights: Sequence[float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def run(self, modelpool: Any) -> Any:
        """Returns a module that holds every model of the pool. Raises ValueError for another number of weights."""
        from fusion_stack.method.ensemble.wrappers import WeightedEnsembleModule

        models = _loaded(modelpool)
        weights = [1 / len(models)] * len(models) if self.weights is None else list(self.weights)
        return WeightedEnsembleModule(models, weights, self.normalize)


class MaxModelPredictorAlgorithm(BaseAlgorithm):
    """The largest output of any model, element by element."""

    def run(self, modelpool: Any) -> Any:
        """Returns a module that holds every model of the pool."""
        from fusion_stack.method.ensemble.wrappers import MaxModelPredictor

        return MaxModelPredictor(_loaded(modelpool))


def _loaded(modelpool: Any) -> list[Any]:
    pool = BaseModelPool.of(modelpool)
    if not len(pool):
        raise ValueError("an ensemble needs models; the modelpool has none besides special ones")
    return list(pool.models())

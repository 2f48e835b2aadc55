"""Merging methods: `method/<name>/<variant>.py` holds a class, `config/method/<name>/<variant>.yaml` its defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_stack.method.base import BaseAlgorithm as BaseAlgorithm
    from fusion_stack.method.base import BaseMethod as BaseMethod
    from fusion_stack.method.base import BaseModelFusionAlgorithm as BaseModelFusionAlgorithm
    from fusion_stack.method.dare.ties_merging import DareTiesMerging as DareTiesMerging
    from fusion_stack.method.dummy import DummyAlgorithm as DummyAlgorithm
    from fusion_stack.method.engine.merge import EngineMethod as EngineMethod
    from fusion_stack.method.ensemble.ensemble import MaxModelPredictorAlgorithm as MaxModelPredictorAlgorithm
    from fusion_stack.method.ensemble.ensemble import SimpleEnsembleAlgorithm as SimpleEnsembleAlgorithm
    from fusion_stack.method.ensemble.ensemble import WeightedEnsembleAlgorithm as WeightedEnsembleAlgorithm
    from fusion_stack.method.individual import IndividualModels as IndividualModels
    from fusion_stack.method.linear.llama_expo import ExPOAlgorithmForLlama as ExPOAlgorithmForLlama
    from fusion_stack.method.model_recombination import ModelRecombinationAlgorithm as ModelRecombinationAlgorithm

_HOMES = {
    "BaseAlgorithm": "base",
    "BaseMethod": "base",
    "BaseModelFusionAlgorithm": "base",
    "DareTiesMerging": "dare.ties_merging",
    "DummyAlgorithm": "dummy",
    "EngineMethod": "engine.merge",
    "ExPOAlgorithmForLlama": "linear.llama_expo",
    "IndividualModels": "individual",
    "MaxModelPredictorAlgorithm": "ensemble.ensemble",
    "ModelRecombinationAlgorithm": "model_recombination",
    "SimpleEnsembleAlgorithm": "ensemble.ensemble",
    "WeightedEnsembleAlgorithm": "ensemble.ensemble",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    from fusion_stack.lazy import load

    return load(__name__, _HOMES, name)

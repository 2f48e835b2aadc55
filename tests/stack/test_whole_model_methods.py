"""Methods that keep or shuffle whole models: ensembles, recombination."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fusion_stack.method import (
    MaxModelPredictorAlgorithm,
    ModelRecombinationAlgorithm,
    SimpleEnsembleAlgorithm,
    WeightedEnsembleAlgorithm,
)

torch = pytest.importorskip("torch")


def linear_models(*rows: list[list[float]]) -> dict[str, Any]:
    models = {}
    for number, weight in enumerate(rows):
        models[f"model{number}"] = torch.nn.Linear(len(weight[0]), len(weight), bias=False)
        models[f"model{number}"].weight.data = torch.tensor(weight)
    return models


def test_ensembles_combine_outputs() -> None:
    models = linear_models([[1.0, 0.0], [4.0, 0.0]], [[3.0, 0.0], [0.0, 0.0]])
    x = torch.tensor([[1.0, 5.0]])
    for method, expected in (
        (SimpleEnsembleAlgorithm(), [[2.0, 2.0]]),
        (SimpleEnsembleAlgorithm(device_map={0: "cpu", 1: "cpu"}), [[2.0, 2.0]]),
        (WeightedEnsembleAlgorithm(weights=[3, 1]), [[1.5, 3.0]]),
        (WeightedEnsembleAlgorithm(weights=[3, 1], normalize=False), [[6.0, 12.0]]),
        (WeightedEnsembleAlgorithm(), [[2.0, 2.0]]),
        (MaxModelPredictorAlgorithm(), [[3.0, 4.0]]),
    ):
        assert method.run(models)(x).tolist() == expected
    with pytest.raises(ValueError, match="1 weights for 2 models"):
        WeightedEnsembleAlgorithm(weights=[1.0]).run(models)


def test_an_ensemble_of_language_models_returns_their_output_class(modules: dict[str, Any]) -> None:
    ensemble = SimpleEnsembleAlgorithm().run({name: modules[name] for name in "ab"})
    ids = torch.tensor([[1, 2, 3]])
    output = ensemble(input_ids=ids, use_cache=False)
    expected = (modules["a"](ids).logits + modules["b"](ids).logits) / 2
    torch.testing.assert_close(output.logits, expected)


def test_recombination_takes_every_part_once() -> None:
    models = linear_models([[1.0]], [[2.0]], [[3.0]])
    lists = {name: torch.nn.ModuleList([model, torch.nn.Linear(1, 1)]) for name, model in models.items()}
    dicts = {name: torch.nn.ModuleDict({"one": model}) for name, model in models.items()}
    random.seed(1)
    for given, read in (
        (models, lambda model: model.weight),
        (lists, lambda model: model[0].weight),
        (dicts, lambda model: model["one"].weight),
    ):
        pool = ModelRecombinationAlgorithm().run(given)
        assert sorted(read(model).item() for model in pool.models()) == [1.0, 2.0, 3.0]
    one = ModelRecombinationAlgorithm(return_modelpool=False).run(models)
    assert one.weight.item() in (1.0, 2.0, 3.0)

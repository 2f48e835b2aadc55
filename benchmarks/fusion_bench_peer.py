"""The methods that are compared with fusion-bench, and, run by the Python that has it, its results.

Imported by parity_fusion_bench.py for the cases alone; nothing but torch and safetensors is needed for that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

SHAPES = {
    "embedding.weight": (60, 48),
    "first.weight": (64, 48),
    "first.bias": (64,),
    "norm.weight": (64,),
    "norm.bias": (64,),
    "second.weight": (96, 64),
    "second.bias": (96,),
}


@dataclass(frozen=True)
class Case:
    """One method with one set of parameters, under the same names on both sides.

    peer: class in fusion_bench.method. models: how many fine-tunes take part, None for all. base: whether it does, too.
    ulps: how far results may be apart, in units of the last place of the largest term.
    """

    name: str
    peer: str
    engine_method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    models: int | None = None
    base: bool = True
    random: bool = False
    ulps: float = 8

    @property
    def stem(self) -> str:
        """Of the file for the result."""
        return self.name.replace("/", "-").replace(" ", "-")

    def takes(self, names: Iterable[str]) -> list[str]:
        """The models that take part."""
        fine_tunes = [name for name in names if name != "_pretrained_"][: self.models]
        return ["_pretrained_", *fine_tunes] if self.base else fine_tunes


WEIGHTS = {"weights": [0.1, 0.2, 0.3, 0.9]}
DROPPING = {"only_on_linear_weights": False, "rescale": True}
CASES = (
    Case("simple_average", "SimpleAverageAlgorithm", "linear", base=False),
    Case("weighted_average", "WeightedAverageAlgorithm", "linear", WEIGHTS | {"normalize": True}, base=False),
    Case("weighted_average unnormed", "WeightedAverageAlgorithm", "linear", WEIGHTS | {"normalize": False}, base=False),
    Case("task_arithmetic", "TaskArithmeticAlgorithm", "task_arithmetic", {"scaling_factor": 0.3}),
    Case("ties sum", "TiesMergingAlgorithm", "ties", {"scaling_factor": 0.3, "threshold": 20, "merge_func": "sum"}),
    Case("ties mean", "TiesMergingAlgorithm", "ties", {"scaling_factor": 1.0, "threshold": 0.5, "merge_func": "mean"}),
    Case("ties max", "TiesMergingAlgorithm", "ties", {"scaling_factor": 0.5, "threshold": 35, "merge_func": "max"}),
    Case("slerp", "SlerpMergeAlgorithm", "slerp", {"t": 0.3}, models=2, base=False),
    Case("slerp by angle", "SlerpMergeAlgorithm", "slerp", {"t": 0.6, "DOT_THRESHOLD": 1 - 1e-8}, models=2, base=False),
    Case("expo", "ExPOAlgorithm", "task_arithmetic", {"extrapolation_factor": 0.1}, models=1),
    Case("expo of four", "ExPOAlgorithm", "task_arithmetic", {"extrapolation_factor": 0.1, "normalize": True}),
    # The ratio comes from angles, in degrees, of fp32 cosines: 1e-6 of it, times task vectors of 1e-2 of the weights.
    Case("model_stock", "ModelStock", "model_stock", {"ignore_keys": []}),
    Case(
        "dare/task_arithmetic",
        "DareTaskArithmetic",
        "dare_linear",
        DROPPING | {"sparsity_ratio": 0.5, "scaling_factor": 0.3},
        random=True,
    ),
    Case(
        "dare/simple_average",
        "DareSimpleAverage",
        "dare_linear",
        DROPPING | {"sparsity_ratio": 0.7, "lambda": 1.0, "normalize": True},
        random=True,
    ),
)
IMPLYING = ("ExPOAlgorithm", "DareSimpleAverage")  # classes that mean, without a parameter, what we say by
OURS_ALONE = ("lambda", "normalize")

# What constructors over there want beside a case's parameters.
REQUIRED: dict[str, dict[str, Any]] = {
    "ModelStock": {"model_save_path": None},
    "TiesMergingAlgorithm": {"remove_keys": []},
}


class Network(nn.Module):
    """Layers of every common shape."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(60, 48)
        self.first = nn.Linear(48, 64)
        self.norm = nn.LayerNorm(64)
        self.second = nn.Linear(64, 96)


def module_of(tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    """A module with a copy of these weights."""
    module = Network()
    module.load_state_dict({name: tensor.clone() for name, tensor in tensors.items()})
    return module


def main(folder: Path) -> None:
    """Reads *.in.safetensors, writes each case's result to CASE.out.safetensors."""
    import fusion_bench.method
    from fusion_bench import BaseModelPool

    torch.manual_seed(0)
    models = {path.name.split(".")[0]: load_file(path) for path in sorted(folder.glob("*.in.safetensors"))}
    for case in CASES:
        pool = BaseModelPool({name: module_of(models[name]) for name in case.takes(models)})
        implied = OURS_ALONE if case.peer in IMPLYING else ()
        parameters = {key: value for key, value in case.parameters.items() if key not in implied}
        extra = REQUIRED.get(case.peer, {})
        method = getattr(fusion_bench.method, case.peer)(**parameters, **extra)
        merged = method.run(pool)
        state = merged if isinstance(merged, dict) else merged.state_dict()
        tensors = {name: tensor.contiguous() for name, tensor in state.items()}
        save_file(tensors, folder / f"{case.stem}.out.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

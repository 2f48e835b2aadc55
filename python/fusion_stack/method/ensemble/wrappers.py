"""Modules that run several models on the same input and combine what they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn


class EnsembleModule(nn.Module):
    """Runs every model on the input; a subclass says in `combine` what becomes of the outputs.

    Outputs may be tensors, or mappings (such as transformers' ModelOutput) and sequences of them: floating-point
    tensors are combined, everything else is the first model's.
    device_map: {model number: device}; models without an entry stay where they are. Outputs meet on the first's device.
    """

    def __init__(self, models: Sequence[nn.Module], device_map: Mapping[int, Any] | None = None) -> None:
        super().__init__()
        self.model_list = nn.ModuleList(models)
        self.device_map = {} if device_map is None else {int(key): value for key, value in device_map.items()}
        for number, device in self.device_map.items():
            self.model_list[number].to(device)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        outputs = []
        for number, model in enumerate(self.model_list):
            device = self.device_map.get(number)
            given, named = (args, kwargs) if device is None else _moved((args, kwargs), device)
            outputs.append(model(*given, **named))
        return self._combined(outputs)

    def combine(self, outputs: torch.Tensor) -> torch.Tensor:
        """`outputs`: shape (models, ...). Returns shape (...)."""
        return outputs.mean(dim=0)

    def _combined(self, outputs: list[Any]) -> Any:
        first = outputs[0]
        if isinstance(first, torch.Tensor):
            if not first.is_floating_point():
                return first
            return self.combine(torch.stack([one.to(first.device) for one in outputs]))
        if isinstance(first, Mapping):
            combined = {key: self._combined([one[key] for one in outputs]) for key in first}
            return type(first)(**combined)
        if isinstance(first, (list, tuple)):
            return type(first)(self._combined(list(column)) for column in zip(*outputs, strict=True))
        return first


class WeightedEnsembleModule(EnsembleModule):
    """Weighted sum of the outputs. `weights`: one a model; `normalize` divides them by their sum."""

    weights: torch.Tensor

    def __init__(
        self,
        models: Sequence[nn.Module],
        weights: Sequence[float],
        normalize: bool = True,
        device_map: Mapping[int, Any] | None = None,
    ) -> None:
        super().__init__(models, device_map)
        if len(weights) != len(models):
            raise ValueError(f"{len(weights)} weights for {len(models)} models")
        shares = torch.tensor(list(weights), dtype=torch.float32)
        if normalize and shares.sum() == 0:
            raise ValueError(f"weights {list(weights)} sum to zero: normalize=false takes them as they are")
        self.register_buffer("weights", shares / shares.sum() if normalize else shares, persistent=False)

    def combine(self, outputs: torch.Tensor) -> torch.Tensor:
        shares = self.weights.to(outputs).view(-1, *[1] * (outputs.dim() - 1))
        return (outputs * shares).sum(dim=0)


class MaxModelPredictor(EnsembleModule):
    """The largest output of any model, element by element."""

    def combine(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.amax(dim=0)


def _moved(value: Any, device: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(one, device) for key, one in value.items()}
    return type(value)(_moved(one, device) for one in value) if isinstance(value, (list, tuple)) else value

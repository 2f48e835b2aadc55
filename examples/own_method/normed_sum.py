"""A method in class form: it sees the modelpool, loads what it needs and returns a module.

fusion-stack --config-dir examples/own_method/config method=normed_sum method.length=1.5 modelpool=... taskpool=...
"""

from __future__ import annotations

import torch

from fusion_stack import BaseAlgorithm, BaseModelPool


class NormedSum(BaseAlgorithm):
    """Adds the task vectors to the base, scaled so that their sum is `length` times as long as they are on average."""

    _config_mapping = BaseAlgorithm._config_mapping | {"length": "length"}

    def __init__(self, length: float = 1.0, **kwargs: object) -> None:
        self.length = length
        super().__init__(**kwargs)

    @torch.no_grad()
    def run(self, modelpool: BaseModelPool) -> torch.nn.Module:
        merged = modelpool.load_pretrained_model()
        base = torch.nn.utils.parameters_to_vector(merged.parameters())
        total, lengths = torch.zeros_like(base), []
        for model in modelpool.models():  # one at a time
            vector = torch.nn.utils.parameters_to_vector(model.parameters()) - base
            total += vector
            lengths.append(vector.norm())
        mean = torch.stack(lengths).mean()
        torch.nn.utils.vector_to_parameters(base + self.length * mean / total.norm() * total, merged.parameters())
        return merged

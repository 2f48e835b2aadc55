"""ExPO on chosen layers: extrapolate beyond an aligned model, away from its base (Zheng et al. 2024, arXiv:2404.16792).

out = mean + factor (mean - base), of several models' mean. The layers are told by the names of Llama-type checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from fusion_kernels.errors import quoted
from fusion_kernels.naming import is_embedding, is_head
from fusion_kernels.sources import TensorInfo
from fusion_stack.method.engine.merge import EngineMethod
from fusion_stack.method.engine.parts import Part

_LINEAR = re.compile(r"(^|\.)layers\.(\d+)\.(self_attn|mlp)\.\w+\.(weight|bias)$")


class ExPOAlgorithmForLlama(EngineMethod):
    """Extrapolates linear layers of attention and MLP; everything else is the models' mean.

    extrapolation_factor: how far, attention_scaling_factor: times that in attention.
    only_on_backbone: leave the output head. on_linear_weights, on_linear_bias, on_embedding: what is extrapolated.
    fix_first_n_layers, fix_last_n_layers: layers left alone, a number or "half".
    dare_sparsity_ratio: fraction of each model's difference dropped at random before, None for none; dare_rescale makes
        up for it, dare_only_on_linear_weights spares what is no matrix of a linear layer.
    """

    def __init__(
        self,
        *,
        extrapolation_factor: float = 0.1,
        attention_scaling_factor: float = 1.0,
        only_on_backbone: bool = True,
        on_linear_weights: bool = True,
        on_linear_bias: bool = False,
        on_embedding: bool = False,
        fix_first_n_layers: int | Literal["half"] = 0,
        fix_last_n_layers: int | Literal["half"] = 0,
        magnitude_sparsity_ratio: float | None = None,
        dare_sparsity_ratio: float | None = None,
        dare_only_on_linear_weights: bool = True,
        dare_rescale: bool = True,
        **options: Any,
    ) -> None:
        """Raises NotImplementedError for `magnitude_sparsity_ratio`: rows are not pruned here."""
        given = {key: value for key, value in locals().items() if key not in ("self", "options", "__class__")}
        if magnitude_sparsity_ratio is not None:
            raise NotImplementedError("magnitude_sparsity_ratio is not supported; null extrapolates every element")
        super().__init__(options.pop("engine_method", "task_arithmetic"), **options)
        self.given = given
        self.factor, self.attention_factor = extrapolation_factor, extrapolation_factor * attention_scaling_factor
        self.on = {"weight": on_linear_weights, "bias": on_linear_bias}
        self.on_head, self.on_embedding = not only_on_backbone, on_embedding
        self.fixed = (fix_first_n_layers, fix_last_n_layers)
        self.dare = (
            None if dare_sparsity_ratio is None else {"density": 1 - dare_sparsity_ratio, "rescale": dare_rescale}
        )
        self.dare_on_linear_weights = dare_only_on_linear_weights

    def parts(self, tensors: Mapping[str, TensorInfo], *, has_base: bool) -> list[Part]:
        """One part for each factor, and for what DARE spares."""
        layers = 1 + max((int(found[2]) for name in tensors if (found := _LINEAR.search(name))), default=-1)
        if not layers:
            raise ValueError(
                f"no linear layers named layers.N.self_attn or layers.N.mlp, as in {quoted(next(iter(tensors)))}"
            )
        first, last = (layers // 2 if count == "half" else int(count) for count in self.fixed)
        groups: dict[tuple[float, bool], list[str]] = {}
        for name in tensors:
            factor = self._factor(name, range(first, layers - last))
            linear = _LINEAR.search(name) is not None and name.endswith("weight")
            thinned = self.dare is not None and (linear or not self.dare_on_linear_weights)
            groups.setdefault((factor, thinned), []).append(name)
        return [self._part(factor, thinned, names) for (factor, thinned), names in groups.items()]

    def _factor(self, name: str, layers: range) -> float:
        found = _LINEAR.search(name)
        if found is not None:
            chosen = int(found[2]) in layers and self.on[found[4]]
            return 0.0 if not chosen else self.attention_factor if found[3] == "self_attn" else self.factor
        if is_embedding(name):
            return self.factor if self.on_embedding else 0.0
        return self.factor if is_head(name) and self.on_head and self.on["weight"] else 0.0

    def _part(self, factor: float, thinned: bool, names: list[str]) -> Part:
        shared = {"weight": 1, "normalize": True, "lambda": 1 + factor}
        if thinned:
            assert self.dare is not None
            return Part("dare_linear", {**shared, **self.dare}, names)
        return Part("task_arithmetic", shared, names) if factor else Part("linear", {"weight": 1}, names)

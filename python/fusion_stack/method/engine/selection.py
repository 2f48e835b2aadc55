"""Says which tensors a method works on, by the keys FusionBench has for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fusion_kernels.naming import is_embedding
from fusion_kernels.sources import TensorInfo
from fusion_stack.method.engine.parts import Part, is_backbone


@dataclass(frozen=True)
class Selection:
    """Which tensors are merged by the method; the others are the base's unless said otherwise.

    merge_backbone: only the decoder layers. Embeddings, final norm and head stay the base's, or the first model's.
    remove_keys: names that stay the base's.
    ignore_keys: names that become the plain mean of the models; names that no model has are passed over.
    only_on_linear_weights: a random or magnitude mask is drawn for matrices alone, embeddings left out; every other
        task vector is added whole. (Which layers are linear is told by shape and name: no module is loaded.)
    """

    merge_backbone: bool = False
    remove_keys: tuple[str, ...] = ()
    ignore_keys: tuple[str, ...] = ()
    only_on_linear_weights: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> tuple[Selection, dict[str, Any]]:
        """Takes its own keys out of a method's parameters; returns itself and the rest."""
        rest = {("merge_backbone" if key == "backbone_only" else key): value for key, value in given.items()}
        mine = {one.name: rest.pop(one.name) for one in fields(cls) if one.name in rest}
        values: dict[str, Any] = {
            key: tuple(value or ()) if key.endswith("_keys") else bool(value) for key, value in mine.items()
        }
        return cls(**values), rest

    def parts(
        self, method: str, parameters: Mapping[str, Any], tensors: Mapping[str, TensorInfo], *, has_base: bool
    ) -> list[Part]:
        """The parts of a model with these tensors. Raises ValueError for a key that needs a base which is missing."""
        kept = {name for name in tensors if name in self.remove_keys or (self.merge_backbone and not is_backbone(name))}
        mean = {name for name in tensors if name in self.ignore_keys} - kept
        whole = {name for name, info in tensors.items() if not _is_linear_weight(info)} - kept - mean
        whole = whole if self.only_on_linear_weights else set()
        if kept and not has_base:
            raise ValueError(
                "merge_backbone and remove_keys keep the base's tensors: name it, modelpool.models._pretrained_"
            )
        merged = [name for name in tensors if name not in kept | mean | whole]
        if not kept and not mean and not whole:
            return [Part(method, parameters)]
        parts = [Part(method, parameters, merged)] if merged else []
        if whole:
            shared = {key: parameters[key] for key in ("lambda", "weight", "normalize") if key in parameters}
            parts.append(Part("task_arithmetic", shared, whole))
        if mean:
            parts.append(Part("linear", {"weight": 1}, mean))
        if kept:
            parts.append(Part("passthrough", {}, kept, base_only=True))
        return parts


def _is_linear_weight(info: TensorInfo) -> bool:
    return len(info.shape) == 2 and info.name.endswith("weight") and not is_embedding(info.name)

"""Checkpoints of chosen names, dtypes and shapes, and short questions about how they match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fusion_kernels.dtypes import DTYPES
from fusion_kernels.matching import Matching, match
from fusion_kernels.sources import Checkpoint, TensorInfo

Shapes = Mapping[str, Any]


def model(label: str, tensors: Shapes, **rest: Any) -> Checkpoint:
    """A checkpoint of {name: shape} or {name: (dtype, shape)}; `tied` becomes its config."""
    infos, offset = {}, 0
    for name, value in tensors.items():
        dtype, shape = value if value and isinstance(value[0], str) else ("BF16", value)
        info = TensorInfo(name, dtype, tuple(shape), 0, offset, 0)
        nbytes = info.numel * DTYPES[dtype].itemsize_bits // 8
        infos[name] = TensorInfo(name, dtype, tuple(shape), 0, offset, nbytes)
        offset += nbytes
    if "tied" in rest:
        rest["config"] = {"tie_word_embeddings": rest.pop("tied")}
    return Checkpoint(label, label, infos, memory=[(1, offset)], **rest)


def matched(
    base: Checkpoint | None,
    *models: Checkpoint,
    role: Literal["required", "ignored", "member"] | None = None,
    integers: Literal["error", "base"] = "error",
) -> Matching:
    return match(models, base, base_role=role or ("required" if base else "ignored"), on_unequal_integers=integers)


def clean(matching: Matching) -> Matching:
    assert matching.problems == []
    return matching


def names(matching: Matching) -> list[str]:
    return [tensor.name for tensor in matching.tensors]


def kinds(matching: Matching) -> dict[str, str]:
    return {tensor.name: tensor.kind for tensor in matching.tensors}


def sources(matching: Matching, name: str) -> list[tuple[object, str]]:
    """(model or "base", the name it has there) of every input of an output tensor, the base first."""
    tensor = next(tensor for tensor in matching.tensors if tensor.name == name)
    refs = [*([tensor.base] if tensor.base else []), *tensor.models]
    return [(ref.checkpoint, ref.info.name) for ref in refs]


EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
BODY = {EMBED: [32, 4], "model.layers.0.mlp.weight": [4, 4], "model.norm.weight": [4]}


def with_prefix(prefix: str, tensors: Shapes) -> Shapes:
    return {prefix + name: value for name, value in tensors.items()}

"""Modelpools: which models are merged, and the datasets that belong to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_stack.modelpool.base import BaseModelPool as BaseModelPool
    from fusion_stack.modelpool.model_pool import ModelPool as ModelPool
    from fusion_stack.modelpool.sentence_encoder import SentenceEncoderPool as SentenceEncoderPool

_HOMES = {
    "BaseModelPool": "base",
    "ModelPool": "model_pool",
    "SentenceEncoderPool": "sentence_encoder",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    from fusion_stack.lazy import load

    return load(__name__, _HOMES, name)

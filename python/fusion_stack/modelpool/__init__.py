"""Modelpools: which models are merged, and the datasets that belong to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_stack.modelpool.base import BaseModelPool as BaseModelPool
    from fusion_stack.modelpool.classifiers import (
        ConvNextForImageClassificationPool as ConvNextForImageClassificationPool,
    )
    from fusion_stack.modelpool.classifiers import Dinov2ForImageClassificationPool as Dinov2ForImageClassificationPool
    from fusion_stack.modelpool.classifiers import (
        GPT2ForSequenceClassificationPool as GPT2ForSequenceClassificationPool,
    )
    from fusion_stack.modelpool.classifiers import ImageClassificationModelPool as ImageClassificationModelPool
    from fusion_stack.modelpool.classifiers import ResNetForImageClassificationPool as ResNetForImageClassificationPool
    from fusion_stack.modelpool.classifiers import SequenceClassificationModelPool as SequenceClassificationModelPool
    from fusion_stack.modelpool.clip_vision import CLIPVisionModelPool as CLIPVisionModelPool
    from fusion_stack.modelpool.finetuned_encoder import FinetunedEncoderPool as FinetunedEncoderPool
    from fusion_stack.modelpool.language_models import CausalLMPool as CausalLMPool
    from fusion_stack.modelpool.language_models import Seq2SeqLMPool as Seq2SeqLMPool
    from fusion_stack.modelpool.model_pool import ModelPool as ModelPool
    from fusion_stack.modelpool.nyuv2 import NYUv2ModelPool as NYUv2ModelPool
    from fusion_stack.modelpool.openclip_vision import OpenCLIPVisionModelPool as OpenCLIPVisionModelPool
    from fusion_stack.modelpool.pretrained import PretrainedModelPool as PretrainedModelPool
    from fusion_stack.modelpool.sentence_encoder import SentenceEncoderPool as SentenceEncoderPool

_HOMES = {
    "BaseModelPool": "base",
    "CausalLMPool": "language_models",
    "CLIPVisionModelPool": "clip_vision",
    "ConvNextForImageClassificationPool": "classifiers",
    "Dinov2ForImageClassificationPool": "classifiers",
    "GPT2ForSequenceClassificationPool": "classifiers",
    "ImageClassificationModelPool": "classifiers",
    "FinetunedEncoderPool": "finetuned_encoder",
    "ModelPool": "model_pool",
    "NYUv2ModelPool": "nyuv2",
    "OpenCLIPVisionModelPool": "openclip_vision",
    "PretrainedModelPool": "pretrained",
    "ResNetForImageClassificationPool": "classifiers",
    "SentenceEncoderPool": "sentence_encoder",
    "Seq2SeqLMPool": "language_models",
    "SequenceClassificationModelPool": "classifiers",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    from fusion_stack.lazy import load

    return load(__name__, _HOMES, name)

"""Taskpools: what a model is evaluated on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_stack.taskpool.base import BaseTaskPool as BaseTaskPool
    from fusion_stack.taskpool.causal_lm import CausalLMPerplexityTaskPool as CausalLMPerplexityTaskPool
    from fusion_stack.taskpool.clip_vision import CLIPVisionModelTaskPool as CLIPVisionModelTaskPool
    from fusion_stack.taskpool.dataset_pool import DatasetTaskPool as DatasetTaskPool
    from fusion_stack.taskpool.dummy import DummyTaskPool as DummyTaskPool
    from fusion_stack.taskpool.flan_t5_glue import FlanT5GLUETextGenerationTaskPool as FlanT5GLUETextGenerationTaskPool
    from fusion_stack.taskpool.image_classification import ImageClassificationTaskPool as ImageClassificationTaskPool
    from fusion_stack.taskpool.image_classification import (
        ResNetForImageClassificationTaskPool as ResNetForImageClassificationTaskPool,
    )
    from fusion_stack.taskpool.lm_eval_harness import LMEvalHarnessTaskPool as LMEvalHarnessTaskPool
    from fusion_stack.taskpool.nyuv2 import NYUv2TaskPool as NYUv2TaskPool
    from fusion_stack.taskpool.openclip_vision import OpenCLIPVisionModelTaskPool as OpenCLIPVisionModelTaskPool
    from fusion_stack.taskpool.sentence_encoder import SentenceEncoderTaskPool as SentenceEncoderTaskPool
    from fusion_stack.taskpool.text_classification import (
        GPT2TextClassificationTaskPool as GPT2TextClassificationTaskPool,
    )
    from fusion_stack.taskpool.text_classification import TextClassificationTaskPool as TextClassificationTaskPool
    from fusion_stack.taskpool.zero_shot import ZeroShotTaskPool as ZeroShotTaskPool

_HOMES = {
    "BaseTaskPool": "base",
    "CLIPVisionModelTaskPool": "clip_vision",
    "CausalLMPerplexityTaskPool": "causal_lm",
    "DatasetTaskPool": "dataset_pool",
    "DummyTaskPool": "dummy",
    "FlanT5GLUETextGenerationTaskPool": "flan_t5_glue",
    "GPT2TextClassificationTaskPool": "text_classification",
    "ImageClassificationTaskPool": "image_classification",
    "LMEvalHarnessTaskPool": "lm_eval_harness",
    "NYUv2TaskPool": "nyuv2",
    "OpenCLIPVisionModelTaskPool": "openclip_vision",
    "ResNetForImageClassificationTaskPool": "image_classification",
    "TextClassificationTaskPool": "text_classification",
    "ZeroShotTaskPool": "zero_shot",
    "SentenceEncoderTaskPool": "sentence_encoder",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    from fusion_stack.lazy import load

    return load(__name__, _HOMES, name)

"""Modelpools of classifiers: GPT-2 and RoBERTa on GLUE, ResNet, ConvNeXt and DINOv2 on images.

RoBERTa's fine-tunes are of no publisher that FusionBench names: its pool refers to files that it does not ship.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tools.shipped_datasets import EIGHT, TWENTY, Config, data
from tools.shipped_language import glue
from tools.shipped_models import GLUE

_GPT2 = tuple(task for task in GLUE if task != "stsb")
_RESNETS = ("18", "50", "152")  # layers


def classifier_pools() -> Iterator[Config]:
    comment = "GPT-2 and its fine-tunes on seven tasks of GLUE, each with a head of its own"
    yield "modelpool/gpt-2_glue", comment, _gpt2()
    comment = "RoBERTa base and its fine-tunes on the eight tasks of GLUE, each with a head of its own"
    yield "modelpool/SequenceClassificationModelPool/roberta-base_glue", comment, _roberta()
    folder, name = "modelpool/ConvNextForImageClassification", "facebook/convnext-base-224"
    yield f"{folder}/convnext-base-224", "ConvNeXt base alone, to evaluate one model", _alone("ConvNext", name)
    comment = "ConvNeXt base and its fine-tunes on eight tasks, each with a head of its own"
    yield f"{folder}/convnext-base-224_8-tasks", comment, _pool("ConvNext", _convnext(name))
    name = "dinov2-base-imagenet1k-1-layer"
    comment = "DINOv2 base with a head for ImageNet, to evaluate one model"
    yield f"modelpool/Dinov2ForImageClassification/{name}", comment, _alone("Dinov2", f"facebook/{name}")
    for layers in _RESNETS:
        for task in TWENTY:
            path = f"modelpool/ResNetForImageClassification/transformers/resnet{layers}_{task}"
            yield path, f"ResNet-{layers} of ImageNet, with the datasets of {task}", _resnet(layers, task)


def _gpt2() -> dict[str, Any]:
    def entry(hub_id: str) -> dict[str, str]:
        return {"_target_": "transformers.GPT2Model.from_pretrained", "pretrained_model_name_or_path": hub_id}

    return {
        "_target_": "fusion_stack.modelpool.GPT2ForSequenceClassificationPool",
        "_recursive_": False,
        "models": {"_pretrained_": entry("gpt2"), **{task: entry(f"tanganke/gpt2_{task}") for task in _GPT2}},
        "train_datasets": {task: glue(task, "train") for task in _GPT2},
        "tokenizer": "gpt2",
    }


def _roberta() -> dict[str, Any]:
    models = {task: f"JeremiahZ/roberta-base-{task}" for task in GLUE}
    return {
        "_target_": "fusion_stack.modelpool.SequenceClassificationModelPool",
        "_recursive_": False,
        "models": {"_pretrained_": "roberta-base", **models},
        "train_datasets": {task: glue(task, "train") for task in GLUE},
        "test_datasets": {task: glue(task, "validation") for task in GLUE},
        "tokenizer": "roberta-base",
    }


def _convnext(base: str) -> dict[str, str]:
    name = base.replace("facebook", "tanganke")
    return {"_pretrained_": base, **{task: f"{name}_{task}_sgd_batch-size-64_lr-0.01_steps-4000" for task in EIGHT}}


def _pool(architecture: str, models: Mapping[str, Any]) -> dict[str, Any]:
    target = f"fusion_stack.modelpool.{architecture}ForImageClassificationPool"
    return {"_target_": target, "_recursive_": False, "models": dict(models)}


def _alone(architecture: str, name: str, dataset: str | None = None) -> dict[str, Any]:
    entry = {"config_path": name, "pretrained": True, "dataset_name": dataset}
    return _pool(architecture, {"_pretrained_": entry})


def _resnet(layers: str, task: str) -> dict[str, Any]:
    defaults = [{data("train", "train_datasets"): [task]}, {data("test", "val_datasets"): [task]}, "_self_"]
    content = _alone("ResNet", f"microsoft/resnet-{layers}", task)
    return {"defaults": defaults, **content, "type": "transformers"}

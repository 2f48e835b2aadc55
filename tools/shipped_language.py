"""Modelpools of language models, and of NYUv2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.shipped_datasets import Config
from tools.shipped_models import GLUE, flan_t5

_POOL = "modelpool/Seq2SeqLMPool"
_MERGEBENCH = {
    "google": ("gemma-2-2b", "gemma-2-2b-it", "gemma-2-9b", "gemma-2-9b-it"),
    "meta-llama": ("Llama-3.1-8B", "Llama-3.1-8B-Instruct", "Llama-3.2-3B", "Llama-3.2-3B-Instruct"),
}


def language_pools() -> Iterator[Config]:
    template = _seq2seq("base") | {"models": "???", "model_kwargs": None}
    yield f"{_POOL}/_template", "What a pool of encoder-decoder language models consists of", template
    alone = _seq2seq("base") | {"models": {"_pretrained_": flan_t5("base")}}
    yield f"{_POOL}/flan-t5-base_individual", "Flan-T5 base alone, to evaluate one model", alone
    for name, size, lora in (
        ("flan-t5-base_glue", "base", False),
        ("flan-t5-base_glue_lora16", "base", True),
        ("flan-t5-large_glue_lora16", "large", True),
    ):
        how = "LoRA adapters of rank 16" if lora else "fine-tunes"
        content = _seq2seq(size)
        content["models"] = {"_pretrained_": flan_t5(size)}
        content["models"] |= {f"glue-{task}": flan_t5(size, task, lora=lora) for task in GLUE}
        comment = f"Flan-T5 {size} and its {how} on eight tasks of GLUE"
        yield f"{_POOL}/{name}", comment, content
        if size == "base":
            tests = {f"glue-{task}": glue(task, "validation") for task in GLUE}
            yield f"{_POOL}/{name}_tta", f"{comment}, with their texts", content | {"test_datasets": tests}
    yield "modelpool/nyuv2_modelpool", "ResNet-50 for segmentation, depth and normals, one checkpoint a task", _nyuv2()
    for owner, names in _MERGEBENCH.items():
        for name in names:
            comment = f"{name} and MergeBench's five experts (He et al. 2025, arXiv:2505.10833)"
            yield f"modelpool/CausalLMPool/mergebench/{name}", comment, _mergebench(owner, name)


def glue(task: str, split: str) -> dict[str, Any]:
    if task == "mnli" and split == "validation":
        split = "validation_matched"
    return {"_target_": "datasets.load_dataset", "path": "nyu-mll/glue", "name": task, "split": split}


def _seq2seq(size: str) -> dict[str, Any]:
    tokenizer = f"google/flan-t5-{size}"
    return {"_target_": "fusion_stack.modelpool.Seq2SeqLMPool", "_recursive_": False, "tokenizer": tokenizer}


def _nyuv2() -> dict[str, Any]:
    tasks = ["segmentation", "depth", "normal"]

    def entry(decoders: list[str], checkpoint: str | None) -> dict[str, Any]:
        return {"encoder": "resnet50", "decoders": decoders, "ckpt_path": checkpoint}

    models = {task: entry([task], f"lightning_logs/{task}/checkpoints/last.ckpt") for task in tasks}
    return {
        "_target_": "fusion_stack.modelpool.NYUv2ModelPool",
        "_recursive_": False,
        "models": {"_pretrained_": entry(tasks, None), **models},
    }


def _mergebench(owner: str, name: str) -> dict[str, Any]:
    experts = ("instruction", "math", "coding", "multilingual", "safety")
    return {
        "_target_": "fusion_stack.modelpool.CausalLMPool",
        "_recursive_": False,
        "models": {
            "_pretrained_": f"{owner}/{name}",
            **{expert: f"MergeBench/{name}_{expert}" for expert in experts},
        },
        "model_kwargs": {"torch_dtype": "bfloat16"},
        "tokenizer": f"{owner}/{name}",
    }

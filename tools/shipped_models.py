"""Models by name: CLIP on image tasks, Flan-T5 on GLUE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.shipped_datasets import TWENTY, Config, groups

ARCHITECTURES = ("clip-vit-base-patch32", "clip-vit-base-patch16", "clip-vit-large-patch14")
GLUE = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb")
_GROUPS = {  # as FusionBench has them
    "clip-vit-base-patch32": ["eight_tasks", *(f"TALL{count}" for count in range(10, 21, 2))],
    "clip-vit-base-patch16": ["eight_tasks", "TALL14", "TALL20"],
    "clip-vit-large-patch14": ["eight_tasks", "TALL14", "TALL20"],
}


def clip(architecture: str, task: str | None = None) -> str:
    """The hub id of the base, or of its fine-tune on a task."""
    return f"openai/{architecture}" if task is None else f"tanganke/{architecture}_{task}"


def flan_t5(size: str, task: str | None = None, *, lora: bool = False) -> dict[str, Any]:
    """The entry of the base, or of its fine-tune (or LoRA adapter of rank 16) on a GLUE task."""
    base = f"google/flan-t5-{size}"
    fine_tune = f"tanganke/flan-t5-{size}_glue-{task}"
    if lora:
        return {"base_model_path": base, "peft_model_path": f"{fine_tune}_lora-16"}
    return {
        "_target_": "transformers.AutoModelForSeq2SeqLM.from_pretrained",
        "pretrained_model_name_or_path": base if task is None else fine_tune,
    }


def model_configs() -> Iterator[Config]:
    for architecture in ARCHITECTURES:
        yield f"model/clip-vit/{architecture}", f"{architecture} by OpenAI", {"_pretrained_": clip(architecture)}
        for task in TWENTY:
            comment = f"{architecture}, fine-tuned on {task}"
            yield f"model/clip-vit/{architecture}_{task}", comment, {task: clip(architecture, task)}
        for name in _GROUPS[architecture]:
            tasks, _ = groups()["the_eight_tasks" if name == "eight_tasks" else name]
            files = [architecture, *(f"{architecture}_{task}" for task in tasks)]
            comment = f"{architecture} and its fine-tunes on {len(tasks)} tasks"
            yield f"model/clip-vit/{architecture}_{name}", comment, {"defaults": files}
    for size in ("base", "large"):
        yield f"model/flan-t5/flan-t5-{size}", f"Flan-T5 {size}", {"_pretrained_": flan_t5(size)}
        for task in GLUE:
            name, comment = f"flan-t5-{size}_glue-{task}", f"Flan-T5 {size} on GLUE's {task}"
            if size == "base":
                yield f"model/flan-t5/{name}", f"{comment}, all weights", {f"glue-{task}": flan_t5(size, task)}
            adapter = {f"glue-{task}": flan_t5(size, task, lora=True)}
            yield f"model/flan-t5/{name}_lora-16", f"{comment}, LoRA of rank 16", adapter

"""Modelpools of CLIP: vision towers of transformers, image encoders of open_clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tools.shipped_datasets import EIGHT, HUB, TWENTY, Config, data
from tools.shipped_models import ARCHITECTURES, clip

B32, B16, L14 = ARCHITECTURES
_POOL = "modelpool/CLIPVisionModelPool"
_TRAIN, _TEST = data("train", "train_datasets"), data("test", "test_datasets")
_SUBSETS = {
    "cars_and_dtd": ["stanford-cars", "dtd"],
    "sun397_and_cars": ["sun397", "stanford-cars"],
    "sun397_and_dtd": ["sun397", "dtd"],
    "sun397_cars_and_dtd": ["sun397", "stanford-cars", "dtd"],
    "generalization_exp1": ["sun397", "stanford-cars", "resisc45", "dtd", "svhn", "gtsrb"],
    "generalization_exp2": ["sun397", "stanford-cars", "gtsrb", "eurosat", "dtd", "mnist"],
    "robustness_clean": ["stanford-cars", "eurosat", "resisc45", "gtsrb"],
}
_OPENCLIP_FOLDERS = {
    "sun397": "SUN397",
    "stanford-cars": "Cars",
    "resisc45": "RESISC45",
    "eurosat": "EuroSAT",
    "svhn": "SVHN",
    "gtsrb": "GTSRB",
    "mnist": "MNIST",
    "dtd": "DTD",
}


def pool(architecture: str, tasks: Sequence[str] = (), **keys: Any) -> dict[str, Any]:
    """A pool of the base and its fine-tunes; `defaults` among the keys come first."""
    defaults = {"defaults": [*keys.pop("defaults"), "_self_"]} if "defaults" in keys else {}
    models = {"_pretrained_": clip(architecture), **{task: clip(architecture, task) for task in tasks}}
    target = {"_target_": "fusion_stack.modelpool.CLIPVisionModelPool", "_recursive_": False}
    rest = {"processor": clip(architecture), "platform": "hf"} | keys
    return defaults | target | {"models": models} | rest


def with_data(architecture: str, tasks: Sequence[str], *, group: str | None = None) -> dict[str, Any]:
    chosen = list(tasks) if group is None else group
    return pool(architecture, tasks, defaults=[{_TRAIN: chosen}, {_TEST: chosen}])


def clip_pools() -> Iterator[Config]:
    template: dict[str, Any] = {"_target_": "fusion_stack.modelpool.CLIPVisionModelPool", "_recursive_": False}
    template |= {"models": "???", "train_datasets": None, "test_datasets": None, "processor": clip(B32)}
    yield f"{_POOL}/_template", "What a pool of CLIP vision towers consists of", template
    for architecture in ARCHITECTURES:
        every = architecture == B32
        for count, name in ((8, "TA8"), *((count, f"TALL{count}") for count in range(10, 21, 2))):
            if not every and count not in (8, 14, 20):
                continue
            tasks = TWENTY[:count]
            comment = f"{architecture} and its fine-tunes on {count} tasks"
            content = with_data(architecture, tasks, group="the_eight_tasks" if count == 8 else name)
            yield f"{_POOL}/{architecture}_{name}", f"{comment}, with their datasets", content
            if count in (8, 14, 20):
                yield f"{_POOL}/{architecture}_{name}_model_only", comment, pool(architecture, tasks)
        base = "${...base_model}" if architecture == B16 else clip(architecture)
        alone = pool(architecture) | {"models": {"_pretrained_": base}}
        if architecture == B16:
            # FusionBench's way to name another folder: modelpool.base_model=PATH.
            alone["models"] = {"_pretrained_": {"pretrained_model_name_or_path": base}}
            alone |= {"processor": "${.base_model}", "base_model": clip(B16)}
        yield f"{_POOL}/{architecture}_individual", f"{architecture} alone, to evaluate one model", alone
    for name, tasks in _SUBSETS.items():
        yield f"{_POOL}/{B32}_{name}", f"{B32}: {', '.join(tasks)}", with_data(B32, tasks)
    yield from _special_pools()
    yield from _open_clip_pools()


def _special_pools() -> Iterator[Config]:
    yield f"{_POOL}/{B32}_svhn_and_mnist", f"{B32}: svhn, mnist", pool(B32, ["svhn", "mnist"])
    mtl = pool(B32, defaults=[{_TRAIN: "the_eight_tasks"}])
    yield f"{_POOL}/{B32}_mtl", f"{B32} alone, with eight tasks to train on", mtl
    control = [{_TRAIN: ["tiny-imagenet"]}]
    comment = f"{B32} and eight fine-tunes, with Tiny ImageNet as a control task"
    yield f"{_POOL}/{B32}_TA8_control_task", comment, pool(B32, EIGHT, defaults=control)
    two = pool(B32, defaults=control)
    two["models"] |= {"model_1": clip(B32, "sun397"), "model_2": clip(B32, "stanford-cars")}
    yield f"{_POOL}/{B32}_two_tasks_control_task", f"{B32}: two models, with Tiny ImageNet as a control task", two
    one = pool(B32)
    one["models"]["finetuned"] = clip(B32, "stanford-cars")
    yield f"{_POOL}/{B32}_single_finetuned", f"{B32} and one fine-tune", one
    pair = ["sun397", "stanford-cars"]
    yield f"{_POOL}/{B32}_single_task_projection", f"{B32}: {', '.join(pair)}, without datasets", pool(B32, pair)
    robust = _SUBSETS["robustness_clean"]
    corrupted = pool(B32, robust)
    corrupted["test_datasets"] = {
        task: {"_target_": "datasets.load_dataset", "path": HUB[task], "split": "${corruption}"} for task in robust
    }
    comment = f"{B32}: {', '.join(robust)}, corrupted; choose by +corruption=motion_blur"
    yield f"{_POOL}/{B32}_robustness_corrupted", comment, corrupted

    def lora(task: str) -> dict[str, str]:
        return {"base_model_path": clip(B16), "peft_model_path": f"{clip(B16, task)}_lora-16"}

    adapters = pool(B16)
    adapters["models"] |= {task: lora(task) for task in EIGHT}
    yield f"{_POOL}/{B16}_TA8_lora", f"{B16} and LoRA adapters of rank 16 on eight tasks", adapters
    single = pool(B16) | {"models": {"sun397": lora("sun397")}}
    yield f"{_POOL}/{B16}_individual_lora", f"{B16} with one LoRA adapter, to evaluate it", single


def _open_clip_pools() -> Iterator[Config]:
    for architecture in ("ViT-B-32", "ViT-B-16", "ViT-L-14"):
        comment = f"open_clip's {architecture} and the task-vector paper's fine-tunes on eight tasks"
        yield f"modelpool/OpenCLIPVisionModelPool/{architecture}_TA8", comment, _open_clip(architecture, EIGHT)
    pairs = {
        "cars_dtd": ["stanford-cars", "dtd"],
        "sun397_cars": ["sun397", "stanford-cars"],
        "sun397_dtd": ["sun397", "dtd"],
    }
    for name, tasks in pairs.items():
        path = f"modelpool/OpenCLIPVisionModelPool/ViT-B-32_TA_{name}"
        yield path, f"open_clip's ViT-B-32: {', '.join(tasks)}", _open_clip("ViT-B-32", tasks)
    alone = _open_clip("ViT-B-32", [])
    path = "modelpool/OpenCLIPVisionModelPool/ViT-B-32_individual"
    yield path, "open_clip's ViT-B-32 alone, to evaluate one model", alone


def _open_clip(architecture: str, tasks: Sequence[str]) -> dict[str, Any]:
    def model(file: str) -> dict[str, str]:
        return {"model_name": architecture, "pickle_path": f"${{...model_dir}}/{architecture}/{file}"}

    chosen = "the_eight_tasks" if len(tasks) == len(EIGHT) else list(tasks)
    content: dict[str, Any] = {"defaults": [{_TRAIN: chosen}, {_TEST: chosen}, "_self_"]} if tasks else {}
    content |= {"_target_": "fusion_stack.modelpool.OpenCLIPVisionModelPool", "_recursive_": False}
    content["model_dir"] = "./.cache/task_vectors_checkpoints"
    folders = {task: _OPENCLIP_FOLDERS[task] for task in tasks}
    fine_tunes = {task: model(f"{folder}/finetuned.pt") for task, folder in folders.items()}
    content["models"] = {"_pretrained_": model("zeroshot.pt"), **fine_tunes}
    if tasks:
        heads = {task: f"${{..model_dir}}/{architecture}/head_{folder}.pt" for task, folder in folders.items()}
        content["classification_heads"] = heads
    return content

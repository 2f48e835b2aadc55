"""Image classification datasets, and the groups of tasks that papers evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Config = tuple[str, str, Any]  # path without .yaml, comment, content

EIGHT = ["sun397", "stanford-cars", "resisc45", "eurosat", "svhn", "gtsrb", "mnist", "dtd"]
TWENTY = [
    *EIGHT,
    *["oxford_flowers102", "pcam", "fer2013", "oxford-iiit-pet", "stl10", "cifar100"],
    *["cifar10", "food101", "fashion_mnist", "emnist_letters", "kmnist", "rendered-sst2"],
]
EIGHT_SOURCE = "Ilharco et al. 2023, arXiv:2212.04089"
TALL_SOURCE = "Wang et al. 2024, arXiv:2405.07813"
HUB = {
    "sun397": "tanganke/sun397",
    "stanford-cars": "tanganke/stanford_cars",
    "resisc45": "tanganke/resisc45",
    "eurosat": "tanganke/eurosat",
    "svhn": "svhn",
    "gtsrb": "tanganke/gtsrb",
    "mnist": "mnist",
    "dtd": "tanganke/dtd",
    "oxford_flowers102": "dpdl-benchmark/oxford_flowers102",
    "pcam": "1aurent/PatchCamelyon",
    "fer2013": "clip-benchmark/wds_fer2013",
    "oxford-iiit-pet": "timm/oxford-iiit-pet",
    "stl10": "tanganke/stl10",
    "cifar100": "tanganke/cifar100",
    "cifar10": "tanganke/cifar10",
    "food101": "ethz/food101",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "emnist_letters": "tanganke/emnist_letters",
    "kmnist": "tanganke/kmnist",
    "rendered-sst2": "nateraw/rendered-sst2",
    "emnist_mnist": "tanganke/emnist_mnist",
    "cub-200-2011": "Donghyun99/CUB-200-2011",
    "mango-leaf-disease": "AfiqN/mango-leaf-disease",
    "tiny-imagenet": "zh-plus/tiny-imagenet",
}
_TEST_SPLITS = {"food101": "validation", "tiny-imagenet": "valid"}  # where it is not called test
_FOLDER = "dataset/image_classification"


def data(split: str, key: str) -> str:
    """What a `defaults` list calls the image datasets of a split that go under a pool's key."""
    return f"/{_FOLDER}/{split}@{key}"


def groups() -> dict[str, tuple[list[str], str]]:
    """{name: (tasks, comment)} of the groups of tasks."""
    tall = {f"TALL{count}": (TWENTY[:count], f"The first {count} tasks of {TALL_SOURCE}") for count in range(10, 21, 2)}
    return {"the_eight_tasks": (EIGHT, f"The eight tasks of {EIGHT_SOURCE}"), **tall}


def dataset_configs() -> Iterator[Config]:
    for split in ("train", "test"):
        for task, hub in HUB.items():
            yield f"{_FOLDER}/{split}/{task}", f"{task}, {split} split ({hub})", {task: dataset(task, split)}
        for name, (tasks, comment) in groups().items():
            yield f"{_FOLDER}/{split}/{name}", f"{comment}: {split} splits", {"defaults": tasks}
    for task in EIGHT:
        content = {
            "_target_": "fusion_stack.data.train_validation_split",
            "dataset": dataset(task, "train"),
            "validation_fraction": 0.1,
            "validation_size": None,
            "random_seed": 0,
            "return_split": "val",
        }
        yield f"{_FOLDER}/val/{task}", f"{task}, a tenth of the training split ({HUB[task]})", {task: content}
    flowers = {"oxford_flowers102": dataset("oxford_flowers102", "validation")}
    yield f"{_FOLDER}/val/oxford_flowers102", "oxford_flowers102, validation split", flowers
    comment = f"The eight tasks of {EIGHT_SOURCE}: a tenth of each training split"
    yield f"{_FOLDER}/val/the_eight_tasks", comment, {"defaults": EIGHT}


def dataset(task: str, split: str) -> dict[str, Any]:
    split = _TEST_SPLITS.get(task, split) if split == "test" else split
    if task == "fer2013":
        return {"_target_": "fusion_stack.data.load_fer2013", "path": HUB[task], "split": split}
    name = {"name": "cropped_digits"} if task == "svhn" else {}
    return {"_target_": "datasets.load_dataset", "path": HUB[task], **name, "split": split}

"""Every taskpool configuration composes and builds, under the names FusionBench 0.2.33 has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hydra")

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import fusion_stack
from fusion_stack.serialization import instantiate
from fusion_stack.tasks.classes import classes_of

FOLDER = Path(fusion_stack.__file__).parent / "config/taskpool"
NAMES = sorted(str(path.relative_to(FOLDER))[:-5] for path in FOLDER.rglob("*.yaml") if path.stem != "_template")
SINGLE = [
    "cifar10", "cifar100", "dtd", "emnist_letters", "eurosat", "fashion_mnist", "fer2013", "food101", "gtsrb",
    "kmnist", "mnist", "oxford-iiit-pet", "oxford_flowers102", "pcam", "rendered-sst2", "resisc45",
    "stanford-cars", "stl10", "sun397", "svhn",
]  # fmt: skip
TASKS = {  # how many tasks each has
    **{f"CLIPVisionModelTaskPool/clip-vit-single-task_{name}": 1 for name in SINGLE},
    "CLIPVisionModelTaskPool/clip-vit-base-patch32_robustness_corrupted": 4,
    "CLIPVisionModelTaskPool/clip-vit-base-patch32_svhn_and_mnist": 2,
    "CLIPVisionModelTaskPool/clip-vit-classification_TA8": 8,
    "CLIPVisionModelTaskPool/clip-vit-classification_TA8_B16": 8,
    "CLIPVisionModelTaskPool/clip-vit-classification_TA8_L14": 8,
    "CLIPVisionModelTaskPool/clip-vit-classification_TA8_val": 8,
    "CLIPVisionModelTaskPool/clip-vit-classification_TA8_with_control_task": 9,
    "CLIPVisionModelTaskPool/clip-vit-classification_TALL14": 14,
    "CLIPVisionModelTaskPool/clip-vit-classification_TALL20": 20,
    "ImageClassificationTaskPool/convnext-base-224_8-tasks": 8,
    "OpenCLIPVisionModelTaskPool/ViT-B-16_TA8": 8,
    "OpenCLIPVisionModelTaskPool/ViT-B-32_TA8": 8,
    "OpenCLIPVisionModelTaskPool/ViT-L-14_TA8": 8,
    "clip-vit-base-patch32_robustness_clean": 4,
    "clip-vit-base-patch32_robustness_corrupted": 4,
    "flan-t5_glue_text_generation": 8,
    "gpt-2_glue": 7,
    "nyuv2_taskpool": 3,
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A configuration folder with an entry for every image dataset; the package's own go before it."""
    folder = tmp_path_factory.mktemp("conf")
    every = {*SINGLE, "tiny-imagenet"}
    eight = ["sun397", "stanford-cars", "resisc45", "eurosat", "svhn", "gtsrb", "mnist", "dtd"]
    for split in ("test", "val"):
        group = folder / "dataset/image_classification" / split
        group.mkdir(parents=True)
        for name in every:
            (group / f"{name}.yaml").write_text(f"{name}: {{_target_: datasets.load_dataset, path: {name}}}\n")
        (group / "the_eight_tasks.yaml").write_text("defaults:\n" + "".join(f"  - {one}\n" for one in eight))
    return str(folder)


@pytest.fixture(scope="module")
def composed(datasets: str) -> Iterator[Any]:
    with initialize_config_module("fusion_stack.config", version_base="1.3"):

        def compose_taskpool(name: str, *overrides: str) -> Any:
            fixed = [f"hydra.searchpath=[file://{datasets}]", "modelpool=models", "path.log_dir=x"]
            return compose("fabric_model_fusion", overrides=[*fixed, f"taskpool={name}", *overrides]).taskpool

        yield compose_taskpool


def test_no_name_of_fusionbench_is_missing() -> None:
    assert set(TASKS) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_builds(name: str, composed: Any) -> None:
    first = (FOLDER / f"{name}.yaml").read_text().splitlines()[0]
    config = composed(name, "+corruption=motion_blur")
    assert "???" not in str(OmegaConf.to_container(config, resolve=True))
    pool = instantiate(config)
    assert type(pool).__name__ in config._target_
    tasks = getattr(pool, "task_names", [])
    assert len(tasks) == TASKS.get(name, len(tasks))
    if "CLIP" in name or "clip" in name:
        assert all(classes_of(task).classnames for task in tasks)
    assert first.startswith("# ")  # what --help prints


def test_keys_people_override(composed: Any) -> None:
    corrupted = composed("clip-vit-base-patch32_robustness_corrupted", "+corruption=contrast")
    assert corrupted.test_datasets.gtsrb.split == "contrast"
    large = composed("CLIPVisionModelTaskPool/clip-vit-classification_TA8", "taskpool.base_model=./clip")
    assert (large.clip_model, large.processor) == ("./clip", "./clip")
    assert composed("CLIPVisionModelTaskPool/clip-vit-classification_TA8_L14").clip_model.endswith("large-patch14")
    heads = composed("OpenCLIPVisionModelTaskPool/ViT-B-16_TA8", "taskpool.model_dir=heads").classification_heads
    assert heads["stanford-cars"] == "heads/ViT-B-16/head_Cars.pt"
    assert instantiate(composed("flan-t5_glue_text_generation", "taskpool.batch_size=7")).batch_size == 7
    assert instantiate(composed("nyuv2_taskpool", "fast_dev_run=true")).fast_dev_run

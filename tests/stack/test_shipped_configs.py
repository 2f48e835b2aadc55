"""The shipped configurations compose, build, and name what can be looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusion_stack.config
from fusion_stack.serialization import instantiate

CONFIG = Path(fusion_stack.config.__path__[0])
POOLS = sorted(
    str(path.relative_to(CONFIG / "modelpool").with_suffix(""))
    for path in (CONFIG / "modelpool").rglob("*.yaml")
    if path.stem != "_template"
)
HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
EIGHT = ["sun397", "stanford-cars", "resisc45", "eurosat", "svhn", "gtsrb", "mnist", "dtd"]


def compose(name: str, *overrides: str, taskpool: str = "dummy") -> Any:
    """The pool's configuration as the command composes it."""
    import hydra

    with hydra.initialize_config_module("fusion_stack.config", version_base=None):
        return hydra.compose("fabric_model_fusion", [f"modelpool={name}", f"taskpool={taskpool}", *overrides])


def files_of(model: Any) -> Iterator[str]:
    """The paths and ids a pool's entry names."""
    if isinstance(model, str):
        yield model
        return
    for key in model:
        if key.endswith(("_path", "_name_or_path")) and model[key] is not None:
            yield str(model[key])


def test_the_files_are_those_that_the_script_writes() -> None:
    from tools.shipped_configs import shipped

    stale = [path for path, text in shipped() if (CONFIG / path).read_text() != text]
    assert not stale, "run: python -m tools.shipped_configs"


@pytest.mark.parametrize("name", POOLS)
def test_every_modelpool_composes_and_names_models_and_datasets(name: str) -> None:
    config = compose(name, "+corruption=contrast")
    pool = instantiate(config.modelpool)
    if name != "models":
        assert pool.all_model_names
    for model in pool.all_model_names:
        for file in files_of(pool.get_model_config(model)):
            assert HUB_ID.fullmatch(file) or file.endswith((".pt", ".ckpt")), f"{model}: {file}"
    for split in ("train", "val", "test"):
        for task in getattr(pool, f"{split}_dataset_names"):
            dataset = getattr(pool, f"_{split}_datasets")[task]
            assert HUB_ID.fullmatch(dataset["path"]), f"{task}: {dataset}"
            assert dataset["split"], task
            if str(dataset["_target_"]).startswith("fusion_stack."):
                from hydra.utils import get_method

                assert callable(get_method(dataset["_target_"]))


@pytest.mark.parametrize(("name", "tasks"), [("TA8", 8), ("TALL14", 14), ("TALL20", 20)])
@pytest.mark.parametrize("architecture", ["base-patch32", "base-patch16", "large-patch14"])
def test_clip_pools_name_every_task_with_its_datasets(architecture: str, name: str, tasks: int) -> None:
    pool = instantiate(compose(f"CLIPVisionModelPool/clip-vit-{architecture}_{name}").modelpool)
    assert len(pool.model_names) == tasks
    assert pool.model_names[:8] == EIGHT
    assert pool.train_dataset_names == pool.test_dataset_names == pool.model_names
    assert pool.get_model_path("_pretrained_") == f"openai/clip-vit-{architecture}"
    assert pool.get_model_path("dtd") == f"tanganke/clip-vit-{architecture}_dtd"


def test_the_root_configuration_has_a_pool_by_default() -> None:
    import hydra

    with hydra.initialize_config_module("fusion_stack.config", version_base=None):
        config = hydra.compose("fabric_model_fusion")
    assert list(instantiate(config.modelpool).model_names) == EIGHT


def test_another_base_by_fusionbenchs_override() -> None:
    config = compose("CLIPVisionModelPool/clip-vit-base-patch16_individual", "modelpool.base_model=./mine")
    assert instantiate(config.modelpool).get_model_path("_pretrained_") == "./mine"


@pytest.mark.parametrize(
    ("pool", "taskpool", "base"),
    [
        ("SequenceClassificationModelPool/roberta-base_glue", "roberta-base_glue", "roberta-base"),
        (
            "ConvNextForImageClassification/convnext-base-224_8-tasks",
            "ImageClassificationTaskPool/convnext-base-224_8-tasks",
            "facebook/convnext-base-224",
        ),
    ],
)
def test_every_task_has_a_model_with_its_head(pool: str, taskpool: str, base: str) -> None:
    config = compose(pool, taskpool=taskpool)
    models = instantiate(config.modelpool)
    assert models.model_names == instantiate(config.taskpool).task_names
    assert models.get_model_path("_pretrained_") == base


def test_image_classifiers_take_fusionbenchs_keys() -> None:
    name = "ResNetForImageClassification/transformers/resnet50_cifar10"
    pool = instantiate(compose(name, "modelpool.models._pretrained_.config_path=./mine").modelpool)
    assert pool.get_model_path("_pretrained_") == "./mine"
    assert (pool.train_dataset_names, pool.val_dataset_names) == (["cifar10"], ["cifar10"])
    for override, message in (
        ("modelpool.type=torchvision", r"modelpool\.type='torchvision': expected 'transformers'"),
        ("modelpool.models._pretrained_.pretrained=false", "model '_pretrained_': pretrained=false means random"),
    ):
        with pytest.raises(ValueError, match=message):
            instantiate(compose(name, override).modelpool)


def test_every_configuration_says_what_it_is() -> None:
    from fusion_stack.cli.configs import find

    assert not [one.path for one in find() if not one.summary]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_groups_of_datasets_and_models_are_complete(split: str) -> None:
    """Every entry of a `defaults` list is a file."""
    import yaml

    for folder in (CONFIG / "dataset" / "image_classification" / split, CONFIG / "model" / "clip-vit"):
        for path in folder.glob("*.yaml"):
            for entry in yaml.safe_load(path.read_text()).get("defaults", []):
                assert (folder / f"{entry}.yaml").is_file(), f"{path}: {entry}"


def test_a_tenth_of_the_training_split_is_what_torch_draws() -> None:
    torch = pytest.importorskip("torch")
    from datasets import Dataset

    from fusion_stack.data import train_validation_split

    dataset = Dataset.from_dict({"label": list(range(50))})
    train, val = torch.utils.data.random_split(dataset, [45, 5], generator=torch.Generator().manual_seed(0))
    ours = train_validation_split(dataset, 0.1, random_seed=0)
    assert [ours[0]["label"], ours[1]["label"]] == [train.indices, val.indices]
    assert train_validation_split(dataset, None, 7, 0, "val").num_rows == 7
    with pytest.raises(ValueError, match="cannot be held out"):
        train_validation_split(dataset, 0.001, random_seed=0)
    with pytest.raises(ValueError, match="one of validation_fraction"):
        train_validation_split(dataset, 0.1, 5)

"""Class names and prompts of the image datasets."""

from __future__ import annotations

import pytest

from fusion_stack.tasks.classes import Classes, classes_of, known_datasets

COUNTS = {  # as the datasets' own pages state them
    "cifar10": 10, "cifar100": 100, "cub-200-2011": 200, "dtd": 47, "emnist-letters": 26, "emnist-mnist": 10,
    "eurosat": 10, "fashion-mnist": 10, "fer2013": 7, "food101": 101, "gtsrb": 43, "imagenet": 1000, "kmnist": 10,
    "mango-leaf-disease": 8, "mnist": 10, "oxford-flowers102": 102, "oxford-iiit-pet": 37, "pcam": 2,
    "rendered-sst2": 2, "resisc45": 45, "stanford-cars": 196, "stl10": 10, "sun397": 397, "svhn": 10,
    "tiny-imagenet": 200,
}  # fmt: skip


def test_every_dataset_has_as_many_names_as_classes() -> None:
    assert {name: len(classes_of(name).classnames) for name in known_datasets()} == COUNTS
    for name in known_datasets():
        classes = classes_of(name)
        assert len(set(classes.classnames)) == len(classes.classnames), name
        assert len(set(classes.templates)) == len(classes.templates), name


def test_names_of_datasets_may_be_spelt_as_on_the_hub() -> None:
    assert classes_of("tanganke/stanford_cars") is not None
    assert classes_of("stanford_cars") == classes_of("stanford-cars")
    assert classes_of("svhn").prompts("7") == ['a photo of the number: "7".']
    assert len(classes_of("tiny-imagenet").templates) == len(classes_of("imagenet").templates) == 80


def test_a_template_without_a_place_for_the_name_is_refused() -> None:
    with pytest.raises(ValueError, match="needs one"):
        Classes(("a",), ("a photo.",))
    with pytest.raises(KeyError, match=r"Did you mean 'eurosat'\?"):
        classes_of("euro-sat")

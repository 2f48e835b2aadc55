"""Datasets that need more than datasets.load_dataset: splits by fraction, archives of another layout."""

from __future__ import annotations

from typing import Any

from fusion_kernels.errors import quoted
from fusion_stack.modelpool.loading import explained
from fusion_stack.serialization import instantiate


def train_validation_split(
    dataset: Any,
    validation_fraction: float | None = 0.1,
    validation_size: int | None = None,
    random_seed: int | None = None,
    return_split: str = "all",
) -> Any:
    """A dataset's two random parts, or the one named: "all" for (train, validation), "train", "val".

    dataset: a datasets.Dataset, or a mapping with `_target_` that makes one. One of `validation_fraction`, between 0
    and 1, and `validation_size` is given, the other None. random_seed: None for another split every time; the same seed
    draws what torch.utils.data.random_split draws.
    Raises ValueError for other values.
    """
    import torch

    if return_split not in ("all", "train", "val"):
        raise ValueError(f'return_split={quoted(return_split)}: expected "all", "train" or "val"')
    if (validation_fraction is None) == (validation_size is None):
        raise ValueError("one of validation_fraction and validation_size is needed, the other must be null")
    if hasattr(dataset, "keys") and "_target_" in dataset:
        dataset = instantiate(dataset)
    count = len(dataset)
    held_out = validation_size if validation_fraction is None else int(count * validation_fraction)
    if held_out is None or not 0 < held_out < count:
        raise ValueError(f"{held_out} of {count} items cannot be held out for validation")
    generator = None if random_seed is None else torch.Generator().manual_seed(random_seed)
    order = torch.randperm(count, generator=generator).tolist()
    parts = {"train": order[: count - held_out], "val": order[count - held_out :]}
    if return_split != "all":
        return dataset.select(parts[return_split])
    return dataset.select(parts["train"]), dataset.select(parts["val"])


def load_fer2013(path: str = "clip-benchmark/wds_fer2013", split: str = "train") -> Any:
    """FER-2013 with the columns "image" and "label", from the hub's copy in webdataset layout."""
    from datasets import load_dataset

    with explained(path, kind="dataset"):
        dataset = load_dataset(path, split=split)
    return dataset.remove_columns(["__key__", "__url__"]).rename_columns({"jpg": "image", "cls": "label"})

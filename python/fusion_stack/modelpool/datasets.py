"""Datasets by split and name, built when they are asked for: the half of a modelpool that is no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fusion_kernels.errors import listing, suggest
from fusion_stack.hub import dataset_id, hub_or_cache
from fusion_stack.serialization import instantiate, is_configuration


class NamedDatasets:
    """Three splits, each {name: dataset, or mapping with `_target_`}, or None."""

    _train_datasets: Mapping[str, Any] | None
    _val_datasets: Mapping[str, Any] | None
    _test_datasets: Mapping[str, Any] | None

    @property
    def train_dataset_names(self) -> list[str]:
        return list(self._train_datasets or ())

    @property
    def val_dataset_names(self) -> list[str]:
        return list(self._val_datasets or ())

    @property
    def test_dataset_names(self) -> list[str]:
        return list(self._test_datasets or ())

    @property
    def has_train_dataset(self) -> bool:
        return bool(self._train_datasets)

    @property
    def has_val_dataset(self) -> bool:
        return bool(self._val_datasets)

    @property
    def has_test_dataset(self) -> bool:
        return bool(self._test_datasets)

    def load_train_dataset(self, dataset_name: str, *args: Any, **kwargs: Any) -> Any:
        return self.load_dataset("train", dataset_name, *args, **kwargs)

    def load_val_dataset(self, dataset_name: str, *args: Any, **kwargs: Any) -> Any:
        return self.load_dataset("val", dataset_name, *args, **kwargs)

    def load_test_dataset(self, dataset_name: str, *args: Any, **kwargs: Any) -> Any:
        return self.load_dataset("test", dataset_name, *args, **kwargs)

    def load_dataset(self, split: str, dataset_name: str, *args: Any, **kwargs: Any) -> Any:
        """The dataset of that name. `split`: "train", "val" or "test". Raises KeyError for an unknown name."""
        datasets: Mapping[str, Any] = getattr(self, f"_{split}_datasets") or {}
        if dataset_name not in datasets:
            known = list(datasets)
            raise KeyError(
                f"no {split} dataset {dataset_name!r}; the modelpool has {listing(known) or 'none'}."
                f"{suggest(dataset_name, known)}"
            )
        dataset = datasets[dataset_name]
        if not is_configuration(dataset):
            return dataset
        with hub_or_cache(dataset_id(dataset)):
            return instantiate(dataset, *args, **kwargs)

    def train_datasets(self) -> Iterator[Any]:
        return (self.load_train_dataset(name) for name in self.train_dataset_names)

    def val_datasets(self) -> Iterator[Any]:
        return (self.load_val_dataset(name) for name in self.val_dataset_names)

    def test_datasets(self) -> Iterator[Any]:
        return (self.load_test_dataset(name) for name in self.test_dataset_names)

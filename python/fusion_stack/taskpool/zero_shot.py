"""Zero-shot image classification: what the taskpools of CLIP-like models share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fusion_stack.taskpool.dataset_pool import DatasetTaskPool
from fusion_stack.tasks import TaskError
from fusion_stack.tasks.classes import Classes, classes_from, classes_of
from fusion_stack.tasks.corruptions import Corruption
from fusion_stack.tasks.labels import label_names, require_same_labels
from fusion_stack.tasks.zero_shot import cached_head


class ZeroShotTaskPool(DatasetTaskPool):
    """Image datasets whose classes are told apart by their names; a subclass knows the model that reads them."""

    _config_mapping = DatasetTaskPool._config_mapping | {
        "_classes": "classes",
        "_image_corruption": "image_corruption",
        "_cache_dir": "cache_dir",
    }

    def __init__(
        self,
        test_datasets: Mapping[str, Any],
        *,
        classes: Mapping[str, Any] | None = None,
        image_corruption: Mapping[str, Any] | None = None,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        """`classes`: {task: {classnames: [...], templates: [...]}} for tasks that fusion_stack.tasks.classes does not
        know; without classnames, the dataset's own label names.

        image_corruption: {name: motion_blur, severity: 5, seed: 0}, see fusion_stack.tasks.corruptions.
        cache_dir: where text features are kept; None for the run's, or $FUSION_BENCH_CACHE_DIR, or outputs/cache.
        """
        self._classes = classes
        self._image_corruption = image_corruption
        self._cache_dir = cache_dir
        self.corrupt = None if image_corruption is None else Corruption(**image_corruption)
        super().__init__(test_datasets, **kwargs)

    def classes(self, task: str, dataset: Any, column: Any) -> Classes:
        """Class names and templates of a task. Raises TaskError where the dataset has other labels."""
        names = label_names(dataset, column)
        try:
            own = (self._classes or {}).get(task)
            classes = classes_of(task) if own is None else classes_from(own, names)
        except (KeyError, ValueError) as error:
            raise TaskError(
                f"task {task!r}: {error.args[0]} Give them: taskpool.classes.{task}.classnames=[...], "
                f"or +taskpool.classes.{task}={{}} for the dataset's own label names"
            ) from error
        require_same_labels(task, classes.classnames, names, f"the list of class names of {task}")
        return classes

    def cached(self, task: str, key: str, make: Callable[[], Any]) -> Any:
        """A head from the cache, on the evaluating device."""
        run = None if self._program is None else self._program.path["cache_dir"]
        folder = self._cache_dir or run or os.environ.get("FUSION_BENCH_CACHE_DIR", "outputs/cache")
        return cached_head(Path(folder) / "zero_shot_heads", key, task, make).to(self.hardware.torch_device)

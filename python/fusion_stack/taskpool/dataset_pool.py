"""Evaluation on named datasets, one after the other: what all taskpools that have data share."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fusion_kernels.errors import listing, suggest
from fusion_stack.hub import absence, dataset_id, hub_or_cache
from fusion_stack.serialization import instantiate, is_configuration
from fusion_stack.taskpool.base import BaseTaskPool
from fusion_stack.tasks import TaskError
from fusion_stack.tasks.fingerprint import Fingerprinted
from fusion_stack.tasks.pretrained import loaded, tokenizer_from
from fusion_stack.tasks.progress import progress

if TYPE_CHECKING:
    from fusion_stack.modelpool.base import BaseModelPool

log = logging.getLogger(__name__)


class DatasetTaskPool(BaseTaskPool):
    """A taskpool with one dataset a task; a subclass says in `evaluate_task` what is measured.

    score: the metrics that say how good a model is at a task, higher for better, of which a task has one; their mean
        over all tasks is reported as the average "score".
    """

    takes_tasks: ClassVar[bool] = True
    score: ClassVar[tuple[str, ...]] = ("accuracy",)
    _config_mapping = BaseTaskPool._config_mapping | {
        "_test_datasets": "test_datasets",
        "_dataloader_kwargs": "dataloader_kwargs",
        "batch_size": "batch_size",
        "num_workers": "num_workers",
        "_fast_dev_run": "fast_dev_run",
    }

    def __init__(
        self,
        test_datasets: Mapping[str, Any],
        *,
        dataloader_kwargs: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        num_workers: int | None = None,
        fast_dev_run: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """`test_datasets`: {task: dataset, or mapping with `_target_` that loads one}; nothing is loaded here.

        dataloader_kwargs: of torch.utils.data.DataLoader; batch_size and num_workers go before them. There are at most
            as many workers as cores. fast_dev_run: one batch of each task; None as the run says.
        """
        self._test_datasets = test_datasets
        self._dataloader_kwargs = dataloader_kwargs
        self.batch_size, self.num_workers = batch_size, num_workers
        self._fast_dev_run = fast_dev_run
        self._fed: Fingerprinted | None = None
        self._hashes: dict[str, str] = {}
        super().__init__(**kwargs)

    @property
    def task_names(self) -> list[str]:
        return [str(name) for name in self._test_datasets]

    @property
    def fast_dev_run(self) -> bool:
        return super().fast_dev_run if self._fast_dev_run is None else self._fast_dev_run

    @property
    def modelpool(self) -> BaseModelPool | None:
        """The run's modelpool, where heads, tokenizers and the like may be; None where there is no run."""
        return None if self._program is None else self._program.modelpool

    def load_test_dataset(self, task: str) -> Any:
        """The dataset of a task. Raises KeyError for an unknown task, and what its loader raises."""
        if task not in self._test_datasets:
            names = self.task_names
            raise KeyError(f"no task {task!r}; the taskpool has {listing(names) or 'none'}.{suggest(task, names)}")
        dataset = self._test_datasets[task]
        if not is_configuration(dataset):
            return dataset
        with hub_or_cache(dataset_id(dataset)):
            return instantiate(dataset)

    @abstractmethod
    def evaluate_task(self, model: Any, task: str, dataset: Any) -> dict[str, float]:
        """{metric: value} of a model in evaluation mode, on its device. Raises TaskError for data that do not fit."""

    def evaluate(
        self, model: Any, name: str | None = None, *args: Any, tasks: Sequence[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """{"model_info", task: {metric: value} or {"error": message}, "average": {metric: value}}.

        model: a torch.nn.Module; it is moved to where it is evaluated. name: goes into the report.
        tasks: evaluate on these alone, None for all.
        """
        import torch

        model = self.ready(model)
        report: dict[str, Any] = {"model_info": model_info(model, name)}
        names = self.task_names if tasks is None else list(tasks)
        for task in progress(names, "tasks", unit="task"):
            try:
                dataset = self._loaded(task)
                with torch.inference_mode(), self.hardware.autocast():
                    report[task] = self.evaluate_task(model, task, dataset)
                if self._fed is not None:
                    self._hashes[task] = self._fed.hexdigest()
            except TaskError as error:
                log.error("%s", error)
                report[task] = {"error": str(error)}
        report["average"] = average([report[task] for task in names], self.score)
        return report

    def run_tokenizer(self, given: Any) -> Any:
        """The tokenizer a configuration gives, else the modelpool's. Raises ValueError where neither has one."""
        if given is not None:
            return loaded(given, tokenizer_from, "tokenizer")
        load = getattr(self.modelpool, "load_tokenizer", None)
        if load is None:
            raise ValueError("the modelpool has no tokenizer; name one: taskpool.tokenizer=PATH")
        return load()

    def ready(self, module: Any) -> Any:
        """A module in evaluation mode, in the dtype and on the device the run evaluates in."""
        return module.to(device=self.hardware.torch_device, dtype=self.hardware.weights_dtype).eval()

    def data_hashes(self) -> dict[str, str]:
        """{task: hash of the batches a model was fed}, of the tasks evaluated so far."""
        return dict(self._hashes)

    def batches(self, dataset: Any, collate: Callable[[list[Any]], Any]) -> Fingerprinted:
        """A data loader over a dataset, in its order; over one batch of it in a fast_dev_run."""
        from torch.utils.data import DataLoader, Subset

        options = {"batch_size": 32, "num_workers": 0, **(self._dataloader_kwargs or {})}
        given = {"batch_size": self.batch_size, "num_workers": self.num_workers}
        options |= {name: value for name, value in given.items() if value is not None}
        options["num_workers"] = min(options["num_workers"], os.cpu_count() or 1)
        options["pin_memory"] = options.get("pin_memory", False) and self.hardware.torch_device.type == "cuda"
        if options["num_workers"]:
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads do not survive the workers' fork
        if self.fast_dev_run:
            dataset = Subset(dataset, range(min(options["batch_size"], len(dataset))))
        self._fed = Fingerprinted(DataLoader(dataset, collate_fn=collate, **options))
        return self._fed

    def _loaded(self, task: str) -> Any:
        """Whatever goes wrong in a loader, of a library or the user's own, concerns this task alone."""
        try:
            dataset = self.load_test_dataset(task)
        except Exception as error:
            why = None if dataset_id(self._test_datasets[task]) is None else absence()
            raise TaskError(
                f"task {task!r}: its dataset cannot be loaded from {self._origin(task)}: "
                f"{type(error).__name__}: {' '.join(str(error).split())}. {why or ''}".rstrip(". ")
            ) from error
        if len(dataset) == 0:
            raise TaskError(f"task {task!r}: its dataset from {self._origin(task)} is empty")
        return dataset

    def _origin(self, task: str) -> str:
        dataset = self._test_datasets[task]
        if not is_configuration(dataset):
            return type(dataset).__name__
        call = [f"{key}={dataset[key]!r}" for key in dataset if not key.startswith("_")]
        return f"{dataset['_target_']}({', '.join(call)})"


def model_info(model: Any, name: str | None = None) -> dict[str, Any]:
    """Parameters of a torch.nn.Module, all and trainable, with its name if it has one."""
    parameters = list(model.parameters())
    every = sum(one.numel() for one in parameters)
    trainable = sum(one.numel() for one in parameters if one.requires_grad)
    info = {"trainable_params": trainable, "all_params": every, "trainable_percentage": trainable / max(every, 1)}
    return info if name is None else {**info, "name": name}


def average(results: list[dict[str, Any]], score: tuple[str, ...]) -> dict[str, float]:
    """Means over the tasks that have a metric, tasks with errors left out.

    "score" is the mean over all tasks of what of `score` each has; only where the tasks differ in it.
    """
    valid = [one for one in results if "error" not in one]
    metrics = dict.fromkeys(metric for one in valid for metric in one)
    means = {metric: _mean([one[metric] for one in valid if metric in one]) for metric in metrics}
    scores = [one[metric] for one in valid for metric in score if metric in one]
    if scores and sum(metric in means for metric in score) > 1:
        means["score"] = _mean(scores)
    return means


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)

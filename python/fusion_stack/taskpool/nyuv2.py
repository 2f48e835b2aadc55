"""Scene understanding on NYUv2, segmentation, depth and normals from one encoder: `NYUv2TaskPool`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fusion_kernels.errors import listing, suggest
from fusion_stack.taskpool.dataset_pool import DatasetTaskPool, model_info
from fusion_stack.tasks import TaskError
from fusion_stack.tasks.nyuv2 import CHANNELS, METRICS, NYUv2
from fusion_stack.tasks.progress import progress

log = logging.getLogger(__name__)


class NYUv2TaskPool(DatasetTaskPool):
    """mIoU and pixel accuracy; absolute and relative error of depth; mean and median angle of normals.

    The merged encoder runs once an image; each task's decoder is that of the modelpool's model of its name
    (`load_model(task, encoder_only=False).decoders[task]`), or the merged model's own where it has decoders.
    """

    _config_mapping = DatasetTaskPool._config_mapping | {
        "data_dir": "data_dir",
        "tasks": "tasks",
    }

    def __init__(
        self,
        data_dir: str,
        *,
        tasks: Sequence[str] = ("segmentation", "depth", "normal"),
        **kwargs: Any,
    ) -> None:
        """`data_dir`: where the folder nyuv2/ of fusion_stack.tasks.nyuv2 lies. Raises ValueError for other tasks."""
        for task in tasks:
            if task not in CHANNELS:
                raise ValueError(f"NYUv2 has no task {task!r}, only {listing(CHANNELS)}.{suggest(task, CHANNELS)}")
        self.data_dir, self.tasks = data_dir, list(tasks)
        loader = {"_target_": "fusion_stack.tasks.nyuv2.NYUv2", "root": f"{data_dir}/nyuv2", "split": "val"}
        super().__init__(dict.fromkeys(self.tasks, loader), **kwargs)

    def evaluate(
        self, model: Any, name: str | None = None, *args: Any, tasks: Sequence[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """{"model_info", task: {metric: value} or {"error": message}}; the tasks share no metric to average."""
        import torch

        model = self.ready(model)
        report: dict[str, Any] = {"model_info": model_info(model, name)}
        decoders = {}
        dataset: NYUv2 | None = None
        for task in self.tasks if tasks is None else tasks:
            try:
                dataset = dataset or self._loaded(task)
                decoders[task] = self.ready(self.decoder(model, task))
            except TaskError as error:
                log.error("%s", error)
                report[task] = {"error": str(error)}
        if dataset is not None and decoders:
            with torch.inference_mode(), self.hardware.autocast():
                report |= self._measured(getattr(model, "encoder", model), decoders, dataset)
            self._hashes = dict.fromkeys(decoders, self._fed.hexdigest() if self._fed else "")
        return report

    def evaluate_task(self, model: Any, task: str, dataset: Any) -> dict[str, float]:
        """One task alone."""
        measured = self._measured(getattr(model, "encoder", model), {task: self.decoder(model, task)}, dataset)
        return measured[task]

    def decoder(self, model: Any, task: str) -> Any:
        """What turns an encoder's features into a task's predictions. Raises TaskError where there is none."""
        own = getattr(model, "decoders", {})
        if task in own:
            return own[task]
        if self.modelpool is None or task not in self.modelpool:
            raise TaskError(
                f"task {task!r}: neither the merged model nor a model {task!r} of the modelpool has a decoder"
            )
        return self.modelpool.load_model(task, encoder_only=False).decoders[task]

    def _measured(self, encoder: Any, decoders: dict[str, Any], dataset: Any) -> dict[str, dict[str, float]]:
        from torch.nn.functional import interpolate
        from torch.utils.data import default_collate

        metrics = {task: METRICS[task]() for task in decoders}
        parameter = next(encoder.parameters())
        for batch in progress(self.batches(dataset, default_collate), "NYUv2"):
            features = encoder(batch["image"].to(parameter.device, parameter.dtype))
            for task, decoder in decoders.items():
                predicted = decoder(features).float()
                found, expected = predicted.shape[1], CHANNELS[task]
                if found != expected:
                    raise ValueError(f"task {task!r}: its decoder has {found} output channels, expected {expected}")
                size = batch["image"].shape[-2:]
                predicted = interpolate(predicted, size, mode="bilinear", align_corners=True)
                metrics[task].update(predicted.cpu(), batch[task])
        return {task: metric.compute() for task, metric in metrics.items()}

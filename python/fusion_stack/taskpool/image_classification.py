"""Image classification by models with a head (ResNet, ConvNeXt, DINOv2, ...): `ImageClassificationTaskPool`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from fusion_stack.taskpool.dataset_pool import DatasetTaskPool
from fusion_stack.tasks.classification import classify
from fusion_stack.tasks.corruptions import Corruption
from fusion_stack.tasks.heads import classifier_for, label_list
from fusion_stack.tasks.images import ImageBatch, columns_of, image_processor
from fusion_stack.tasks.labels import label_names, require_same_labels
from fusion_stack.tasks.pretrained import loaded


class ImageClassificationTaskPool(DatasetTaskPool):
    """Accuracy and loss. Each task's head is that of the modelpool's model of its name, where there is one."""

    _config_mapping = DatasetTaskPool._config_mapping | {
        "_processor": "processor",
        "_image_corruption": "image_corruption",
    }

    def __init__(
        self,
        test_datasets: Mapping[str, Any],
        *,
        processor: Any,
        image_corruption: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """`processor`: of images; a path or hub id, a mapping with `_target_`, or a transformers image processor.

        image_corruption: {name: motion_blur, severity: 5, seed: 0}, see fusion_stack.tasks.corruptions.
        """
        self._processor = processor
        self._image_corruption = image_corruption
        self.corrupt = None if image_corruption is None else Corruption(**image_corruption)
        super().__init__(test_datasets, **kwargs)

    @functools.cached_property
    def processor(self) -> Any:
        return loaded(self._processor, image_processor, "processor")

    def evaluate_task(self, model: Any, task: str, dataset: Any) -> dict[str, float]:
        columns = columns_of(task, dataset)
        classifier = self.ready(classifier_for(task, model, self.modelpool))
        parameter = next(classifier.parameters())

        def logits_of(pixels: Any) -> Any:
            output = classifier(pixels.to(parameter.device, parameter.dtype))
            return getattr(output, "logits", output)

        names = label_names(dataset, columns[1])
        if hasattr(classifier, "config"):
            expected = label_list(classifier.config)
            require_same_labels(task, expected, names, f"the head of {type(classifier).__name__}")
            num_classes = len(expected)
        else:
            first, _ = next(iter(self.batches(dataset, ImageBatch(self.processor, columns))))
            num_classes = logits_of(first[:1]).shape[-1]
        batches = self.batches(dataset, ImageBatch(self.processor, columns, self.corrupt))
        return classify(batches, logits_of, num_classes=num_classes, task=task, keep_items=self.keep_items)


class ResNetForImageClassificationTaskPool(ImageClassificationTaskPool):
    """The same under FusionBench's name for ResNets. type: "transformers"; torchvision's ResNets are not read."""

    def __init__(self, test_datasets: Mapping[str, Any], *, type: str = "transformers", **kwargs: Any) -> None:
        if type != "transformers":
            raise ValueError(f"taskpool.type={type!r}: expected 'transformers'")
        if "processor_config_path" in kwargs:
            kwargs["processor"] = kwargs.pop("processor_config_path")
        super().__init__(test_datasets, **kwargs)

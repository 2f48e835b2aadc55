"""Zero-shot image classification by OpenCLIP's vision tower: `OpenCLIPVisionModelTaskPool`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from fusion_stack.taskpool.zero_shot import ZeroShotTaskPool
from fusion_stack.tasks.classification import classify
from fusion_stack.tasks.images import ImageBatch, columns_of
from fusion_stack.tasks.labels import require_same_labels
from fusion_stack.tasks.openclip import read_head
from fusion_stack.tasks.zero_shot import head_key, module_hash, zero_shot_head

_SCALE = 100.0  # what OpenAI's CLIP models were trained to; read_head's published heads hold it already


class OpenCLIPVisionModelTaskPool(ZeroShotTaskPool):
    """Accuracy and loss of a vision tower: a module from images (N, 3, H, W) to features (N, D).

    A task's head is the file that `classification_heads` names, else the text features of its class names.
    """

    _config_mapping = ZeroShotTaskPool._config_mapping | {
        "model_name": "model_name",
        "model_dir": "model_dir",
        "pretrained": "pretrained",
        "_processor": "processor",
        "_classification_heads": "classification_heads",
    }

    def __init__(
        self,
        test_datasets: Mapping[str, Any],
        *,
        classification_heads: Mapping[str, str | None] | None = None,
        model_name: str | None = None,
        model_dir: str | None = None,
        pretrained: str = "openai",
        processor: Any = None,
        **kwargs: Any,
    ) -> None:
        """`classification_heads`: {task: file}; see fusion_stack.tasks.openclip.read_head. model_name: OpenCLIP's; with
        the weights `pretrained` it gives the text tower and the processor. model_dir: for other keys to refer to.

        processor: from a PIL image to a tensor; None for the modelpool's `test_processor`, or the named model's.
        """
        self._classification_heads = classification_heads
        self.model_name, self.model_dir, self.pretrained = model_name, model_dir, pretrained
        self._processor = processor
        super().__init__(test_datasets, **kwargs)

    @functools.cached_property
    def processor(self) -> Any:
        if self._processor is not None:
            return self._processor
        pooled = getattr(self.modelpool, "test_processor", None)
        return self._named[1] if pooled is None else pooled

    @functools.cached_property
    def _named(self) -> tuple[Any, Any, Any]:
        """Model, processor and tokenizer of the named model."""
        if self.model_name is None:
            raise ValueError(
                "taskpool.model_name is needed: neither a processor nor all classification heads are given"
            )
        try:
            import open_clip
        except ImportError as error:
            raise ImportError(
                f"OpenCLIPVisionModelTaskPool needs open_clip ({error}): pip install 'fusion_kernels[openclip]'"
            ) from error
        model, _, processor = open_clip.create_model_and_transforms(self.model_name, pretrained=self.pretrained)
        return self.ready(model).requires_grad_(False), processor, open_clip.get_tokenizer(self.model_name)

    @functools.cached_property
    def _text_hash(self) -> str:
        model, _, _ = self._named
        return module_hash(model, extra=str(self.model_name))

    def evaluate_task(self, model: Any, task: str, dataset: Any) -> dict[str, float]:
        columns = columns_of(task, dataset)
        weights = self.task_head(task, dataset, columns[1])
        parameter = next(model.parameters())

        def logits_of(pixels: Any) -> Any:
            features = model(pixels.to(parameter.device, parameter.dtype)).float()
            return features / features.norm(dim=-1, keepdim=True) @ weights.T

        batches = self.batches(dataset, ImageBatch(self.processor, columns, self.corrupt))
        return classify(batches, logits_of, num_classes=len(weights), task=task, keep_items=self.keep_items)

    def task_head(self, task: str, dataset: Any, column: Any) -> Any:
        """A task's head (classes, D), scaled so that its products with unit features are logits."""
        import torch

        file = (self._classification_heads or {}).get(task)
        classes = self.classes(task, dataset, column)
        if file is not None:
            head = read_head(task, file)
            require_same_labels(task, classes.classnames, [str(row) for row in range(len(head))], str(file))
            return head.to(self.hardware.torch_device)

        def text_features(texts: list[str]) -> Any:
            network, _, tokenize = self._named
            return network.encode_text(tokenize(texts).to(self.hardware.torch_device))

        def make() -> Any:
            with torch.autocast(self.hardware.torch_device.type, enabled=False):
                return zero_shot_head(text_features, classes, description=f"class names of {task}")

        return _SCALE * self.cached(task, head_key(self._text_hash, classes), make)

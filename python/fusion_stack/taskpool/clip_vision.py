"""Zero-shot image classification by CLIP's vision tower: `CLIPVisionModelTaskPool`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_stack.taskpool.zero_shot import ZeroShotTaskPool
from fusion_stack.tasks.classes import Classes
from fusion_stack.tasks.classification import classify
from fusion_stack.tasks.clip import CLIPHead, vision_tower
from fusion_stack.tasks.images import ImageBatch, columns_of, image_processor
from fusion_stack.tasks.layer_features import LayerFeatures
from fusion_stack.tasks.pretrained import loaded, tokenizer_from
from fusion_stack.tasks.zero_shot import head_key, module_hash, zero_shot_head


class CLIPVisionModelTaskPool(ZeroShotTaskPool):
    """Accuracy and loss of a vision tower (transformers.CLIPVisionModel) inside a CLIP model.

    The CLIP model gives text tower, projections and scale; its own vision tower is not used.
    """

    _config_mapping = ZeroShotTaskPool._config_mapping | {
        "base_model": "base_model",
        "_clip_model": "clip_model",
        "_processor": "processor",
        "_data_processor": "data_processor",
        "corruption": "corruption",
        "layer_wise_feature_save_path": "layer_wise_feature_save_path",
        "layer_wise_feature_first_token_only": "layer_wise_feature_first_token_only",
        "layer_wise_feature_max_num": "layer_wise_feature_max_num",
    }

    def __init__(
        self,
        test_datasets: Mapping[str, Any],
        *,
        clip_model: Any,
        processor: Any,
        data_processor: Any = None,
        base_model: str | None = None,
        corruption: str | None = None,
        layer_wise_feature_save_path: str | None = None,
        layer_wise_feature_first_token_only: bool = True,
        layer_wise_feature_max_num: int | None = None,
        **kwargs: Any,
    ) -> None:
        """`clip_model`, `processor`: a path or hub id, a mapping with `_target_`, or the object (CLIPModel,
        CLIPProcessor). data_processor: of images, where it is another one.

        base_model: for other keys to refer to. corruption: which corrupted splits the datasets are, for them likewise.
        layer_wise_feature_save_path: folder for the features of each layer, TASK/layer_N.safetensors; of the first
            token, or of all, and of at most so many images.
        """
        self.base_model, self.corruption = base_model, corruption
        self._clip_model, self._processor, self._data_processor = clip_model, processor, data_processor
        self.layer_wise_feature_save_path = layer_wise_feature_save_path
        self.layer_wise_feature_first_token_only = layer_wise_feature_first_token_only
        self.layer_wise_feature_max_num = layer_wise_feature_max_num
        super().__init__(test_datasets, **kwargs)

    @functools.cached_property
    def head(self) -> CLIPHead:
        from transformers import CLIPModel

        model = loaded(self._clip_model, CLIPModel.from_pretrained, "clip_model")
        processor = loaded(self._processor, tokenizer_from, "processor")
        return CLIPHead(self.ready(model).requires_grad_(False), getattr(processor, "tokenizer", processor))

    @functools.cached_property
    def image_processor(self) -> Any:
        given = self._processor if self._data_processor is None else self._data_processor
        return loaded(given, image_processor, "processor")

    @functools.cached_property
    def _text_hash(self) -> str:
        model, tokenizer = self.head.model, self.head.tokenizer
        words = repr(sorted(tokenizer.get_vocab().items()))
        return module_hash(model.text_model, model.text_projection, extra=words)

    def evaluate_task(self, model: Any, task: str, dataset: Any) -> dict[str, float]:
        columns = columns_of(task, dataset)
        classes = self.classes(task, dataset, columns[1])
        weights = self.text_features(task, classes)
        tower = vision_tower(model)
        parameter = next(tower.parameters())

        def logits_of(pixels: Any) -> Any:
            features = self.head.image_features(tower, pixels.to(parameter.device, parameter.dtype)).float()
            return self.head.scale * (features / features.norm(dim=-1, keepdim=True)) @ weights.T

        batches = self.batches(dataset, ImageBatch(self.image_processor, columns, self.corrupt))
        with self._features(tower, task):
            return classify(
                batches, logits_of, num_classes=len(classes.classnames), task=task, keep_items=self.keep_items
            )

    def text_features(self, task: str, classes: Classes) -> Any:
        """The zero-shot head (classes, D) of a task, fp32."""
        import torch

        def make() -> Any:
            with torch.autocast(self.hardware.torch_device.type, enabled=False):
                return zero_shot_head(self.head.text_features, classes, description=f"class names of {task}")

        return self.cached(task, head_key(self._text_hash, classes), make)

    def _features(self, tower: Any, task: str) -> Any:
        folder = self.layer_wise_feature_save_path
        return LayerFeatures(
            tower,
            None if folder is None else Path(folder) / task,
            first_token_only=self.layer_wise_feature_first_token_only,
            most=self.layer_wise_feature_max_num,
        )

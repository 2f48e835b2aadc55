"""Backbones with a classification head each: GPT-2, RoBERTa, BERT on texts; ResNet, ConvNeXt, DINOv2 on images."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fusion_stack.modelpool.pretrained import PretrainedModelPool

if TYPE_CHECKING:
    from fusion_kernels.sources import Checkpoint

_HEADS = ("score.", "classifier.", "classification_head.", "lm_head.", "cls.")  # the last two: what the base predicts
_GPT2_TOKENS = 512  # what a text is cut to; FusionBench's limit, so that scores compare


class ClassifierPool(PretrainedModelPool):
    """A pool of classifiers of which the backbones are merged, while each task keeps its own head.

    Heads of different tasks answer different questions, with different numbers of classes; the base has none, or one
    for another purpose. `merge_heads` merges them like the rest, for models that share one task, such as reward models.

    classifier_class: the class of transformers that loads backbone and head.
    """

    classifier_class: ClassVar[str] = "AutoModelForSequenceClassification"
    may_lack: ClassVar[Sequence[str]] = ("pooler.",)  # the classifiers that have none do not read its output
    _config_mapping = PretrainedModelPool._config_mapping | {"merge_heads": "merge_heads"}

    def __init__(self, models: Mapping[str, Any] | Sequence[Any], *, merge_heads: bool = False, **kwargs: Any) -> None:
        """`merge_heads`: whether models are loaded and merged with their heads."""
        super().__init__(models, **kwargs)
        self.merge_heads = merge_heads

    def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """The backbone; with `merge_heads` the whole classifier."""
        if self.merge_heads:
            return self._load(self.classifier_class, path, *args, **kwargs)
        return super().from_pretrained(path, *args, **kwargs)

    def part(self, checkpoint: Checkpoint) -> Checkpoint:
        """The backbone: all tensors but those of heads, and of a pooler that the base has and the classifiers lack."""
        if self.merge_heads:
            return checkpoint
        checkpoint.tensors = {
            name: info
            for name, info in checkpoint.tensors.items()
            if not name.startswith(_HEADS) and (self._has_pooler or not _is_pooler(name))
        }
        return checkpoint

    def load_classifier(self, model_name: str, backbone: Any = None, **kwargs: Any) -> Any:
        """The classifier of a task, head included.

        backbone: a merged backbone to put in the place of the task's own; it is shared, not copied.
        Raises ValueError where the task's folder has no head.
        """
        classifier = self._load(self.classifier_class, self.get_model_path(model_name), **kwargs)
        if backbone is not None:
            setattr(classifier, classifier.base_model_prefix, backbone)
        return classifier

    @functools.cached_property
    def _has_pooler(self) -> bool:
        """Whether the classifiers read a pooler's output, as BERT's do; RoBERTa's and ViT's leave it to the base."""
        return any(map(_is_pooler, self._files(next(iter(self.model_names), "_pretrained_")).tensors))


class SequenceClassificationModelPool(ClassifierPool):
    """A pool of text classifiers: RoBERTa, BERT, GPT-2, Llama. Backbones are merged, each task keeps its head."""


class GPT2ForSequenceClassificationPool(ClassifierPool):
    """A pool of GPT-2 text classifiers; GPT-2 has no token for padding, so that its end of text stands for it."""

    def load_tokenizer(self, *args: Any, **kwargs: Any) -> Any:
        tokenizer = super().load_tokenizer(*args, **kwargs)
        tokenizer.model_max_length = min(tokenizer.model_max_length, _GPT2_TOKENS)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        return tokenizer

    def load_classifier(self, model_name: str, backbone: Any = None, **kwargs: Any) -> Any:
        classifier = super().load_classifier(model_name, backbone, **kwargs)
        if classifier.config.pad_token_id is None:
            classifier.config.pad_token_id = classifier.config.eos_token_id
        return classifier


class ImageClassificationModelPool(ClassifierPool):
    """A pool of image classifiers: ResNet, ConvNeXt, DINOv2, ViT. Backbones are merged, each task keeps its head.

    Statistics of batch normalization are merged like weights; counts of batches come from the base.

    A model may also be a mapping as FusionBench writes it, {config_path, pretrained, dataset_name}. Over there a
    `dataset_name` replaces the head by a new one, to be trained; here the file's own head stays.
    """

    classifier_class: ClassVar[str] = "AutoModelForImageClassification"
    processor_class: ClassVar[str] = "AutoImageProcessor"

    def __init__(self, models: Mapping[str, Any] | Sequence[Any], **kwargs: Any) -> None:
        """Raises ValueError for `pretrained: false`."""
        super().__init__(models, **kwargs)
        self._models = {name: _described(name, model) for name, model in self._models.items()}


class ConvNextForImageClassificationPool(ImageClassificationModelPool):
    """The same under FusionBench's name for ConvNeXt."""


class Dinov2ForImageClassificationPool(ImageClassificationModelPool):
    """The same under FusionBench's name for DINOv2."""


class ResNetForImageClassificationPool(ImageClassificationModelPool):
    """The same under FusionBench's name for ResNet. type: "transformers"; torchvision's ResNets are not read."""

    _config_mapping = ImageClassificationModelPool._config_mapping | {"type": "type"}

    def __init__(self, models: Mapping[str, Any] | Sequence[Any], *, type: str = "transformers", **kwargs: Any) -> None:
        if type != "transformers":
            raise ValueError(f"modelpool.type={type!r}: expected 'transformers'")
        super().__init__(models, **kwargs)
        self.type = type


def _described(name: str, model: Any) -> Any:
    if not hasattr(model, "keys") or "config_path" not in model:
        return model
    if not model.get("pretrained", True):
        raise ValueError(f"model {name!r}: pretrained=false means random weights, which there is no use in merging")
    return {"pretrained_model_name_or_path": str(model["config_path"])}


def _is_pooler(name: str) -> bool:
    return name.startswith("pooler.") or name.partition(".")[2].startswith("pooler.")

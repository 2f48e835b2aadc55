"""A CLIP model around another vision tower: what images and texts become in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class CLIPHead:
    """What CLIP has besides the vision tower: text tower, projections, scale.

    model: a transformers.CLIPModel, in evaluation mode. tokenizer: its own.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    def text_features(self, texts: list[str]) -> torch.Tensor:
        """(N, D) of N texts, cut to the text tower's length."""
        length = self.model.config.text_config.max_position_embeddings
        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt")
        inputs = {name: inputs[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
        features: torch.Tensor = self.model.text_projection(self.model.text_model(**inputs).pooler_output)
        return features

    def image_features(self, tower: Any, pixels: torch.Tensor) -> torch.Tensor:
        """(N, D) of images (N, 3, H, W) by a vision tower."""
        output = tower(pixels)
        pooled = output if hasattr(output, "shape") else output["pooler_output"]
        projection = self.model.visual_projection
        features: torch.Tensor = projection(pooled.to(projection.weight.dtype))
        return features

    @property
    def scale(self) -> float:
        """What cosines are multiplied by to become logits."""
        scale: float = self.model.logit_scale.exp().item()
        return scale


def vision_tower(model: Any) -> Any:
    """The tower of a whole CLIP model, or the model itself where it is one."""
    return getattr(model, "vision_model", model) if hasattr(model, "visual_projection") else model

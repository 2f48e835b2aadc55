"""The modules that the task-vector paper puts around open_clip: an image encoder and a linear head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fusion_kernels.errors import listing


class ImageEncoder(nn.Module):
    """Images [batch, 3, size, size] to embeddings [batch, width], not normalized. `model`: open_clip's CLIP.

    The text tower's `transformer` is dropped, as in the checkpoints of the paper.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model: Any = model
        if hasattr(model, "transformer"):
            del model.transformer

    @classmethod
    def of(cls, open_clip: Any, architecture: str, state: dict[str, Tensor], where: str) -> ImageEncoder:
        """An encoder with the given tensors. Raises ValueError where they lack some of the architecture's."""
        encoder = cls(open_clip.create_model(architecture, pretrained=None))
        found = encoder.load_state_dict(state, strict=False)
        missing = [name for name in found.missing_keys if name.startswith("model.visual.")]
        if missing:
            raise ValueError(f"{where} lacks {len(missing)} weights of {architecture}: {listing(missing, limit=4)}")
        return encoder

    def forward(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.model.encode_image(images)
        return embeddings


class ClassificationHead(nn.Linear):
    """Embeddings [batch, width] to logits [batch, classes]; `normalize` scales embeddings to length 1 first."""

    def __init__(self, weights: Tensor, biases: Tensor | None = None, *, normalize: bool = True) -> None:
        classes, width = weights.shape
        super().__init__(width, classes)
        self.normalize = normalize
        with torch.no_grad():
            self.weight.copy_(weights)
            self.bias.zero_() if biases is None else self.bias.copy_(biases)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs / inputs.norm(dim=-1, keepdim=True) if self.normalize else inputs)

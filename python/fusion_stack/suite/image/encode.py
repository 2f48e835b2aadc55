"""Images to what a model reads: pixels, class indices, and the head made of the base's vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion_stack.suite.image.pixels import as_pixels
from fusion_stack.suite.items import Prepared
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.settings import ImageSettings

if TYPE_CHECKING:
    import torch

PARTS = ("train", "validation", "test")
BATCH = 50


@dataclass(frozen=True)
class EncodedImages:
    """Images and class index of each, and the task's frozen head.

    images: uint8 of shape [items, 3, pixels, pixels]. head: (weights, fp32 of shape [classes, width]; biases,
        fp32 of shape [classes]).
    """

    images: np.ndarray[Any, Any]
    classes: list[int]
    head: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

    def batch(self, indices: Sequence[int]) -> torch.Tensor:
        """Some of the images as the model takes them: fp32 in [-1, 1]."""
        import torch

        return (torch.from_numpy(self.images[list(indices)]).float() - 127) / 128

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors [items, width] to [items, classes]."""
        import torch

        weights, biases = self.head
        return vectors @ torch.from_numpy(weights).T + torch.from_numpy(biases)


def encode(
    prepared: Sequence[Prepared], base: Path, settings: ImageSettings, parts: Sequence[str] = PARTS
) -> dict[str, dict[str, EncodedImages]]:
    """{task: {part: its items}}.

    A head answers with the class whose training images' mean vector, in the untouched base, is nearest. The base
    therefore answers every task to some degree, and all fine-tunes share the space that heads read.
    """
    from fusion_stack.suite.image.efficientnet import load

    model, encoded = load(base), {}
    for each in prepared:
        labels = each.task.labels
        images, classes = _pixels(each.split.train, labels, settings)
        head = nearest_mean(vectors(model, images), classes, len(labels), settings.sharpness)
        own = {part: _pixels(getattr(each.split, part), labels, settings) for part in parts}
        encoded[each.task.name] = {part: EncodedImages(*own[part], head) for part in parts}
    return encoded


def vectors(model: torch.nn.Module, images: np.ndarray[Any, Any]) -> torch.Tensor:
    """What the model makes of images: fp32 of shape [items, width]."""
    import torch

    whole = EncodedImages(images, [], (np.empty(0), np.empty(0)))
    with torch.inference_mode():
        starts = range(0, len(images), BATCH)
        found = [model(whole.batch(range(start, min(start + BATCH, len(images))))) for start in starts]
    return torch.cat(found)


def nearest_mean(
    features: torch.Tensor, classes: Sequence[int], count: int, sharpness: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The head (weights, biases) whose answer is the class with the nearest mean: features fp32 [items, width].

    Logits are the squared distances to the means (Snell et al. 2017, arXiv:1703.05175, eq. 8) of features of mean 0 and
    variance 1, divided by -2 width and times `sharpness`; what all classes have in common is left out.
    """
    import torch

    features = features.double()
    middle, spread = features.mean(0), features.std(0) + 1e-3
    scaled, wanted = (features - middle) / spread, torch.tensor(classes)
    means = torch.stack([scaled[wanted == one].mean(0) for one in range(count)])
    factor = sharpness / means.shape[1]
    weights = factor * means / spread
    biases = -factor / 2 * means.square().sum(1) - weights @ middle
    return weights.float().numpy(), biases.float().numpy()


def _pixels(
    samples: Sequence[Sample], labels: list[str], settings: ImageSettings
) -> tuple[np.ndarray[Any, Any], list[int]]:
    images = np.stack([as_pixels(image, settings.pixels) for image, _ in samples])
    return images, [labels.index(label) for _, label in samples]

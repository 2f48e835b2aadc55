"""Images to what a model reads: pixels, class indices, and the head that was fitted to the base."""

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

    A head is a linear probe: multinomial logistic regression on the untouched base's vectors of the training images.
    The base therefore answers every task to some degree, and all fine-tunes share the space that heads read.
    """
    from fusion_stack.suite.image.efficientnet import load

    model, encoded = load(base), {}
    for each in prepared:
        labels = each.task.labels
        images, classes = _pixels(each.split.train, labels, settings)
        head = fitted(vectors(model, images), classes, len(labels), settings.probe_penalty)
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


def fitted(
    features: torch.Tensor, classes: Sequence[int], count: int, penalty: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The head (weights, biases) of multinomial logistic regression: features fp32 of shape [items, width].

    penalty: times half the sum of the squares of the weights, on features of mean 0 and variance 1.
    """
    import torch

    features = features.clone().double()  # out of inference mode; doubles, so that the optimum is found to fp32
    middle, spread = features.mean(0), features.std(0) + 1e-3
    scaled, wanted = (features - middle) / spread, torch.tensor(classes)
    weights = torch.zeros(count, features.shape[1], dtype=torch.float64, requires_grad=True)
    biases = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimizer: Any = torch.optim.LBFGS([weights, biases], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        value: Any = torch.nn.functional.cross_entropy(scaled @ weights.T + biases, wanted)
        value = value + penalty / 2 * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    weights, biases = weights.detach(), biases.detach()
    unscaled = weights / spread
    return unscaled.float().numpy(), (biases - unscaled @ middle).float().numpy()


def _pixels(
    samples: Sequence[Sample], labels: list[str], settings: ImageSettings
) -> tuple[np.ndarray[Any, Any], list[int]]:
    images = np.stack([as_pixels(image, settings.pixels) for image, _ in samples])
    return images, [labels.index(label) for _, label in samples]

"""Which images a model gets right, and statistics of BatchNorm measured anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.suite.image.efficientnet import EfficientNetLite, load
from fusion_stack.suite.image.encode import BATCH, EncodedImages


class ImageEncoderPool(BaseModelPool):
    """A pool of folders that `efficientnet.save` wrote."""

    def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> EfficientNetLite:
        """In evaluation mode. Raises FileNotFoundError, ValueError for a folder of another architecture."""
        return load(Path(path))


def evaluate(
    model: torch.nn.Module, items: Mapping[str, EncodedImages], progress: Callable[[int], Any] = lambda count: None
) -> dict[str, list[bool]]:
    """For each task's items, whether the class with the largest logit is the right one.

    progress: told the number of items answered since the last call.
    """
    hits: dict[str, list[bool]] = {}
    for task, one in items.items():
        hits[task] = []
        for start in range(0, len(one.classes), BATCH):
            batch = range(start, min(start + BATCH, len(one.classes)))
            with torch.inference_mode():
                answers = one.logits(model(one.batch(batch))).argmax(1)
            hits[task] += [answer == one.classes[index] for index, answer in zip(batch, answers.tolist(), strict=True)]
            progress(len(batch))
    return hits


def mixed_batches(items: Mapping[str, EncodedImages]) -> list[torch.Tensor]:
    """All images, in batches that all tasks share."""
    mixed = torch.cat([one.batch(range(len(one.classes))) for one in items.values()])
    count = max(1, len(mixed) // BATCH)
    return [mixed[start::count] for start in range(count)]


def recalibrate(model: torch.nn.Module, batches: Sequence[torch.Tensor]) -> None:
    """Replaces the running statistics of every BatchNorm by those of these images, all layers in one pass.

    Averaged weights make other activations than any of the models had, and averaged statistics do not describe them.
    Sources: Izmailov et al. 2018 (arXiv:1803.05407), section 3.2; Jordan et al. 2023 (arXiv:2211.08403).
    """
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    model.train()
    with torch.inference_mode():
        for batch in batches:
            model(batch)
    model.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum

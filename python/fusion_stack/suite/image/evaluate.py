"""Which images a model gets right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

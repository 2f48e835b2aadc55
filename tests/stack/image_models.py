"""An EfficientNet-Lite of three blocks, and pictures of bars that it can learn to tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fusion_stack.suite.image.pixels import as_text
from fusion_stack.suite.samples import Sample

STAGES = ((1, 8, 1, 1, 3), (2, 16, 2, 2, 5))


def tiny_network(folder: Path) -> Path:
    """Writes the model into the folder, which is returned."""
    import torch

    from fusion_stack.suite.image.efficientnet import EfficientNetLite, Shape, save

    torch.manual_seed(0)
    save(EfficientNetLite(Shape(8, STAGES, 32)).eval(), folder)
    return folder


def bars(count: int, *, upright: bool, seed: int = 0) -> list[Sample]:
    """Noisy pictures of 16 x 16 pixels with a bar in one half ("a") or the other ("b"), above or below, or beside."""
    noise, samples = np.random.default_rng(seed), []
    for number in range(count):
        picture = noise.integers(0, 90, (16, 16), dtype=np.uint8)
        picture[4:7, 2:14] += 150
        picture[9:13, noise.integers(2, 10)] += 100
        turned = picture if number % 2 else picture[::-1]
        samples.append((as_text(turned.T if upright else turned), "ab"[number % 2]))
    return samples

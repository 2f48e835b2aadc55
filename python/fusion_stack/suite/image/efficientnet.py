"""EfficientNet-Lite as a torch module that turns images into vectors, and the folder it is kept in.

EfficientNet (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6, as Google released it
for small devices in 2020: convolutions, depthwise convolutions and BatchNorm, nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

CONFIG, WEIGHTS = "config.json", "model.safetensors"
EPSILON = 1e-3  # of BatchNorm, as the weights were trained with


@dataclass(frozen=True)
class Shape:
    """stages: (expansion, channels, repeats, stride, kernel size) of each run of blocks; the defaults are Lite0."""

    stem: int = 32
    stages: Sequence[Sequence[int]] = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    width: int = 1280  # of the vectors


class ConvNorm(nn.Module):
    """Convolution, padded as TensorFlow's "same" (more at the end where the padding is odd), then BatchNorm."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=EPSILON)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = (self._padding(size) for size in x.shape[-2:])
        if height or width:
            x = nn.functional.pad(x, [width // 2, width - width // 2, height // 2, height - height // 2])
        normalized: torch.Tensor = self.norm(self.conv(x))
        return normalized

    def _padding(self, size: int) -> int:
        return max((math.ceil(size / self.stride) - 1) * self.stride + self.kernel - size, 0)


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; added to its input where the shapes allow.

    Source: Sandler et al. 2018 (arXiv:1801.04381).
    """

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = before * expansion
        self.expand = ConvNorm(before, inner, 1) if expansion > 1 else None
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = ConvNorm(inner, after, 1)
        self.adds = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = x if self.expand is None else nn.functional.relu6(self.expand(x))
        narrow: torch.Tensor = self.project(nn.functional.relu6(self.depthwise(inner)))
        return x + narrow if self.adds else narrow


class EfficientNetLite(nn.Module):
    """Images, float of shape [items, 3, height, width] in [-1, 1], to vectors, float of shape [items, width]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.stem = ConvNorm(3, shape.stem, 3, 2)
        blocks, before = [], shape.stem
        for expansion, channels, repeats, stride, kernel in shape.stages:
            for repeat in range(repeats):
                blocks.append(InvertedResidual(before, channels, expansion, kernel, 1 if repeat else stride))
                before = channels
        self.blocks = nn.ModuleList(blocks)
        self.top = ConvNorm(before, shape.width, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.stem(images))
        for block in self.blocks:
            x = block(x)
        return nn.functional.relu6(self.top(x)).mean((2, 3))


def save(model: EfficientNetLite, folder: Path) -> None:
    """Writes config.json and model.safetensors."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": [type(model).__name__], **asdict(model.shape)}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, str(folder / WEIGHTS), metadata={"format": "pt"})


def load(folder: Path) -> EfficientNetLite:
    """The model of a folder, in evaluation mode. Raises FileNotFoundError, ValueError for another architecture."""
    from safetensors.torch import load_file

    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.pop("architectures", None) != [EfficientNetLite.__name__]:
        raise ValueError(f"{folder / CONFIG} does not describe an EfficientNetLite")
    model = EfficientNetLite(Shape(**config))
    model.load_state_dict(load_file(str(folder / WEIGHTS)))
    return model.eval()


def renamed(released: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors under this module's names, from those of the released checkpoint; its classifier is left out."""
    block = {
        "_expand_conv": "expand.conv",
        "_bn0": "expand.norm",
        "_depthwise_conv": "depthwise.conv",
        "_bn1": "depthwise.norm",
        "_project_conv": "project.conv",
        "_bn2": "project.norm",
    }
    outer = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "top.conv", "_bn1": "top.norm"}
    tensors = {}
    for name, tensor in released.items():
        first, *rest = name.split(".")
        if first == "_blocks":
            number, part, leaf = rest
            tensors[f"blocks.{number}.{block[part]}.{leaf}"] = tensor
        elif first != "_fc":
            tensors[f"{outer[first]}.{rest[0]}"] = tensor
    return tensors

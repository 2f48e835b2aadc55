"""Dense prediction on NYUv2: a dilated ResNet shared by tasks, and one DeepLab head a task.

Sources: He et al. 2016 (arXiv:1512.03385) for the residual blocks, with the stride on the 3x3 convolution as
torchvision has it; Yu et al. 2017 (arXiv:1705.09914) for strides replaced by dilation; Chen et al. 2017
(arXiv:1706.05587) for the head. Names of weights are those of torchvision's ResNet and DeepLabHead.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion_kernels.errors import listing, quoted, suggest

CHANNELS = {"segmentation": 13, "depth": 1, "normal": 3, "noise": 1}  # of each task's output
LAYERS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
_WIDTHS = (64, 128, 256, 512)
_ASPP_WIDTH, _ASPP_RATES = 256, (12, 24, 36)


class DilatedResNet(nn.Module):
    """Images [batch, 3, height, width] to features [batch, feature_dim, height / 8, width / 8].

    arch: a key of LAYERS. Raises ValueError for another one.
    """

    def __init__(self, arch: str) -> None:
        super().__init__()
        if arch not in LAYERS:
            raise ValueError(
                f"encoder {quoted(arch)} is not known; choose one of {listing(LAYERS)}.{suggest(arch, LAYERS)}"
            )
        self.arch = arch
        bottleneck = arch not in ("resnet18", "resnet34")
        self.feature_dim = _WIDTHS[-1] * (4 if bottleneck else 1)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for number, (blocks, width) in enumerate(zip(LAYERS[arch], _WIDTHS, strict=True)):
            stride, dilation = ((1, 1), (2, 1), (1, 2), (1, 4))[number]
            layer = []
            for block in range(blocks):
                # The first block keeps the dilation of the layer before, as if it still halved the resolution.
                first = max(1, dilation // 2) if block == 0 else dilation
                layer.append(_Block(channels, width, bottleneck, stride if block == 0 else 1, first, dilation))
                channels = width * (4 if bottleneck else 1)
            self.add_module(f"layer{number + 1}", nn.Sequential(*layer))

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for number in range(len(_WIDTHS)):
            features = self.get_submodule(f"layer{number + 1}")(features)
        return features


class NYUv2Model(nn.Module):
    """An encoder and the decoders of one or several tasks (keys of CHANNELS)."""

    def __init__(self, arch: str, tasks: Sequence[str]) -> None:
        super().__init__()
        for task in tasks:
            if task not in CHANNELS:
                raise ValueError(
                    f"task {quoted(task)} is not known; choose of {listing(CHANNELS)}.{suggest(task, CHANNELS)}"
                )
        self.encoder = DilatedResNet(arch)
        heads = {task: deeplab_head(self.encoder.feature_dim, CHANNELS[task]) for task in tasks}
        self.decoders = nn.ModuleDict(heads)

    def forward(self, images: Tensor, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """{task: [batch, channels, height, width]}, of the images' size."""
        features = self.encoder(images)
        return {
            task: functional.interpolate(
                self.decoders[task](features), images.shape[-2:], mode="bilinear", align_corners=True
            )
            for task in (self.decoders if tasks is None else tasks)
        }


def deeplab_head(in_channels: int, out_channels: int) -> nn.Sequential:
    """Features [batch, in_channels, h, w] to predictions [batch, out_channels, h, w]."""
    return nn.Sequential(
        _ASPP(in_channels),
        nn.Conv2d(_ASPP_WIDTH, _ASPP_WIDTH, 3, padding=1, bias=False),
        nn.BatchNorm2d(_ASPP_WIDTH),
        nn.ReLU(),
        nn.Conv2d(_ASPP_WIDTH, out_channels, 1),
    )


class _Block(nn.Module):
    def __init__(self, channels: int, width: int, bottleneck: bool, stride: int, first: int, dilation: int) -> None:
        super().__init__()
        out = width * (4 if bottleneck else 1)
        if bottleneck:
            convolutions = [_conv(channels, width, 1), _conv(width, width, 3, stride, first), _conv(width, out, 1)]
        else:
            convolutions = [_conv(channels, width, 3, stride, first), _conv(width, out, 3, 1, dilation)]
        for number, convolution in enumerate(convolutions, 1):
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"bn{number}", nn.BatchNorm2d(convolution.out_channels))
        self.relu = nn.ReLU(inplace=True)
        self.count = len(convolutions)
        self.downsample: nn.Sequential | None = None
        if channels != out or stride != 1:
            self.downsample = nn.Sequential(_conv(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = inputs
        for number in range(1, self.count + 1):
            outputs = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(outputs))
            outputs = self.relu(outputs) if number < self.count else outputs
        shortcut = inputs if self.downsample is None else self.downsample(inputs)
        result: Tensor = self.relu(outputs + shortcut)
        return result


class _ASPP(nn.Module):
    """Atrous spatial pyramid pooling: 1x1, three dilated 3x3, and the image's mean, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        dilated = [_unit(_conv(channels, _ASPP_WIDTH, 3, dilation=rate)) for rate in _ASPP_RATES]
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_unit(_conv(channels, _ASPP_WIDTH, 1)))
        self.convs = nn.ModuleList([_unit(_conv(channels, _ASPP_WIDTH, 1)), *dilated, pooled])
        self.project = nn.Sequential(*_unit(_conv(5 * _ASPP_WIDTH, _ASPP_WIDTH, 1)), nn.Dropout(0.5))

    def forward(self, features: Tensor) -> Tensor:
        parts = [convolution(features) for convolution in self.convs]
        parts[-1] = functional.interpolate(parts[-1], features.shape[-2:], mode="bilinear", align_corners=False)
        projected: Tensor = self.project(torch.cat(parts, 1))
        return projected


def _conv(channels: int, out: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (size // 2)
    return nn.Conv2d(channels, out, size, stride=stride, padding=padding, dilation=dilation, bias=False)


def _unit(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())

"""Labelled images as batches: what a data loader needs to go from a dataset's rows to a model's input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fusion_kernels.errors import listing
from fusion_stack.tasks import TaskError

if TYPE_CHECKING:
    import torch

IMAGE_COLUMNS = ("image", "img", "jpg", "png", "pixel_values")
LABEL_COLUMNS = ("label", "labels", "fine_label", "cls", "target")


def image_processor(path: str) -> Any:
    """The image processor of a local folder or hub id.

    It works on PIL images whether torchvision is installed or not: the two differ in how they resize, and a figure
    should not depend on what else is installed.
    """
    from transformers import AutoImageProcessor

    load: Any = AutoImageProcessor.from_pretrained
    return load(path, backend="pil")


def columns_of(task: str, dataset: Any) -> tuple[str, str] | tuple[int, int]:
    """Where a row has its image and its label: two column names, or 0 and 1 where rows are pairs. Raises TaskError."""
    row = dataset[0] if len(dataset) else None
    if row is None:
        raise TaskError(f"task {task!r}: its dataset is empty")
    if not isinstance(row, Mapping):
        return 0, 1
    found = [next((name for name in names if name in row), None) for names in (IMAGE_COLUMNS, LABEL_COLUMNS)]
    image, label = found
    if image is None or label is None:
        what, names = ("image", IMAGE_COLUMNS) if image is None else ("label", LABEL_COLUMNS)
        raise TaskError(f"task {task!r}: no {what} among the columns {listing(row)}; expected one of {listing(names)}")
    return image, label


class ImageBatch:
    """Collates rows to (pixel values (N, 3, H, W) float32, labels (N,) int64).

    processor: of transformers (called with a list of images), or a function from one PIL image to a tensor.
    transform: from PIL image to PIL image, before the processor; a corruption, for instance.
    """

    def __init__(
        self,
        processor: Any,
        columns: tuple[Any, Any],
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.processor, self.columns, self.transform = processor, columns, transform

    def __call__(self, rows: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        image, label = self.columns
        images = [_rgb(row[image]) for row in rows]
        if self.transform is not None:
            images = [self.transform(one) for one in images]
        if hasattr(self.processor, "image_processor") or hasattr(self.processor, "preprocess"):
            pixels = self.processor(images=images, return_tensors="pt")["pixel_values"]
        else:
            pixels = torch.stack([torch.as_tensor(self.processor(one)) for one in images])
        return pixels, torch.tensor([int(row[label]) for row in rows])


def _rgb(image: Any) -> Any:
    """A PIL image in RGB of a PIL image, a path, or an array (H, W) or (H, W, 3) of uint8."""
    from PIL import Image

    if isinstance(image, str):
        image = Image.open(image)
    elif not isinstance(image, Image.Image):
        import numpy as np

        image = Image.fromarray(np.asarray(image))
    return image if image.mode == "RGB" else image.convert("RGB")

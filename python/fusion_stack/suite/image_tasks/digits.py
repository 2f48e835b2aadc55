"""1,797 handwritten digits of 43 people, 8 x 8 in 17 shades of grey: the test set of UCI's optdigits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fusion_stack.suite.fetch import UnavailableError
from fusion_stack.suite.image.pixels import as_text, fingerprint
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task

SIDE, BRIGHTEST = 8, 16


def read_images(images: Iterable[np.ndarray[Any, Any]], labels: Iterable[int]) -> list[Sample]:
    """(image, digit) for arrays of shape [8, 8] with values from 0 to 16."""
    return [
        (as_text((image * (255 / BRIGHTEST)).round().astype(np.uint8)), str(int(label)))
        for image, label in zip(images, labels, strict=True)
    ]


def _read(cache: Path) -> tuple[list[Sample], None]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UnavailableError(f"scikit-learn, which holds the digits, is not installed here: {error}") from None
    data = load_digits()
    return read_images(data.images, data.target), None


TASK = Task(
    name="digits",
    title="digits",
    origin="scikit-learn (PyPI), as installed",
    terms="E. Alpaydin and C. Kaynak, UCI repository: CC BY 4.0",
    prompt="{}",
    classes={str(digit): f"handwritten {digit}" for digit in range(10)},
    read=_read,
    permissive=True,
    fingerprint=fingerprint,
)

"""Images as the suite keeps them, PNG in base64, so that a sample is text as everywhere else; and back to pixels."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

COARSE = 8  # pixels across in which near-duplicates are the same
SHADES = 4


def as_text(pixels: np.ndarray[Any, Any]) -> str:
    """Pixels, uint8 of shape [height, width] (grey) or [height, width, 3], as PNG in base64."""
    from PIL.Image import fromarray

    file = io.BytesIO()
    fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def as_pixels(text: str, size: int) -> np.ndarray[Any, Any]:
    """What a model sees of an image: uint8 of shape [3, size, size], grey in all three channels."""
    from PIL.Image import Resampling

    image = _opened(text).convert("RGB").resize((size, size), Resampling.BILINEAR)
    pixels: np.ndarray[Any, Any] = np.asarray(image).transpose(2, 0, 1)
    return pixels


def fingerprint(text: str) -> str:
    """Equal for images that are the same at 8 x 8 pixels in four shades of grey."""
    from PIL.Image import Resampling

    coarse = np.asarray(_opened(text).convert("L").resize((COARSE, COARSE), Resampling.BOX))
    return (coarse // (256 // SHADES)).tobytes().hex()


def _opened(text: str) -> Image:
    from PIL.Image import open as opened

    return opened(io.BytesIO(base64.b64decode(text)))

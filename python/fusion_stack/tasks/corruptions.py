"""Corrupted images, to measure robustness: seven of the corruptions of ImageNet-C in five severities.

Definitions and severities: Hendrycks and Dietterich 2019, arXiv:1903.12261, which are made for images of 224 pixels; an
image is scaled to that first. Spatter finds the rims of its drops as the boundary of a mask, where the original runs
Canny's detector on it; everything else follows the paper's code, but for the random numbers.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_kernels.errors import listing, quoted, suggest

Pixels = NDArray[np.float64]  # (H, W, 3), 0 to 1
SIDE = 224


def gaussian_noise(pixels: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Adds noise of the severity's standard deviation."""
    return pixels + draws.normal(scale=(0.08, 0.12, 0.18, 0.26, 0.38)[severity], size=pixels.shape)


def impulse_noise(pixels: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Sets the severity's share of all values to 0 or 1, as salt and pepper."""
    hit = draws.random(pixels.shape) < (0.03, 0.06, 0.09, 0.17, 0.27)[severity]
    return np.where(hit, draws.integers(0, 2, pixels.shape), pixels)


def contrast(pixels: Pixels, severity: int, _: np.random.Generator) -> Pixels:
    """Draws every channel towards its mean."""
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    softened: Pixels = mean + (pixels - mean) * (0.4, 0.3, 0.2, 0.1, 0.05)[severity]
    return softened


def motion_blur(pixels: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Averages along a line at an angle of −45° to 45°, with the weights of half a Gaussian."""
    from scipy import ndimage

    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity]
    angle = np.deg2rad(draws.uniform(-45, 45))
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2.0 * sigma**2))
    weights /= weights.sum()
    blurred = np.zeros_like(pixels)
    for step, weight in zip(steps, weights, strict=True):
        shift = (-step * np.sin(angle), step * np.cos(angle), 0)
        blurred += weight * ndimage.shift(pixels, np.rint(shift), order=0, mode="nearest")
    return blurred


def pixelate(pixels: Pixels, severity: int, _: np.random.Generator) -> Pixels:
    """Scales down and up again, each pixel a box."""
    from PIL import Image

    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity]
    image = _image(pixels)
    small = image.resize([max(1, int(side * share)) for side in image.size], Image.Resampling.BOX)
    return _pixels(small.resize(image.size, Image.Resampling.BOX))


def jpeg_compression(pixels: Pixels, severity: int, _: np.random.Generator) -> Pixels:
    """Encodes as JPEG of low quality."""
    from PIL import Image

    buffer = io.BytesIO()
    _image(pixels).save(buffer, "JPEG", quality=(25, 18, 15, 10, 7)[severity])
    return _pixels(Image.open(buffer))


def spatter(pixels: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Drops on the lens: water for the first three severities, mud for the others."""
    from scipy import ndimage

    mean, deviation, sigma, threshold, strength = (
        (0.65, 0.3, 4, 0.69, 0.6),
        (0.65, 0.3, 3, 0.68, 0.6),
        (0.65, 0.3, 2, 0.68, 0.5),
        (0.65, 0.3, 1, 0.65, 1.5),
        (0.67, 0.4, 1, 0.65, 1.5),
    )[severity]
    liquid = ndimage.gaussian_filter(draws.normal(mean, deviation, pixels.shape[:2]), sigma, mode="nearest")
    drops = liquid > threshold
    if severity < 3:
        shade = _lit_rims(drops) * np.where(drops, liquid, 0)
        shade *= strength / max(shade.max(), np.finfo(float).tiny)
        return _over(pixels, shade, _WATER, keep=1)
    mud = ndimage.gaussian_filter(drops.astype(float), strength, mode="nearest")
    mud[mud < 0.8] = 0
    return _over(pixels, mud, _MUD, keep=1 - mud[..., None])


CORRUPTIONS: Mapping[str, Callable[[Pixels, int, np.random.Generator], Pixels]] = {
    one.__name__: one
    for one in (contrast, gaussian_noise, impulse_noise, jpeg_compression, motion_blur, pixelate, spatter)
}


class Corruption:
    """Corrupts PIL images. Random draws depend on the image and the seed alone, whatever the order of images.

    name: one of CORRUPTIONS. severity: 1 to 5. Raises ValueError naming what is not known.
    """

    def __init__(self, name: str, severity: int = 5, seed: int = 0) -> None:
        if name not in CORRUPTIONS:
            raise ValueError(
                f"no corruption {name!r}; choose one of {listing(CORRUPTIONS)}.{suggest(name, CORRUPTIONS)}"
            )
        if severity not in range(1, 6):
            raise ValueError(f"severity={quoted(severity)} of corruption {name}: expected a whole number from 1 to 5")
        self.name, self.severity, self.seed = name, severity, seed

    def __call__(self, image: Any) -> Any:
        """An RGB image of the same aspect ratio, its shorter side 224 pixels."""
        shorter = min(image.size)
        if shorter != SIDE:
            image = image.resize([round(side * SIDE / shorter) for side in image.size])
        draws = np.random.default_rng([self.seed, zlib.crc32(image.tobytes())])
        return _image(CORRUPTIONS[self.name](_pixels(image), self.severity - 1, draws))


_WATER = np.array([175, 238, 238]) / 255
_MUD = np.array([63, 42, 20]) / 255


def _over(pixels: Pixels, layer: Pixels, color: Pixels, keep: Any) -> Pixels:
    """A colored layer (H, W) on what is kept of the pixels."""
    covered: Pixels = pixels * keep + layer[..., None] * color
    return covered


def _pixels(image: Any) -> Pixels:
    return np.asarray(image, dtype=np.float64) / 255


def _image(pixels: Pixels) -> Any:
    from PIL import Image

    return Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def _lit_rims(drops: NDArray[np.bool_]) -> Pixels:
    """Brightness (H, W) of drops lit from above left: distance to the rim, equalised, embossed, smoothed."""
    from scipy import ndimage

    rims = drops & ~ndimage.binary_erosion(drops, border_value=1)
    if not rims.any():
        return np.zeros(drops.shape)
    distance = ndimage.uniform_filter(np.minimum(ndimage.distance_transform_edt(~rims), 20), 3)
    counts, edges = np.histogram(distance, bins=256)
    equalised = np.interp(distance, edges[1:], np.cumsum(counts) / distance.size)
    embossed = ndimage.correlate(equalised, [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    smooth: Pixels = ndimage.uniform_filter(np.clip(embossed, 0, 1), 3)
    return smooth

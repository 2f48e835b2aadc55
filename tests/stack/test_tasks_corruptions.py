"""Corrupted images."""

from __future__ import annotations

from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
pytest.importorskip("PIL")

from fusion_stack.tasks.corruptions import CORRUPTIONS, Corruption


@pytest.fixture(scope="module")
def image() -> Any:
    """224 × 240 pixels, smooth, with detail, nowhere near black or white."""
    from PIL import Image

    y, x = np.mgrid[:224, :240] / 24
    channels = [0.5 + 0.15 * np.sin(y * (1 + one)) + 0.15 * np.cos(x * (2 + one)) for one in range(3)]
    return Image.fromarray(np.uint8(255 * np.stack(channels, axis=-1)))


def pixels(image: Any) -> Any:
    return np.asarray(image, dtype=float) / 255


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_is_repeatable_and_grows(name: str, image: Any) -> None:
    errors = []
    for severity in range(1, 6):
        corrupt = Corruption(name, severity)
        result = corrupt(image)
        assert (result.size, result.mode) == (image.size, "RGB")
        assert result.tobytes() == corrupt(image).tobytes()
        errors.append(float(np.abs(pixels(result) - pixels(image)).mean()))
    assert errors[0] > 0
    if name == "spatter":  # water, then mud, each growing
        assert errors[0] < errors[2]
        assert errors[3] < errors[4]
    else:
        assert errors == sorted(errors)


def test_what_the_definitions_say(image: Any) -> None:
    """Severity 5: contrast 0.05, standard deviation 0.38, 27 % salt and pepper, boxes of 4 pixels."""
    plain = pixels(image)
    soft = pixels(Corruption("contrast")(image))
    assert np.abs(soft - (plain.mean(axis=(0, 1)) + 0.05 * (plain - plain.mean(axis=(0, 1))))).max() <= 0.5 / 255 + 1e-9
    hit = (pixels(Corruption("impulse_noise")(image)) != plain).mean()
    assert hit == pytest.approx(0.27, abs=0.005)  # 161,280 draws: 4 standard deviations
    flat = image.point(lambda _: 128)
    noise = pixels(Corruption("gaussian_noise", 1)(flat)) - 128 / 255
    assert noise.std() == pytest.approx(0.08, abs=0.001)
    blocks = pixels(Corruption("pixelate")(image))
    assert (blocks[0:4, 0:4] == blocks[0, 0]).all()
    blurred = pixels(Corruption("motion_blur")(image))
    assert blurred.std(axis=1).mean() < plain.std(axis=1).mean()


def test_draws_belong_to_the_image_and_the_seed(image: Any) -> None:
    noisy = Corruption("gaussian_noise", 3)
    other = image.transpose(0)
    assert noisy(other).tobytes() != noisy(image).transpose(0).tobytes()
    assert Corruption("gaussian_noise", 3, seed=1)(image).tobytes() != noisy(image).tobytes()


def test_small_images_are_scaled_to_what_the_severities_are_made_for(image: Any) -> None:
    assert Corruption("contrast")(image.resize((60, 56))).size == (240, 224)


def test_unknown_ones_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Did you mean 'motion_blur'\?"):
        Corruption("motionblur")
    with pytest.raises(ValueError, match="from 1 to 5"):
        Corruption("contrast", 6)

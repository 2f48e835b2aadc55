"""NYUv2: figures against NumPy, missing data and decoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from task_data import Run

from fusion_stack.modelpool import BaseModelPool
from fusion_stack.taskpool import NYUv2TaskPool

SIZE = (9, 12)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five images in the layout of the preprocessed dataset; some pixels have no class, no depth, no normal."""
    draws = np.random.default_rng(0)
    for number in range(5):
        label = draws.integers(-1, 12, SIZE)  # class 12 never occurs
        depth = draws.uniform(0.5, 9, (*SIZE, 1)) * (draws.random((*SIZE, 1)) < 0.8)
        normal = draws.normal(size=(*SIZE, 3))
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        normal[draws.random(SIZE) < 0.2] = 0
        arrays = {"image": draws.random((*SIZE, 3)), "label": label, "depth": depth, "normal": normal}
        for name, array in arrays.items():
            folder = tmp_path / "nyuv2/val" / name
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{number}.npy", array)
    return tmp_path


class Scene(torch.nn.Module):
    """An encoder at half resolution, and one decoder, or none."""

    def __init__(self, seed: int, **channels: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = torch.nn.Conv2d(3, 6, 2, stride=2)
        self.decoders = torch.nn.ModuleDict({name: torch.nn.Conv2d(6, count, 1) for name, count in channels.items()})


class Scenes(BaseModelPool):
    def load_model(self, name: str, encoder_only: bool = True) -> Any:
        model = super().load_model(name)
        return model.encoder if encoder_only else model


@pytest.fixture
def models() -> dict[str, Scene]:
    return {
        "segmentation": Scene(1, segmentation=13),
        "depth": Scene(2, depth=1),
        "normal": Scene(3, normal=3),
    }


def test_figures_by_numpy(data: Path, models: dict[str, Scene]) -> None:
    encoder = Scene(9).encoder
    pool = NYUv2TaskPool(str(data), batch_size=2)
    pool._program = Run(Scenes(models))  # type: ignore[assignment]
    report = pool.evaluate(encoder)

    predicted: dict[str, list[Any]] = {task: [] for task in models}
    truth: dict[str, list[Any]] = {name: [] for name in ("label", "depth", "normal")}
    for number in range(5):
        image = torch.from_numpy(np.load(data / f"nyuv2/val/image/{number}.npy")).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            for task, model in models.items():
                output = model.decoders[task](encoder(image))
                scaled = torch.nn.functional.interpolate(output, SIZE, mode="bilinear", align_corners=True)
                predicted[task].append(scaled[0].permute(1, 2, 0).double().numpy())
        for name, arrays in truth.items():
            arrays.append(np.load(data / f"nyuv2/val/{name}/{number}.npy"))

    labels, classes = np.stack(truth["label"]), np.stack(predicted["segmentation"]).argmax(-1)
    known = labels >= 0
    assert report["segmentation"]["pixAcc"] == pytest.approx((labels == classes)[known].mean())
    unions = [((labels == one) | (classes == one))[known].sum() for one in range(13)]
    both = [((labels == one) & (classes == one))[known].sum() for one in range(13)]
    ratios = [inner / outer for inner, outer in zip(both, unions, strict=True) if outer]
    assert report["segmentation"]["mIoU"] == pytest.approx(np.mean(ratios), rel=1e-5)

    depth = np.stack(truth["depth"])
    error = np.abs(np.stack(predicted["depth"]) - depth)[depth != 0]
    assert report["depth"]["abs_err"] == pytest.approx(error.mean(), rel=1e-5)  # fp32 there, fp64 here
    assert report["depth"]["rel_err"] == pytest.approx((error / depth[depth != 0]).mean(), rel=1e-5)

    normal, guess = np.stack(truth["normal"]), np.stack(predicted["normal"])
    cosine = (normal * guess).sum(-1) / np.linalg.norm(guess, axis=-1)
    angles = np.degrees(np.arccos(cosine[(normal != 0).any(-1)]))
    assert report["normal"]["mean"] == pytest.approx(angles.mean(), rel=1e-5)
    assert report["normal"]["median"] == pytest.approx(np.sort(angles)[(len(angles) - 1) // 2], rel=1e-4)
    for limit in (11.25, 22.5, 30):
        assert report["normal"][f"<{limit:g}"] == pytest.approx((angles < limit).mean(), abs=1e-6)


def test_what_is_missing_is_named_and_the_rest_goes_on(data: Path, models: dict[str, Scene], tmp_path: Path) -> None:
    del models["depth"]
    pool = NYUv2TaskPool(str(data), batch_size=2)
    pool._program = Run(Scenes(models))  # type: ignore[assignment]
    report = pool.evaluate(Scene(9).encoder)
    assert "'depth'" in report["depth"]["error"]
    assert report["normal"].keys() == {"mean", "median", "<11.25", "<22.5", "<30"}

    (data / "nyuv2/val/depth/4.npy").unlink()
    missing = NYUv2TaskPool(str(data)).evaluate(Scene(9, segmentation=13))
    assert "depth/ 4" in missing["segmentation"]["error"]
    with pytest.raises(ValueError, match=r"no task 'normals'.*Did you mean 'normal'\?"):
        NYUv2TaskPool(str(data), tasks=["normals"])


def test_a_model_with_decoders_of_its_own_and_a_wrong_one(data: Path) -> None:
    pool = NYUv2TaskPool(str(data), tasks=["segmentation"])
    assert pool.evaluate(Scene(1, segmentation=13))["segmentation"].keys() == {"mIoU", "pixAcc"}
    with pytest.raises(ValueError, match="40 output channels, expected 13"):
        pool.evaluate(Scene(1, segmentation=40))

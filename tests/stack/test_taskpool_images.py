"""Images and heads: classification by models with a head, OpenCLIP's heads from files."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from task_data import COLORS, Run, image_dataset, images

from fusion_stack.modelpool import BaseModelPool
from fusion_stack.taskpool import ImageClassificationTaskPool, OpenCLIPVisionModelTaskPool

LABELS = [0, 1, 2, 2, 1, 0, 1]


def convnext(classes: list[str]) -> Any:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    torch.manual_seed(len(classes))
    names = {"id2label": dict(enumerate(classes)), "label2id": {one: number for number, one in enumerate(classes)}}
    config = ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2, image_size=32, **names)
    return ConvNextForImageClassification(config).eval()


def processor() -> Any:
    from transformers import ConvNextImageProcessorPil

    return ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=1.0)


def expected(model: Any, dataset: Any) -> dict[str, float]:
    with torch.no_grad():
        logits = [model(**processor()(images=row["image"], return_tensors="pt")).logits[0] for row in dataset]
    correct = [int(one.argmax()) == row["label"] for one, row in zip(logits, dataset, strict=True)]
    losses = [-one.log_softmax(0)[row["label"]].item() for one, row in zip(logits, dataset, strict=True)]
    return {"accuracy": sum(correct) / len(correct), "loss": sum(losses) / len(losses)}


class Classifiers(BaseModelPool):
    def load_classifier(self, name: str) -> Any:
        return self.load_model(name)


def test_folders_of_images_and_the_models_own_head(tmp_path: Path) -> None:
    for number, image in enumerate(images(LABELS)):
        folder = tmp_path / "photos" / list(COLORS)[LABELS[number]]
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{number}.png")
    names = sorted(COLORS)  # as folders sort
    model = convnext(names)
    load = {"_target_": "datasets.load_dataset", "path": "imagefolder", "data_dir": str(tmp_path / "photos")}
    pool = ImageClassificationTaskPool(
        {"photos": {**load, "split": "train", "cache_dir": str(tmp_path / "cache")}},
        processor=processor(),
        batch_size=3,
        num_workers=1,
    )
    report = pool.evaluate(model)
    # Batches here, one image at a time there: a few roundings in fp32.
    assert report["photos"] == pytest.approx(expected(model, pool.load_test_dataset("photos")), abs=1e-5)
    again = pool.data_hashes()
    pool.evaluate(model)
    assert pool.data_hashes() == again
    assert set(again) == {"photos"}


def test_each_task_has_the_head_of_its_own_model() -> None:
    merged, colors, signs = convnext(["x"]), convnext(list(COLORS)), convnext(["stop", "go"])
    datasets = {"colors": image_dataset(LABELS), "signs": image_dataset([0, 1, 1], ["stop", "go"])}
    pool = ImageClassificationTaskPool(datasets, processor=processor(), batch_size=4)
    pool._program = Run(Classifiers({"colors": colors, "signs": signs}))  # type: ignore[assignment]
    report = pool.evaluate(merged.convnext)
    for task, head in (("colors", colors), ("signs", signs)):
        head.convnext = merged.convnext
        assert report[task] == pytest.approx(expected(head, datasets[task]), abs=1e-5)
    assert pool._program is not None
    assert pool._program.items["colors"].mean() == pytest.approx(report["colors"]["accuracy"])
    assert pool.evaluate(merged.convnext, tasks=["signs"]).keys() == {"model_info", "signs", "average"}


def test_a_head_for_other_labels_is_refused(tmp_path: Path) -> None:
    pool = ImageClassificationTaskPool({"colors": image_dataset(LABELS)}, processor=processor())
    assert "3 labels" in pool.evaluate(convnext(["a", "b"]))["colors"]["error"]
    swapped = convnext(["green", "red", "blue"])
    assert "label 0 is 'red'" in pool.evaluate(swapped)["colors"]["error"]
    assert "no classification head" in pool.evaluate(swapped.convnext)["colors"]["error"]
    assert pool.evaluate(convnext(["LABEL_0", "LABEL_1", "LABEL_2"]))["colors"].keys() == {"accuracy", "loss"}


def test_images_are_corrupted_before_the_processor_sees_them() -> None:
    from fusion_stack.tasks.corruptions import Corruption

    dataset = image_dataset(LABELS)
    model = convnext(list(COLORS))
    pool = ImageClassificationTaskPool(
        {"colors": dataset}, processor=processor(), image_corruption={"name": "gaussian_noise", "severity": 4}
    )
    corrupt = Corruption("gaussian_noise", 4)
    corrupted = [{"image": corrupt(row["image"]), "label": row["label"]} for row in dataset]
    assert pool.evaluate(model)["colors"] == pytest.approx(expected(model, corrupted), abs=1e-5)
    with pytest.raises(ValueError, match="no corruption 'fog'"):
        ImageClassificationTaskPool({}, processor=None, image_corruption={"name": "fog"})


def to_tensor(image: Any) -> Any:
    import numpy

    return torch.from_numpy(numpy.array(image)).permute(2, 0, 1) / 255


class Encoder(torch.nn.Module):
    """Stands for OpenCLIP's vision tower: images to features."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project = torch.nn.Linear(3, 8)

    def forward(self, pixels: Any) -> Any:
        return self.project(pixels.mean(dim=(2, 3)))


@pytest.fixture
def head_files(tmp_path: Path) -> dict[str, Path]:
    """One head (3, 8) as the published pickles have it, as a state dict, and as safetensors."""
    from safetensors.torch import save_file

    weight = 10 * torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    module = types.ModuleType("modeling")
    published = type("ClassificationHead", (torch.nn.Linear,), {"__module__": "modeling"})
    module.ClassificationHead = published  # type: ignore[attr-defined]
    sys.modules["modeling"] = module
    head = published(8, 3, bias=False)
    head.weight.data = weight
    head.normalize = True
    torch.save(head, tmp_path / "pickled.pt")
    torch.save({"weight": weight}, tmp_path / "state.pt")
    save_file({"weight": weight}, tmp_path / "head.safetensors")
    del sys.modules["modeling"]
    return {name.partition(".")[0]: tmp_path / name for name in ("pickled.pt", "state.pt", "head.safetensors")}


def test_openclip_heads_from_files(head_files: dict[str, Path]) -> None:
    dataset = image_dataset(LABELS)
    classes = {name: {} for name in head_files}
    pool = OpenCLIPVisionModelTaskPool(
        dict.fromkeys(head_files, dataset),
        classification_heads={name: str(path) for name, path in head_files.items()},
        classes=classes,
        processor=to_tensor,
    )
    encoder = Encoder()
    report = pool.evaluate(encoder)
    weight = torch.load(head_files["state"])["weight"]
    with torch.no_grad():
        features = encoder(torch.stack([to_tensor(row["image"]) for row in dataset]))
        logits = features / features.norm(dim=-1, keepdim=True) @ weight.T
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(LABELS)).item()
    for name in head_files:
        assert report[name]["loss"] == pytest.approx(loss, abs=1e-5)


def test_individual_openclip_models_have_the_heads_of_their_names(head_files: dict[str, Path], tmp_path: Path) -> None:
    from fusion_stack.programs import ModelFusionProgram

    datasets = {"pickled": image_dataset(LABELS), "state": image_dataset([1, 0, 2], seed=1)}
    pool = {
        "_target_": "fusion_stack.taskpool.OpenCLIPVisionModelTaskPool",
        "test_datasets": datasets,
        "classification_heads": {name: str(head_files[name]) for name in datasets},
        "classes": {name: {} for name in datasets},
        "processor": to_tensor,
    }
    encoders = {name: Encoder() for name in datasets}
    encoders["state"].project.weight.data *= -1
    report = ModelFusionProgram(
        {"_target_": "fusion_stack.method.IndividualModels"},
        {"_target_": "fusion_stack.modelpool.BaseModelPool", "models": encoders},
        pool,
        path={"log_dir": str(tmp_path / "run"), "cache_dir": str(tmp_path / "cache")},
        hash_models=False,
    ).run()
    for name in datasets:
        assert set(report[name]) == {"model_info", name, "average"}
        alone = OpenCLIPVisionModelTaskPool(**{key: value for key, value in pool.items() if key != "_target_"})
        assert report[name][name] == alone.evaluate(encoders[name], tasks=[name])[name]


def test_openclip_heads_that_are_none(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return print, ("executed",)

    (tmp_path / "attack.pt").write_bytes(pickle.dumps(Attack(), protocol=2))
    torch.save({"weight": torch.zeros(2, 8)}, tmp_path / "two.pt")
    heads = {"attack": "attack.pt", "two": "two.pt", "gone": "gone.pt"}
    pool = OpenCLIPVisionModelTaskPool(
        dict.fromkeys(heads, image_dataset(LABELS)),
        classification_heads={name: str(tmp_path / path) for name, path in heads.items()},
        classes={name: {} for name in heads},
        processor=to_tensor,
    )
    report = pool.evaluate(Encoder())
    assert "cannot be read as a classification head" in report["attack"]["error"]
    assert "2 labels" in report["two"]["error"]
    assert "gone.pt" in report["gone"]["error"]


def test_openclip_text_features(tmp_path: Path) -> None:
    pytest.importorskip("torchvision", reason="OpenCLIP needs the torchvision that belongs to the installed torch")
    open_clip = pytest.importorskip("open_clip")
    dataset = image_dataset(LABELS)
    pool = OpenCLIPVisionModelTaskPool(
        {"colors": dataset}, classes={"colors": {}}, model_name="ViT-B-32", pretrained="", cache_dir=str(tmp_path)
    )
    network, _, tokenize = pool._named
    report = pool.evaluate(network.visual)
    with torch.no_grad():
        pixels = torch.stack([pool.processor(row["image"]) for row in dataset])
        heads = network.encode_text(tokenize([f"a photo of a {name}." for name in COLORS]), normalize=True)
        logits = 100 * network.encode_image(pixels, normalize=True) @ heads.T
    assert open_clip is not None
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(LABELS)).item()
    assert report["colors"]["loss"] == pytest.approx(loss, abs=1e-3)  # fp32, times a scale of 100

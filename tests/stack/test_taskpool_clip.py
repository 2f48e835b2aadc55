"""Zero-shot classification by CLIP: figures, cached heads, refused data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from task_data import COLORS, image_dataset, save_clip

from fusion_stack.taskpool import CLIPVisionModelTaskPool

TEMPLATES = ["a photo of a {}.", "{}!"]
LABELS = [0, 1, 2, 2, 1, 0, 1]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder)
    return str(folder)


@pytest.fixture
def tower(clip: str) -> Any:
    from transformers import CLIPVisionModel

    torch.manual_seed(1)
    model = CLIPVisionModel.from_pretrained(clip)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return model.eval()


def pool(clip: str, cache: Path, datasets: dict[str, Any], **keys: Any) -> CLIPVisionModelTaskPool:
    classes = {task: {"classnames": list(COLORS), "templates": TEMPLATES} for task in ("colors", "more")}
    options = {"classes": classes, "batch_size": 3, **keys}
    return CLIPVisionModelTaskPool(datasets, clip_model=clip, processor=clip, cache_dir=str(cache), **options)


def expected(clip: str, tower: Any, dataset: Any) -> dict[str, float]:
    """Accuracy and loss by transformers' own CLIP, one image and one text at a time."""
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(clip).eval()
    model.vision_model = tower
    tokenizer, processor = AutoTokenizer.from_pretrained(clip), AutoImageProcessor.from_pretrained(clip)
    correct, losses = [], []
    with torch.no_grad():
        heads = []
        for name in COLORS:
            texts = [model.get_text_features(**tokenizer(one.format(name), return_tensors="pt")) for one in TEMPLATES]
            units = [one.pooler_output[0] / one.pooler_output[0].norm() for one in texts]
            heads.append(sum(units) / torch.linalg.norm(sum(units)))
        for row in dataset:
            pixels = processor(images=row["image"], return_tensors="pt")["pixel_values"]
            image = model.get_image_features(pixels).pooler_output[0]
            logits = model.logit_scale.exp() * torch.stack(heads) @ (image / image.norm())
            correct.append(int(logits.argmax()) == row["label"])
            losses.append(-logits.log_softmax(0)[row["label"]].item())
    return {"accuracy": sum(correct) / len(correct), "loss": sum(losses) / len(losses)}


def test_figures_are_those_of_transformers_own_clip(clip: str, tower: Any, tmp_path: Path) -> None:
    dataset = image_dataset(LABELS)
    report = pool(clip, tmp_path, {"colors": dataset, "more": image_dataset([1, 0])}).evaluate(tower, "mine")
    # Batches of 3, 3 and 1 here, one image at a time there: a few roundings in fp32, times a scale of 14.
    assert report["colors"] == pytest.approx(expected(clip, tower, dataset), abs=1e-4)
    assert report["average"]["accuracy"] == (report["colors"]["accuracy"] + report["more"]["accuracy"]) / 2
    assert report["model_info"]["all_params"] == sum(one.numel() for one in tower.parameters())
    assert report["model_info"]["name"] == "mine"
    one_batch = pool(clip, tmp_path, {"colors": dataset}, fast_dev_run=True).evaluate(tower)
    assert one_batch["colors"] == pytest.approx(expected(clip, tower, dataset.select(range(3))), abs=1e-4)


def test_text_features_are_computed_once(clip: str, tower: Any, tmp_path: Path, caplog: Any) -> None:
    dataset = image_dataset(LABELS)
    first = pool(clip, tmp_path, {"colors": dataset}).evaluate(tower)
    (kept,) = (tmp_path / "zero_shot_heads").iterdir()

    again = pool(clip, tmp_path, {"colors": dataset})
    again.head.model.text_model.forward = None  # whoever calls it fails
    assert again.evaluate(tower)["colors"] == first["colors"]

    kept.write_bytes(b"damaged")
    assert pool(clip, tmp_path, {"colors": dataset}).evaluate(tower)["colors"] == first["colors"]
    assert str(kept) in caplog.text

    changed = {"colors": {"classnames": list(COLORS), "templates": ["{}"]}}
    assert pool(clip, tmp_path, {"colors": dataset}, classes=changed).evaluate(tower)["colors"] != first["colors"]
    assert len(list(kept.parent.iterdir())) == 2


def test_a_cache_that_takes_no_files_names_the_way_out(clip: str, tower: Any, tmp_path: Path) -> None:
    (tmp_path / "zero_shot_heads").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"zero_shot_heads.*path\.cache_dir"):
        pool(clip, tmp_path, {"colors": image_dataset(LABELS)}).evaluate(tower)


def test_missing_data_are_named_and_the_other_tasks_go_on(clip: str, tower: Any, tmp_path: Path) -> None:
    image_dataset(LABELS).save_to_disk(tmp_path / "more")
    load = {"_target_": "datasets.load_from_disk"}
    datasets = {
        "colors": {**load, "dataset_path": str(tmp_path / "nowhere")},
        "more": {**load, "dataset_path": str(tmp_path / "more")},
    }
    report = pool(clip, tmp_path, datasets).evaluate(tower)
    assert "'colors'" in report["colors"]["error"]
    assert str(tmp_path / "nowhere") in report["colors"]["error"]
    assert report["more"].keys() == {"accuracy", "loss"}
    assert report["average"] == report["more"]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1], ["red", "green"], r"2 labels.*3"),
        ([0, 1, 2], ["green", "red", "blue"], r"label 0 is 'green' in the dataset, 'red' expected"),
        ([0, -1], ["a", "b", "c"], r"label -1"),
    ],
)
def test_another_label_set_is_refused_by_name(
    clip: str, tower: Any, tmp_path: Path, labels: list[int], names: list[str], message: str
) -> None:
    from datasets import Value

    dataset = image_dataset([max(one, 0) for one in labels], names)
    if -1 in labels:
        dataset = dataset.remove_columns("label").add_column("label", labels).cast_column("label", Value("int64"))
    report = pool(clip, tmp_path, {"colors": dataset, "more": image_dataset(LABELS)}).evaluate(tower)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(report["colors"]["error"])
    assert "'colors'" in report["colors"]["error"]
    assert "accuracy" in report["more"]


def test_names_of_a_task_that_nobody_knows(clip: str, tower: Any, tmp_path: Path) -> None:
    dataset = image_dataset(LABELS)
    report = pool(clip, tmp_path, {"mnits": dataset}).evaluate(tower)
    assert "Did you mean 'mnist'?" in report["mnits"]["error"]
    assert "taskpool.classes.mnits" in report["mnits"]["error"]
    own = pool(clip, tmp_path, {"mnits": dataset}, classes={"mnits": {}}).evaluate(tower)  # the dataset's own names
    named = {"mnits": {"classnames": list(COLORS), "templates": ["a photo of a {}."]}}
    assert own["mnits"] == pool(clip, tmp_path, {"mnits": dataset}, classes=named).evaluate(tower)["mnits"]


def test_a_missing_clip_model_says_which_key_names_it(tower: Any, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"taskpool\.clip_model.*no-such-folder"):
        pool(str(tmp_path / "no-such-folder"), tmp_path, {"colors": image_dataset(LABELS)}).evaluate(tower)


def test_features_of_every_layer_are_saved(clip: str, tower: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    dataset = image_dataset(LABELS)
    saving = {"layer_wise_feature_save_path": str(tmp_path / "features"), "layer_wise_feature_max_num": 5}
    pool(clip, tmp_path, {"colors": dataset}, **saving).evaluate(tower)
    kept = load_file(tmp_path / "features/colors/layer_1.safetensors")["features"]
    from transformers import AutoImageProcessor

    pixels = AutoImageProcessor.from_pretrained(clip)(images=dataset["image"][:5], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        last = tower(pixels).last_hidden_state[:, 0]
    torch.testing.assert_close(kept, last, atol=1e-5, rtol=0)  # fp32 in batches of another size
    assert sorted(one.name for one in (tmp_path / "features/colors").iterdir()) == [
        "layer_0.safetensors",
        "layer_1.safetensors",
    ]


def test_individual_models_are_evaluated_on_the_tasks_of_their_names(clip: str, tower: Any, fusion_stack: Any) -> None:
    import json

    from transformers import CLIPVisionModel

    here = Path.cwd()
    base = CLIPVisionModel.from_pretrained(clip).eval()
    base.save_pretrained(here / "base")
    tower.save_pretrained(here / "tuned")
    datasets = {"colors": image_dataset(LABELS), "more": image_dataset([1, 0, 2], seed=1)}
    for task, dataset in datasets.items():
        dataset.save_to_disk(here / task)
    names = {task: {"templates": TEMPLATES} for task in datasets}
    load = {task: {"_target_": "datasets.load_from_disk", "dataset_path": str(here / task)} for task in datasets}
    (here / "conf/taskpool").mkdir(parents=True)
    (here / "conf/taskpool/mine.yaml").write_text(
        "defaults:\n  - CLIPVisionModelTaskPool@: _template\n  - _self_\n"
        f"base_model: {clip}\ntest_datasets: {json.dumps(load)}\nclasses: {json.dumps(names)}\n"
        "dataloader_kwargs: {num_workers: 0}\n"
    )
    base_path = here / "base"
    models = f"{{_pretrained_: {base_path}, colors: {here / 'tuned'}, more: {base_path}, other: {base_path}}}"
    status, _, errors = fusion_stack(
        "--config-dir", str(here / "conf"), "method=individual", "modelpool=models", f"modelpool.models={models}",
        "taskpool=mine", "report_save_path=report.json",
    )  # fmt: skip
    assert status == 0, errors
    assert "not evaluated, for no task has their name: other" in errors
    report = json.loads((here / "report.json").read_text())
    assert {name: set(one) for name, one in report.items()} == {
        "colors": {"model_info", "colors", "average"},
        "more": {"model_info", "more", "average"},
    }
    assert report["colors"]["colors"] == pytest.approx(expected(clip, tower, datasets["colors"]), abs=1e-4)
    assert "method individual merges nothing; the modelpool has colors, more, other" in errors
    colors, more = report["colors"]["colors"]["accuracy"], report["more"]["more"]["accuracy"]
    assert f"scores: colors {colors:.3f}, more {more:.3f}; mean {(colors + more) / 2:.3f}" in errors
    assert report["more"]["more"] == pytest.approx(expected(clip, base, datasets["more"]), abs=1e-4)


def test_a_run_of_the_command(clip: str, tower: Any, fusion_stack: Any) -> None:
    from transformers import CLIPVisionModel

    here = Path.cwd()
    base = CLIPVisionModel.from_pretrained(clip)
    base.save_pretrained(here / "base")
    tower.save_pretrained(here / "tuned")
    dataset = image_dataset(LABELS)
    dataset.save_to_disk(here / "colors")
    (here / "conf/taskpool").mkdir(parents=True)
    (here / "conf/taskpool/colors.yaml").write_text(
        "defaults:\n  - CLIPVisionModelTaskPool@: _template\n  - _self_\n"
        f"base_model: {clip}\n"
        f"test_datasets:\n  colors: {{_target_: datasets.load_from_disk, dataset_path: {here / 'colors'}}}\n"
        f"  gone: {{_target_: datasets.load_from_disk, dataset_path: {here / 'gone'}}}\n"
        f"classes:\n  colors: {{templates: ['{TEMPLATES[0]}', '{TEMPLATES[1]}']}}\n"
        "dataloader_kwargs: {num_workers: 0}\n"
    )
    models = f"modelpool.models={{_pretrained_: {here / 'base'}, a: {here / 'tuned'}}}"
    arguments = ["--config-dir", str(here / "conf"), "method=task_arithmetic", "method.scaling_factor=1", models]
    status, _, errors = fusion_stack(*arguments, "modelpool=models", "taskpool=colors", "report_save_path=report.json")
    import json

    report = json.loads((here / "report.json").read_text())
    assert report["colors"] == pytest.approx(expected(clip, tower, dataset), abs=1e-3)  # base + (tuned − base), rounded
    assert status == 2
    assert "gone" in errors
    assert "torchvision" not in sys.modules or sys.modules["torchvision"] is None

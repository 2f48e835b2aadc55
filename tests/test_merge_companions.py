"""The files beside merged weights: configuration, tokenizer, code, recipe, model card."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_models import tiny_checkpoint

import fusion_kernels


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    base = tiny_checkpoint(tmp_path / "base", 0)
    return [base, *(tiny_checkpoint(tmp_path / name, seed, near=base) for seed, name in enumerate(["math", "code"], 1))]


def average(models: list[Path], output: Path, **options: Any) -> fusion_kernels.MergeReport:
    return fusion_kernels.merge(models, method="linear", weight=1, output=output, **options)


@pytest.mark.parametrize("key", ["torch_dtype", "dtype"])
def test_the_configuration_states_the_dtype_written(models: list[Path], tmp_path: Path, key: str) -> None:
    config = {"model_type": "tiny", key: "float32", "text_config": {key: "float32", "eps": 1e-5}, "note": "é"}
    (models[0] / "config.json").write_text(json.dumps(config))
    average(models, tmp_path / "out", dtype="bfloat16")
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written == config | {key: "bfloat16", "text_config": {key: "bfloat16", "eps": 1e-5}}


def test_an_unchanged_configuration_is_copied_byte_by_byte(models: list[Path], tmp_path: Path) -> None:
    text = '{"model_type":  "tiny",\n "torch_dtype": "float32"}'
    (models[0] / "config.json").write_text(text)
    average(models, tmp_path / "out")
    assert (tmp_path / "out" / "config.json").read_text() == text


def test_a_missing_or_empty_configuration_is_no_obstacle(models: list[Path], tmp_path: Path) -> None:
    for model in models:
        (model / "config.json").unlink()
    assert "config.json" not in average(models, tmp_path / "none").files
    (models[0] / "config.json").write_text("{}")
    average(models, tmp_path / "empty")
    assert (tmp_path / "empty" / "config.json").read_text() == "{}"
    (models[0] / "config.json").write_text("")
    assert average(models, tmp_path / "blank").tensors == 4


def test_tokenizer_and_code_come_from_the_base_else_the_first_model_that_has_them(
    models: list[Path], tmp_path: Path
) -> None:
    base, first, second = models
    (base / "generation_config.json").write_text('{"from": "base"}')
    for model in (first, second):
        (model / "generation_config.json").write_text('{"from": "fine-tune"}')
        (model / "tokenizer.json").write_text(json.dumps({"from": model.name}))
        (model / "optimizer.pt").write_text("never copied")
        (model / "helper.py").write_text("never copied: no auto_map asks for it")
    (second / "vocab.txt").write_text("not mixed into the first model's tokenizer")
    (first / "additional_chat_templates").mkdir()
    (first / "additional_chat_templates" / "tools.jinja").write_text("{{ x }}")
    report = average([first, second], tmp_path / "out", base=base)
    assert "linear has no use for a base: it is not merged; config and tokenizer come from it" in report.notes
    out = tmp_path / "out"
    assert json.loads((out / "generation_config.json").read_text()) == {"from": "base"}
    assert json.loads((out / "tokenizer.json").read_text()) == {"from": "math"}
    assert (out / "additional_chat_templates" / "tools.jinja").read_text() == "{{ x }}"
    for name in ("vocab.txt", "optimizer.pt", "helper.py"):
        assert not (out / name).exists()


def test_remote_code_is_copied_where_the_configuration_names_it(models: list[Path], tmp_path: Path) -> None:
    config = {"model_type": "mine", "auto_map": {"AutoModel": "modeling_mine.Mine"}}
    (models[0] / "config.json").write_text(json.dumps(config))
    (models[0] / "modeling_mine.py").write_text("class Mine: ...")
    assert "modeling_mine.py" in average(models, tmp_path / "out").files


def test_the_recipe_beside_the_result_runs_again(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, *tuned = models
    options: dict[str, Any] = {"weight": {"math": 1, "code": 1e-5}, "density": 0.4, "lambda_": 0.7, "seed": 12}
    fusion_kernels.merge(tuned, base=base, method="ties", output=tmp_path / "one", dtype="float16", **options)
    text = (tmp_path / "one" / "mergekit_config.yml").read_text()
    assert str(tmp_path) not in text
    recipe = yaml.safe_load(text)
    assert recipe["seed"] == 12
    assert recipe["out_dtype"] == "float16"
    assert recipe["base_model"] == "base"
    assert [model["model"] for model in recipe["models"]] == ["math", "code"]
    values = [value for part in [recipe, *recipe["models"]] for value in part["parameters"].values()]
    assert all(isinstance(value, int | float) for value in values)  # mergekit stops at texts among parameters
    monkeypatch.chdir(tmp_path)
    fusion_kernels.merge("one/mergekit_config.yml", output="two")
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == (
        tmp_path / "two" / "model.safetensors"
    ).read_bytes()


def front_matter(card: str) -> dict[str, Any]:
    found = re.match(r"---\n(.*?\n)---\n", card, re.DOTALL)
    assert found is not None
    parsed: dict[str, Any] = yaml.safe_load(found[1])
    return parsed


def test_the_card_names_only_what_is_known(models: list[Path], tmp_path: Path) -> None:
    base, *tuned = models
    average(tuned, tmp_path / "out", base=base)
    card = (tmp_path / "out" / "README.md").read_text()
    assert front_matter(card) == {"library_name": "transformers", "tags": ["merge", "fusion_kernels"]}
    assert str(tmp_path) not in card
    assert "| math | 1 |" in card
    assert (tmp_path / "out" / "mergekit_config.yml").read_text() in card


def test_the_card_takes_an_agreed_license_but_no_ancestor_for_the_model(models: list[Path], tmp_path: Path) -> None:
    # `_name_or_path` in a local config names what the model was fine-tuned from, or a path: never the model.
    remembered = ["org/ancestor", "org/ancestor", "/home/someone/code"]
    for model, name in zip(models, remembered, strict=True):
        (model / "config.json").write_text(json.dumps({"model_type": "tiny", "_name_or_path": name}))
        (model / "README.md").write_text("---\nlicense: apache-2.0\ntags: [x]\n---\n# A model\nlicense: not here\n")
    base, *tuned = models
    average(tuned, tmp_path / "out", base=base)
    card = (tmp_path / "out" / "README.md").read_text()
    front = front_matter(card)
    assert "base_model" not in front
    assert "base_model_relation" not in front
    assert front["license"] == "apache-2.0"
    assert "org/ancestor" not in card
    assert "/home/someone" not in card


def test_models_from_the_hub_are_named_with_their_commits(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    for model in models:
        cached = tmp_path / "hub" / f"models--org--{model.name}"
        (cached / "snapshots").mkdir(parents=True)
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text(commit)
        (model / "README.md").write_text("---\nlicense: mit\n---\n")
        model.rename(cached / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fusion_kernels.merge(
        ["org/math", "org/code"], base="org/base", method="task_arithmetic", weight=1, output=tmp_path / "out"
    )
    front = front_matter((tmp_path / "out" / "README.md").read_text())
    assert front["base_model"] == ["org/base", "org/math", "org/code"]
    assert front["license"] == "mit"
    recipe = yaml.safe_load((tmp_path / "out" / "mergekit_config.yml").read_text())
    assert recipe["base_model"] == f"org/base@{commit}"
    assert [model["model"] for model in recipe["models"]] == [f"org/math@{commit}", f"org/code@{commit}"]


@pytest.mark.parametrize("other", ["---\nlicense: mit\n---\n", "---\ntags: [x]\n---\n", "no front matter", None])
def test_no_license_is_stated_where_inputs_disagree(models: list[Path], tmp_path: Path, other: str | None) -> None:
    for model in models[:2]:
        (model / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    if other is not None:
        (models[2] / "README.md").write_text(other)
    average(models, tmp_path / "out")
    assert "license" not in front_matter((tmp_path / "out" / "README.md").read_text())


def test_no_model_card_still_leaves_the_recipe(models: list[Path], tmp_path: Path) -> None:
    average(models, tmp_path / "out", model_card=False)
    assert not (tmp_path / "out" / "README.md").exists()
    assert (tmp_path / "out" / "mergekit_config.yml").exists()

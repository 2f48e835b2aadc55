"""Recipes refused: every slip is named with its line and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipe_texts import TIES, refused

from fusion_kernels import Recipe


def test_rescale_is_a_parameter_of_ties() -> None:
    assert Recipe.parse(TIES.replace("int8_mask", "rescale")).arguments()["method"] == "ties"
    assert Recipe.parse(TIES.replace("int8_mask: true", "rescale: false")).arguments()["method"] == "ties"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("slices", "[{sources: [{model: a, layer_range: [0, 8]}]}]"),
        ("modules", "{text_decoder: {models: []}}"),
        ("tokenizer", "{source: union}"),
        ("tokenizer_source", "base"),
        ("chat_template", "auto"),
    ],
)
def test_parts_that_come_later_are_refused_by_name_but_an_empty_key_is_fine(key: str, value: str) -> None:
    message = refused(f"{TIES}{key}: {value}\n", error=NotImplementedError)
    assert key in message
    assert "not available yet" in message
    assert "line 15" in message
    assert Recipe.parse(f"{TIES}{key}:\n") == Recipe.parse(TIES)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("[0, 0.5, 1]", "gradient"),
        ("[{filter: mlp, value: 0.5}, {value: 1}]", "filters"),
        ("{filter: mlp, value: 0.5}", "filters"),
        ("[[0, 1], {value: 1}]", "filters"),
    ],
)
def test_values_that_vary_over_layers_or_tensors_are_refused_by_name(value: str, name: str) -> None:
    message = refused(TIES.replace("density: 0.5", f"density: {value}"), error=NotImplementedError)
    assert "line 5, models[1].parameters.density" in message
    assert name in message
    assert "not available yet" in message


def test_adapters_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "LoRA" in refused(TIES.replace("org/math", "org/math+org/lora"), error=NotImplementedError)
    mapping = TIES.replace("model: org/math", "model: {model: org/math, lora: org/lora}")
    assert "models[1].model.lora" in refused(mapping, error=NotImplementedError)
    monkeypatch.chdir(tmp_path)
    Path("math+code").mkdir()
    assert Recipe.parse(TIES.replace("org/math", "math+code")).models[1].source == "math+code", "an existing path wins"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("      weight: 0.3", "      wieght: 0.3", "line 6, models[1].parameters.wieght"),
        ("      weight: 0.3", "      wieght: 0.3", "Did you mean 'weight'?"),
        ("merge_method", "method", "Did you mean 'merge_method'?"),
        ("base_model", "base", "Did you mean 'base_model'?"),
        ("dtype: ", "dtpye: ", "line 14, dtpye: unknown key 'dtpye'"),
        ("- model: runs/code", "- modle: runs/code", "models[2].modle"),
        ("    parameters: {weight: 0.7}", "    weight: 0.7", "write it under this model's 'parameters:'"),
        ("dtype: bfloat16", "t: 0.5", "write it under 'parameters:'"),
        ("int8_mask", "lambda_", "Did you mean 'lambda'?"),
        ("int8_mask", "lerp_threshold", "it belongs to nuslerp, slerp"),
        ("merge_method: ties", "merge_method: tie", "Did you mean 'ties'?"),
        ("merge_method: ties", "merge_method:", "merge_method: name a method"),
        ("merge_method: ties\n", "", "merge_method: name a method"),
        ("base_model: org/base\n", "", "ties needs base_model"),
        (
            "density: 0.5",
            "density: 1.5",
            "line 5, models[1].parameters.density: ties: density must be a number in [0, 1]",
        ),
        ("density: 0.5", "density: '0.5'", "leave out the quotes"),
        ("density: 0.5", "density: yes", "density must be a number in [0, 1], got True"),
        ("density: 0.5", "density: .nan", "must be a finite number"),
        ("density: 0.5", "density:", "line 5, models[1].parameters.density: no value"),
        ("normalize: true", "normalize: 2", "normalize must be true or false, got 2"),
        ("normalize: true", "normalize: 'true'", "normalize must be true or false, got 'true'"),
        ("normalize: true", "normalize: {a: 1}", "one value is expected, got a mapping"),
        ("- model: runs/code", "- model: 2024", "put it in quotes"),
        ("- model: runs/code", "- model: ''", "a path or hub id is expected"),
        ("- model: runs/code", "- model: {name: x}", "models[2].model.name: unknown key 'name'"),
        ("parameters: {weight: 0.7}", "parameters: 0.7", "'name: value' lines are expected"),
        ("parameters: {weight: 0.7}", "parameters: {1: 2}", "has no parameter '1'"),
    ],
)
def test_slips_are_named_with_their_place_and_the_way_out(old: str, new: str, says: str) -> None:
    assert old in TIES
    assert says in refused(TIES.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "r.yml is empty"),
        ("# nothing\n", "r.yml is empty"),
        ("- a\n- b\n", "must be 'key: value' lines"),
        ("just text\n", "must be 'key: value' lines"),
        ("recipe.yml", "Recipe.load('recipe.yml')"),
        ("merge_method: ties\nmodels: ties\n", "models: a list of models is expected"),
        ("merge_method: ties\nbase_model: a\n", "models: a list of models is expected"),
        ("merge_method: linear\nmodels: []\n", "models: a list of models is expected"),
        ("merge_method: linear\nmodels: [a]\n", "models[0]: expected '- model: org/name', got 'a'"),
        ("merge_method: linear\nmodels: [{parameters: {}}]\n", "models[0]: 'model' is missing"),
        (TIES + "dtype: float16\n", "line 15: 'dtype' is given twice in the document (first on line 14)"),
        (TIES.replace("density: 0.5", "weight: 0.5"), "line 6: 'weight' is given twice in models[1].parameters"),
        (TIES + "\tseed: 1\n", "line 15, column 1: a tab where YAML wants spaces"),
        (TIES + "seed: 1: 2\n", "line 15"),
        (TIES.replace("  normalize", " normalize"), "line 13"),
        (TIES + "seed: [1\n", "r.yml, line 1"),
        ("x: &loop [*loop]\n", "contains itself"),
        ("? [a]\n: b\n", "line 1: a key must be text"),
        ("merge_method: !!python/object:os.system x\n", "line 1"),
        ("merge_method: a\x00b\n", "unprintable character"),
    ],
)
def test_yaml_that_cannot_be_meant_is_refused_with_its_line(text: str, says: str) -> None:
    assert says in refused(text)


def test_several_documents_are_refused_by_name() -> None:
    assert "several YAML documents" in refused(f"{TIES}---\n{TIES}", error=NotImplementedError)


def test_aliases_that_blow_up_are_refused_quickly() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "this is no recipe" in refused("\n".join(lines))


def test_files_are_read_and_errors_name_them(tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    path.write_text("\ufeff" + TIES.replace("density", "densty"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"r\.yml, line 5, models\[1\]\.parameters\.densty"):
        Recipe.load(path)
    path.write_text(TIES)
    assert Recipe.load(path) == Recipe.parse(TIES)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"r\.yml: not UTF-8 text"):
        Recipe.load(path)
    with pytest.raises(FileNotFoundError, match=r"no recipe at .*absent\.yml"):
        Recipe.load(tmp_path / "absent.yml")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        Recipe.load(tmp_path)

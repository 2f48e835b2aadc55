"""Recipes written, from arguments and with parts replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from recipe_texts import TIES

from fusion_kernels import Recipe


@pytest.mark.parametrize(
    "text",
    [
        TIES,
        TIES + "seed: 7\npreset: fusionbench\nout_dtype: float32\n",
        "merge_method: linear\nmodels: [{model: a@v1}, {model: 'x: y'}, {model: 'yes'}]\nparameters: {weight: 1e-9}\n",
        "merge_method: slerp\nbase_model: a\nmodels: [{model: b}]\nparameters: {t: 0.1}\n",
        "merge_method: passthrough\nmodels: [{model: modèle/日本}]\n",
    ],
)
def test_writing_and_reading_a_recipe_gives_the_same_recipe(text: str) -> None:
    recipe = Recipe.parse(text)
    written = recipe.to_yaml()
    assert Recipe.parse(written) == recipe
    assert Recipe.parse(written).arguments() == recipe.arguments()
    assert Recipe.parse(written).to_yaml() == written
    assert "seed" in yaml.safe_load(written), "the seed is always stated"


def test_what_is_written_has_only_keys_and_value_forms_mergekit_reads() -> None:
    data = yaml.safe_load(Recipe.parse(TIES + "seed: 3\n").to_yaml())
    mergekits = {"merge_method", "models", "base_model", "parameters", "dtype", "out_dtype"}
    assert set(data) - mergekits == {"seed"}, "mergekit passes over top-level keys it does not know"
    assert data["models"][1] == {"model": "org/math", "parameters": {"density": 0.5, "weight": 0.3}}


def test_a_published_recipe_shows_no_path_of_this_machine(tmp_path: Path) -> None:
    for name in ("base", "math", "runs/a/out", "runs/b/out"):
        (tmp_path / name).mkdir(parents=True)
    models = [
        str(tmp_path / "math"),
        str(tmp_path / "runs/a/out"),
        str(tmp_path / "runs/b/out"),
        "org/hub",
        "/x/c.safetensors",
    ]
    recipe = Recipe.from_arguments(models, method="task_arithmetic", base=tmp_path / "base", weight=1)
    assert str(tmp_path) in recipe.to_yaml()
    data = yaml.safe_load(recipe.to_yaml(portable=True))
    assert data["base_model"] == "base"
    assert [one["model"] for one in data["models"]] == ["math", "a/out", "b/out", "org/hub", "c.safetensors"]


def test_a_call_of_merge_becomes_a_recipe_and_comes_back(tmp_path: Path) -> None:
    recipe = Recipe.from_arguments(
        {"m": tmp_path / "math", "c": "org/code"},
        method="ties",
        base="org/base",
        preset="paper",
        parameters={"density": {"c": 0.4}},
        dtype="fp16",
        seed=5,
        weight=[0.25, 0.75],
        lambda_=0.8,
        scope="tensor",
    )
    assert recipe.arguments() == {
        "models": {"m": str(tmp_path / "math"), "c": "org/code"},
        "method": "ties",
        "base": "org/base",
        "preset": "paper",
        "parameters": {"weight": {"m": 0.25, "c": 0.75}, "density": {"c": 0.4}, "lambda": 0.8, "scope": "tensor"},
        "dtype": "float16",
        "seed": 5,
    }
    assert Recipe.parse(recipe.to_yaml()) == recipe
    assert yaml.safe_load(recipe.to_yaml())["out_dtype"] == "float16", "mergekit would round inputs to `dtype`"


def test_models_in_memory_are_written_under_their_names() -> None:
    state = {"w": 0}
    recipe = Recipe.from_arguments({"a": {"w": 1}, "b": {"w": 2}}, method="ties", base=state, weight=1)
    data = yaml.safe_load(recipe.to_yaml())
    assert [one["model"] for one in data["models"]] == ["a", "b"]
    assert data["base_model"] == "base"


def test_arguments_fail_in_a_recipe_as_in_a_merge() -> None:
    with pytest.raises(ValueError, match="weight has 3 values for 2 models"):
        Recipe.from_arguments(["a", "b"], method="linear", weight=[1, 2, 3])
    with pytest.raises(ValueError, match=r"Did you mean 'density'\?"):
        Recipe.from_arguments(["a", "b"], method="ties", base="c", weight=1, densty=1)
    with pytest.raises(ValueError, match="needs weight"):
        Recipe.from_arguments(["a", "b"], method="linear")
    with pytest.raises(ValueError, match="needs base_model"):
        Recipe.from_arguments(["a", "b"], method="ties", weight=1)


def test_overrides_replace_parts_in_the_forms_merge_takes() -> None:
    recipe = Recipe.parse(
        TIES, overrides={"seed": 9, "dtype": "float32", "parameters": {"weight": [1, 2], "lambda_": 0.5}}
    )
    arguments = recipe.arguments()
    assert (arguments["seed"], arguments["dtype"]) == (9, "float32")
    assert arguments["parameters"]["weight"] == {"math": 1.0, "code": 2.0}
    assert arguments["parameters"]["lambda"] == 0.5
    assert arguments["parameters"]["density"] == {"math": 0.5}, "what is not overridden stays"
    again = Recipe.parse(TIES).with_overrides({"parameters": {"weight": 3, "density": {"code": 0.1}}}).arguments()
    assert again["parameters"]["weight"] == 3.0, "one value for all replaces each model's own"
    assert again["parameters"]["density"] == {"math": 0.5, "code": 0.1}


def test_another_method_may_be_tried_on_a_recipe() -> None:
    linear = Recipe.parse(TIES, overrides={"method": "linear"})
    assert linear.arguments()["method"] == "linear"
    assert any("density has no effect" in note for note in linear.notes)
    with pytest.raises(ValueError, match=r"unknown key 'sede'.*Did you mean 'seed'\?"):
        Recipe.parse(TIES, overrides={"sede": 1})
    with pytest.raises(ValueError, match="weight has 3 values for 2 models"):
        Recipe.parse(TIES, overrides={"parameters": {"weight": [1, 2, 3]}})

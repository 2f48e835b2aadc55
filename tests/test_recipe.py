"""Recipes read: what mergekit's YAML means to merge()."""

from __future__ import annotations

import pytest
import yaml
from recipe_texts import TIES, refused

from fusion_kernels import Recipe
from fusion_kernels.labels import model_labels


def test_a_recipe_becomes_the_arguments_of_merge() -> None:
    assert Recipe.parse(TIES).arguments() == {
        "models": {"math": "org/math", "code": "runs/code"},
        "method": "ties",
        "base": "org/base",
        "preset": "mergekit",
        "parameters": {
            "weight": {"math": 0.3, "code": 0.7},
            "density": {"math": 0.5},
            "normalize": True,
        },
        "dtype": "bfloat16",
        "seed": 0,
    }


def test_a_mapping_reads_as_its_yaml_does() -> None:
    assert Recipe.parse(yaml.safe_load(TIES)) == Recipe.parse(TIES)


def test_a_models_own_value_wins_over_the_one_for_all() -> None:
    recipe = Recipe.parse(TIES.replace("  normalize: true\n", "  density: 0.9\n  weight: 1\n"))
    parameters = recipe.arguments()["parameters"]
    assert parameters["density"] == {"math": 0.5, "code": 0.9}
    assert parameters["weight"] == {"math": 0.3, "code": 0.7}


def test_the_base_among_the_models_is_not_merged_and_its_parameters_are_noted() -> None:
    with_parameters = TIES.replace(
        "org/base\n  - model: org/math", "org/base\n    parameters: {weight: 9}\n  - model: org/math", 1
    )
    recipe = Recipe.parse(with_parameters)
    assert recipe.arguments() == Recipe.parse(TIES).arguments()
    assert any("models[0].parameters.weight has no effect" in note and "base" in note for note in recipe.notes)
    unlisted = TIES.replace("  - model: org/base\n", "")
    assert Recipe.parse(unlisted).arguments() == Recipe.parse(TIES).arguments()


def test_linear_merges_a_listed_base_like_any_model() -> None:
    text = "merge_method: linear\nbase_model: a\nmodels: [{model: a}, {model: b}]\nparameters: {weight: 1}\n"
    recipe = Recipe.parse(text)
    assert list(recipe.arguments()["models"]) == ["a", "b"]
    assert recipe.arguments()["base"] == "a"
    assert any("base_model is no base for linear" in note for note in recipe.notes)


@pytest.mark.parametrize("listed", ["[{model: a}, {model: b}]", "[{model: b}, {model: a}]", "[{model: b}]"])
def test_slerp_goes_from_the_base_to_the_other_model_in_any_order(listed: str) -> None:
    arguments = Recipe.parse(
        f"merge_method: slerp\nbase_model: a\nmodels: {listed}\nparameters: {{t: 0.25}}\n"
    ).arguments()
    assert arguments["base"] == "a"
    assert arguments["models"] == {"b": "b"}
    assert arguments["parameters"] == {"t": 0.25}


def test_keys_mergekit_knows_but_the_method_ignores_are_accepted_and_noted() -> None:
    recipe = Recipe.parse(TIES)
    assert any("parameters.int8_mask has no effect" in note for note in recipe.notes)
    linear = (
        "merge_method: linear\nmodels: [{model: a, parameters: {weight: 1, gamma: 0.1}}]\nparameters: {t: 1, eps: 1}\n"
    )
    notes = Recipe.parse(linear).notes
    assert [note.split(" ")[0] for note in notes] == ["models[0].parameters.gamma", "parameters.t", "parameters.eps"]
    assert Recipe.parse(linear).arguments()["parameters"] == {"weight": {"a": 1.0}}


def test_a_shared_parameter_under_one_model_has_no_effect_as_in_mergekit_and_is_noted() -> None:
    recipe = Recipe.parse(TIES.replace("density: 0.5", "lambda: 0.5"))
    assert "lambda" not in recipe.arguments()["parameters"]
    assert any("models[1].parameters.lambda has no effect" in note for note in recipe.notes)


def test_model_references_of_every_form() -> None:
    forms = """\
merge_method: linear
parameters: {weight: 1}
models:
  - model: org/a@v2
  - model: {model: org/b}
  - model: {model: {path: org/c, revision: main}, lora: null, override_architecture: null}
  - model: {model: org/d, override_architecture: LlamaForCausalLM}
  - model: {path: "with space/e", revision: null}
"""
    recipe = Recipe.parse(forms)
    assert [one.source for one in recipe.models] == ["org/a@v2", "org/b", "org/c@main", "org/d", "with space/e"]
    assert list(recipe.arguments()["models"]) == ["a", "b", "c", "d", "e"]
    assert any("override_architecture has no effect" in note for note in recipe.notes)


def test_models_of_the_same_name_get_labels_that_tell_them_apart() -> None:
    assert model_labels(["org/math", "runs/a/model", "runs/b/model"]) == ["math", "a/model", "b/model"]
    assert model_labels(["one/math", "two/math"]) == ["one/math", "two/math"]
    assert model_labels(["org/math@v1", "org/math@v2"]) == ["org/math@v1", "org/math@v2"]
    assert model_labels(["math", "math", "code"]) == ["math", "math#2", "code"]
    assert model_labels(["math#2", "math", "math"]) == ["math#2", "math", "math#3"]
    assert model_labels([{}, "a", object()]) == ["model-1", "a", "model-3"]
    assert model_labels(["x/math.safetensors", "y/model.safetensors"]) == ["math", "y"]
    assert model_labels(["/cache/models--org--name/snapshots/0a1b2c"]) == ["name"]


def test_a_model_listed_twice_counts_twice_and_is_noted() -> None:
    recipe = Recipe.parse("merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: a}, {model: a}]\n")
    assert recipe.arguments()["models"] == {"a": "a", "a#2": "a"}
    assert any("listed more than once" in note for note in recipe.notes)


def test_out_dtype_wins_over_dtype() -> None:
    assert Recipe.parse(TIES + "out_dtype: float32\n").arguments()["dtype"] == "float32"
    assert Recipe.parse(TIES.replace("bfloat16", "bf16")).arguments()["dtype"] == "bfloat16"
    assert Recipe.parse(TIES.replace("dtype: bfloat16", "dtype:")).arguments()["dtype"] is None
    message = refused(TIES.replace("bfloat16", "bfloat61"))
    assert "line 14, dtype" in message
    assert "Did you mean 'bfloat16'?" in message
    assert "int8" in refused(TIES.replace("bfloat16", "int8"))


def test_the_seed_and_preset_are_ours() -> None:
    recipe = Recipe.parse(TIES + "seed: 42\npreset: paper\n")
    assert (recipe.arguments()["seed"], recipe.arguments()["preset"]) == (42, "paper")
    for seed in ("-1", "1.5", "true", "one", str(2**64)):
        assert "line 15, seed: an integer in [0, 2^64)" in refused(f"{TIES}seed: {seed}\n")
    assert "Did you mean 'paper'?" in refused(f"{TIES}preset: papers\n")


def test_exponents_without_a_point_are_numbers_and_mergekits_own_booleans_are_booleans() -> None:
    text = TIES.replace("density: 0.5", "density: 5e-1").replace("normalize: true", "normalize: 0.0")
    parameters = Recipe.parse(text).arguments()["parameters"]
    assert parameters["density"] == {"math": 0.5}
    assert parameters["normalize"] is False


def test_yaml_anchors_and_merge_keys_work() -> None:
    text = """\
merge_method: linear
models:
  - model: a
    parameters: &shared {weight: 0.5}
  - model: b
    parameters: {<<: *shared}
"""
    assert Recipe.parse(text).arguments()["parameters"]["weight"] == {"a": 0.5, "b": 0.5}

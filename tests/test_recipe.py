"""Recipes: mergekit's YAML in, the arguments of merge() out, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion_kernels import Recipe
from fusion_kernels.labels import model_labels

TIES = """\
models:
  - model: org/base
  - model: org/math
    parameters:
      density: 0.5
      weight: 0.3
  - model: runs/code
    parameters: {weight: 0.7}
merge_method: ties
base_model: org/base
parameters:
  normalize: true
  int8_mask: true
dtype: bfloat16
"""


def refused(text: Any, *, error: type[Exception] = ValueError) -> str:
    with pytest.raises(error) as caught:
        Recipe.parse(text, name="r.yml")
    message = str(caught.value)
    assert message.startswith("r.yml") or "method" in message, "an error says where"
    assert "\n" not in message
    return message


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


def test_a_parameter_mergekit_applies_and_we_cannot_yet_is_refused_unless_it_changes_nothing() -> None:
    assert "rescale=True is not available for ties" in refused(
        TIES.replace("int8_mask", "rescale"), error=NotImplementedError
    )
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
        ("int8_mask", "lerp_threshold", "it belongs to slerp"),
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

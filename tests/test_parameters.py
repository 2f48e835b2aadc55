"""What a user gives for a method's parameters, and what the method then gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import fusion_kernels
from fusion_kernels.errors import suggest
from fusion_kernels.parameters import PRESETS, get_method, registry, resolve

MODELS = ["math", "code", "chat"]


def values(method: str, /, preset: Any = "mergekit", models: list[str] = MODELS, **given: Any) -> dict[str, Any]:
    return resolve(get_method(method), preset=preset, model_names=models, given=given).values


def failure(method: str, /, given: Mapping[str, Any], **options: Any) -> str:
    options = {"preset": "mergekit", "model_names": MODELS, **options}
    with pytest.raises(ValueError) as caught:
        resolve(get_method(method), given=given, **options)
    message = str(caught.value)
    assert method in message, "an error about a parameter names its method"
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("weight", "resolved"),
    [
        (1, (1.0, 1.0, 1.0)),
        ([0.1, 0.2, 0.3], (0.1, 0.2, 0.3)),
        ((0.1, 0.2, 0.3), (0.1, 0.2, 0.3)),
        ({"chat": 3, "math": 1, "code": 2}, (1.0, 2.0, 3.0)),
        (np.array([1.0, 2.0, 3.0], dtype=np.float32), (1.0, 2.0, 3.0)),
        (np.float32(0.5), (0.5, 0.5, 0.5)),
        (-1.5, (-1.5, -1.5, -1.5)),
    ],
)
def test_a_per_model_value_may_be_one_or_one_each_or_by_name(weight: Any, resolved: tuple[float, ...]) -> None:
    assert values("linear", weight=weight)["weight"] == resolved


def test_torch_values_count_as_numbers() -> None:
    torch = pytest.importorskip("torch")
    assert values("linear", weight=torch.tensor([1.0, 2.0, 3.0]))["weight"] == (1.0, 2.0, 3.0)
    assert values("ties", weight=1, density=torch.tensor(0.5))["density"] == (0.5, 0.5, 0.5)


def test_every_parameter_is_resolved_and_defaults_are_mergekits() -> None:
    assert values("ties", weight=0.5) == {
        "weight": (0.5, 0.5, 0.5),
        "density": (1.0, 1.0, 1.0),
        "normalize": True,
        "rescale": False,
        "rescale_by": "l1",
        "lambda": 1.0,
        "scope": "tensor",
        "elect": "weighted",
        "merge_func": "sum",
        "zero_sign": "positive",
    }


def test_presets_gather_what_the_sources_disagree_on_and_a_given_value_wins() -> None:
    paper = values("ties", "paper")
    assert paper["weight"] == (1.0, 1.0, 1.0), "required by mergekit, 1 in the paper"
    assert paper["scope"] == "model"
    assert (paper["density"], paper["normalize"], paper["lambda"]) == ((0.2, 0.2, 0.2), True, 1.0)
    fusionbench = values("ties", "fusionbench")
    assert (fusionbench["normalize"], fusionbench["lambda"], fusionbench["scope"]) == (False, 0.3, "model")
    assert values("ties", "fusionbench", lambda_=0.7, density=0.5)["lambda"] == 0.7
    assert values("task_arithmetic", "fusionbench")["lambda"] == 0.3


def test_an_unknown_preset_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"unknown preset 'fusion_bench'.*Did you mean 'fusionbench'\?"):
        values("ties", "fusion_bench", weight=1)


def test_lambda_has_a_name_python_can_write() -> None:
    assert (
        values("ties", weight=1, lambda_=0.4)["lambda"] == values("ties", weight=1, **{"lambda": 0.4})["lambda"] == 0.4
    )
    assert "given twice" in failure("ties", {"weight": 1, "lambda": 1.0, "lambda_": 0.5})


def test_the_wrong_number_of_values_names_the_models() -> None:
    message = failure("linear", {"weight": [0.5, 0.5]})
    assert "weight has 2 values for 3 models (math, code, chat)" in message
    assert "exactly 3" in message
    assert "weight has 1 value for 3 models" in failure("linear", {"weight": [1]})


def test_a_model_that_is_not_merged_gets_a_suggestion() -> None:
    assert "'mth'" in failure("linear", {"weight": {"mth": 1}})
    assert "Did you mean 'math'?" in failure("linear", {"weight": {"mth": 1}})


def test_a_model_left_out_gets_the_default_or_is_missed() -> None:
    assert values("ties", weight=1, density={"code": 0.5})["density"] == (1.0, 0.5, 1.0)
    assert values("ties", "paper", weight={"code": 0.5})["weight"] == (1.0, 0.5, 1.0)
    assert "needs weight for model 'chat'" in failure("linear", {"weight": {"math": 1, "code": 2}})


def test_a_missing_required_parameter_comes_with_an_example() -> None:
    assert "for example weight=1.0" in failure("linear", {})
    assert "for example t=0.5" in failure("slerp", {}, model_names=["base", "math"])


def test_unknown_parameters_get_a_suggestion_among_the_methods_own() -> None:
    message = failure("ties", {"weight": 1, "densty": 0.5})
    assert "no parameter 'densty'" in message
    assert message.endswith("Did you mean 'density'?")


def test_a_parameter_of_another_method_is_told_whose_it_is() -> None:
    message = failure("linear", {"weight": 1, "density": 0.5})
    assert "'density' belongs to breadcrumbs, " in message
    assert "ties)" in message
    assert "Did you mean" not in message
    assert "'t' belongs to slerp" in failure("ties", {"weight": 1, "t": 0.5})


@pytest.mark.parametrize("density", [-0.1, 1.0001, 2])
def test_values_out_of_range_say_the_range(density: float) -> None:
    message = failure("ties", {"weight": 1, "density": [0.5, density, 0.5]})
    assert "density of model 'code'" in message
    assert "[0, 1]" in message
    assert str(density) in message


@pytest.mark.parametrize("density", [0, 1, 0.0, 1.0])
def test_the_ends_of_the_range_belong_to_it(density: float) -> None:
    assert values("ties", weight=1, density=density)["density"] == (float(density),) * 3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"weight": float("nan")}, "weight must be a finite number, got nan"),
        ({"weight": [1, float("inf"), 1]}, "weight of model 'code' must be a finite number, got inf"),
        ({"weight": 10**400}, "weight must be a finite number"),
        ({"weight": True}, "weight must be a number, got True"),
        ({"weight": "0.5"}, "weight must be a number, got '0.5' (a text: leave out the quotes)"),
        ({"weight": "much"}, "weight must be a number, got 'much'"),
        ({"weight": None}, "weight must be a number, got None"),
        ({"weight": 1j}, "weight must be a number"),
        ({"weight": [[1, 2, 3]] * 3}, "one value per model, not several"),
        ({"weight": 1, "normalize": 1}, "normalize must be true or false, got 1"),
        ({"weight": 1, "normalize": "yes"}, "normalize must be true or false, got 'yes'"),
        ({"weight": 1, "lambda": [1, 1, 1]}, "lambda is one value for the whole merge"),
        ({"weight": 1, "elect": "weigthed"}, "elect must be one of weighted, unweighted, got 'weigthed'. Did you mean"),
        ({"weight": 1, "elect": 1}, "elect must be one of weighted, unweighted, got 1"),
    ],
)
def test_a_value_of_the_wrong_kind_says_what_was_expected(given: dict[str, Any], says: str) -> None:
    assert says in failure("ties", given)


def test_keys_without_effect_are_noted() -> None:
    resolved = resolve(
        get_method("ties"), preset="mergekit", model_names=MODELS, given={"weight": 1, "int8_mask": True}
    )
    assert "int8_mask" not in resolved.values
    assert len(resolved.notes) == 1
    assert "int8_mask" in resolved.notes[0]
    assert "no effect" in resolved.notes[0]


def test_an_unknown_method_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(ValueError, match=r"unknown method 'tie'; available: .*linear.*Did you mean 'ties'\?"):
        get_method("tie")
    with pytest.raises(ValueError, match=r"Did you mean 'ties'\?"):
        get_method("ties_merging")
    with pytest.raises(ValueError, match=r"Did you mean 'linear'\?"):
        get_method("simple_average")


@pytest.mark.parametrize("name", ["arcee_fusion", "nearswap", "ram", "ramplus_tl", "sce"])
def test_a_method_of_mergekit_that_is_missing_here_is_refused_by_name(name: str) -> None:
    with pytest.raises(NotImplementedError, match=f"'{name}' is not available yet"):
        get_method(name)


def test_suggestions_see_through_case_and_punctuation_but_do_not_guess() -> None:
    assert suggest("INT8-mask", ["int8_mask", "density"]) == " Did you mean 'int8_mask'?"
    assert suggest("xyz", ["int8_mask", "density"]) == ""
    assert suggest("", ["density"]) == ""


def test_the_list_of_methods_is_short_to_read_and_complete_to_use() -> None:
    every = fusion_kernels.methods()
    assert {"linear", "passthrough", "slerp", "task_arithmetic", "ties"} <= {one.name for one in every}
    assert len(repr(every).splitlines()) == len(every)
    assert all(one.summary for one in every)


@pytest.mark.parametrize("name", [one.name for one in registry().values() if one.kind != "matrix"])
def test_a_description_has_everything_for_people_and_for_programs(name: str) -> None:
    described = fusion_kernels.describe(name)
    page, entry = str(described), described.as_dict()
    assert entry["formula"] in page
    assert entry["base"] in ("required", "optional", "ignored", "member")
    for parameter in entry["parameters"]:
        assert f"  {parameter['name']}: " in page
        assert set(parameter["presets"]) <= set(PRESETS)
    if entry["paper"]:
        assert entry["paper"]["url"] in page


def test_the_description_of_ties_reads_as_documented() -> None:
    page = str(fusion_kernels.describe("ties"))
    assert "density: a number in [0, 1]; per model; default 1 (paper: 0.2; fusionbench: 0.2)" in page
    assert "https://arxiv.org/abs/2306.01708" in page
    assert "int8_mask" in page


def test_describing_an_unknown_method_fails_as_merging_with_it_does() -> None:
    with pytest.raises(ValueError, match=r"Did you mean 'slerp'\?"):
        fusion_kernels.describe("serp")


def test_values_right_by_themselves_may_be_wrong_together() -> None:
    wrong = failure("della", {"weight": 1, "density": {"code": 0.1}, "epsilon": 0.2})
    assert "della: model 'code': " in wrong
    assert "density=0.1 and epsilon=0.2" in wrong
    assert "add up to zero" in failure("multislerp", {"weight": [1, 1, -2]})
    assert values("multislerp", weight=[1, 1, -2], normalize_weights=False)["weight"] == (1.0, 1.0, -2.0)


def test_a_count_is_a_whole_number() -> None:
    assert values("karcher", max_iter=20.0)["max_iter"] == 20
    assert isinstance(values("karcher")["max_iter"], int)
    assert "max_iter must be a whole number of at least 0, got 2.5" in failure("karcher", {"max_iter": 2.5})


def test_every_default_and_preset_of_every_method_passes_its_own_checks() -> None:
    for method in registry().values():
        required = {one.name: 0.5 for one in method.parameters if one.required and one.type == "number"}
        for preset in PRESETS:
            resolved = resolve(method, preset=preset, model_names=MODELS, given=required)
            assert set(resolved.values) == {one.name for one in method.parameters}
            again = {
                name: list(value) if isinstance(value, tuple) else value for name, value in resolved.values.items()
            }
            assert resolve(method, preset=preset, model_names=MODELS, given=again).values == resolved.values

"""A function's signature as a merge method: what it declares, what is refused, and with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic
import pytest
import torch
from annotated_types import Ge, Gt, Interval, Le

import fusion_kernels
from fusion_kernels import MergeInfo, PerModel, merge_method, merge_tensors

if TYPE_CHECKING:
    from nowhere import Tensor  # type: ignore[import-not-found]

pytestmark = pytest.mark.usefixtures("own_methods")
ONE, TWO = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0])


def register_all_kinds(**options: Any) -> None:
    @merge_method("all_kinds", **options)
    def all_kinds(
        tensors: list[Tensor],
        base: Tensor | None,
        *,
        info: MergeInfo,
        weight: PerModel[float] = 1.0,
        density: float = 0.2,
        steps: int = 3,
        flag: bool = False,
        side: Literal["left", "right"] = "left",
        lambda_: float,
    ) -> Tensor:
        """Average the models.

        Their weights are not normalised.

        Args:
            weight, density: share of each
                model
            side (str): which one
        """
        assert type(steps) is int
        assert type(flag) is bool
        assert type(weight) is tuple
        return lambda_ * sum(w * tensor for w, tensor in zip(weight, tensors, strict=True))


def test_the_signature_is_the_schema() -> None:
    register_all_kinds(base="optional", min_models=2, max_models=5)
    info = fusion_kernels.describe("all_kinds").info
    assert (info.kind, info.base, info.min_models, info.max_models) == ("matrix", "optional", 2, 5)
    declared = [(one.name, one.type, one.per_model, one.required, one.default) for one in info.parameters]
    assert declared == [
        ("weight", "number", True, False, 1.0),
        ("density", "number", False, False, 0.2),
        ("steps", "integer", False, False, 3),
        ("flag", "boolean", False, False, False),
        ("side", "choice", False, False, "left"),
        ("lambda", "number", False, True, None),
    ]
    assert info.parameters[4].choices == ("left", "right")
    assert [one.doc for one in info.parameters] == ["share of each model"] * 2 + ["", "", "which one", ""]
    assert info.summary == "Average the models."
    assert info.doc == "Their weights are not normalised."


def test_it_is_described_like_any_method() -> None:
    register_all_kinds()
    described = fusion_kernels.describe("all_kinds")
    page = str(described)
    for text in (
        "Average the models.",
        "not normalised",
        "1 or more",
        "whole number",
        "share of each model",
        "one of left, right",
    ):
        assert text in page
    entry = json.loads(json.dumps(described.as_dict()))
    assert entry.keys() == fusion_kernels.describe("ties").as_dict().keys()
    assert "all_kinds" in [method.name for method in fusion_kernels.methods()]


def test_a_docstring_is_not_needed() -> None:
    @merge_method("silent")
    def silent(tensors, base, *, info):
        return tensors[0]

    assert "silent of test_own_methods" in fusion_kernels.describe("silent").summary
    assert silent([1], None, info=None) == 1  # the function is as it was


def test_bounds_are_declared_where_the_type_is() -> None:
    @merge_method("bounded")
    def bounded(
        tensors, base, *, info, density: Annotated[float, Interval(ge=0, le=1)] = 0.2,
        weight: PerModel[Annotated[float, Ge(0)]] = 1.0, steps: Annotated[int, pydantic.Field(ge=1, le=9)] = 3,
        cold: Annotated[PerModel[float], "of each model", Le(2)] = 1.0,
    ):  # fmt: skip
        return tensors[0] * density

    assert [(one.name, one.expected) for one in fusion_kernels.describe("bounded").info.parameters] == [
        ("density", "a number in [0, 1]"),
        ("weight", "a number of at least 0"),
        ("steps", "a whole number in [1, 9]"),
        ("cold", "a number of at most 2"),
    ]
    assert merge_tensors([ONE, TWO], method="bounded", density=1).tolist() == ONE.tolist()
    with pytest.raises(ValueError, match=r"bounded: density must be a number in \[0, 1\], got 1.5"):
        merge_tensors([ONE, TWO], method="bounded", density=1.5)
    with pytest.raises(ValueError, match=r"bounded: weight of model .* must be a number of at least 0, got -1"):
        merge_tensors([ONE, TWO], method="bounded", weight=[1, -1])


def test_parameters_arrive_as_given() -> None:
    register_all_kinds()
    given: dict[str, Any] = {"method": "all_kinds", "lambda_": 0.5}
    assert merge_tensors([ONE, TWO], **given).tolist() == [2.0, 4.0]
    assert merge_tensors([ONE, TWO], weight=[1, 0], **given).tolist() == [0.5, 1.0]
    assert merge_tensors({"a": ONE, "b": TWO}, weight={"a": 0}, steps=2.0, **given).tolist() == [1.5, 3.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "all_kinds needs lambda; for example lambda=1.0"),
        ({"lambda_": 1, "densty": 1}, "all_kinds has no parameter 'densty'.*Did you mean 'density'"),
        ({"lambda_": 1, "steps": 2.5}, "all_kinds: steps must be a whole number, got 2.5"),
        ({"lambda_": 1, "steps": True}, "steps must be a whole number, got True"),
        ({"lambda_": 1, "flag": 1}, "flag must be true or false, got 1"),
        ({"lambda_": 1, "side": "rigth"}, "side must be one of left, right, got 'rigth'. Did you mean 'right'"),
        ({"lambda_": 1, "density": [1, 2]}, "density is one value for the whole merge"),
        ({"lambda_": 1, "weight": [1, 2, 3]}, "weight has 3 values for 2 models"),
    ],
)
def test_wrong_parameters_are_named(given: dict[str, Any], message: str) -> None:
    register_all_kinds()
    with pytest.raises(ValueError, match=message):
        merge_tensors([ONE, TWO], method="all_kinds", **given)


@pytest.mark.parametrize(
    ("options", "count", "message"),
    [
        ({"min_models": 3}, 2, "all_kinds: at least 3 tensors are needed, got 2"),
        ({"max_models": 1}, 2, "all_kinds: exactly 1 tensor is needed, got 2"),
        ({"min_models": 3, "max_models": 4}, 5, "all_kinds: 3 to 4 tensors are needed, got 5"),
        ({"base": "required"}, 2, "all_kinds needs base="),
    ],
)
def test_the_number_of_models_is_checked(options: dict[str, Any], count: int, message: str) -> None:
    register_all_kinds(**options)
    tensors = [ONE.clone() for _ in range(count)]
    with pytest.raises(ValueError, match=message):
        merge_tensors(tensors, method="all_kinds", lambda_=1)
    merging = {"all_kinds: ": "all_kinds (needs|takes) ", "all_kinds needs base=": "all_kinds needs a base model"}
    prefix = next(value for key, value in merging.items() if message.startswith(key))
    with pytest.raises(ValueError, match=prefix):
        fusion_kernels.merge([{"a": one} for one in tensors], method="all_kinds", lambda_=1)


def plain(tensors: Any, base: Any, *, info: Any) -> Any:
    return tensors[0]


def no_base(tensors, *, info): ...


def other_names(models, base, *, info): ...


def no_info(tensors, base, *, weight: float = 1.0): ...


def positional(tensors, base, info, weight: float = 1.0): ...


def catching(tensors, base, *, info, **rest): ...


def unannotated(tensors, base, *, info, weight=1.0): ...


def optional_number(tensors, base, *, info, weight: float | None = None): ...


def listed(tensors, base, *, info, weight: list[float]): ...


def numbered(tensors, base, *, info, order: Literal[1, 2] = 1): ...


def wrong_default(tensors, base, *, info, steps: int = 0.5): ...


def wrong_choice(tensors, base, *, info, side: Literal["left", "right"] = "up"): ...


def per_model_list(tensors, base, *, info, weight: PerModel[float] = (1.0, 2.0)): ...


def unknown_type(tensors, base, *, info, weight: Unknown = 1.0): ...  # noqa: F821


def exclusive(tensors, base, *, info, weight: Annotated[float, Gt(0)] = 1.0): ...


def bounded_flag(tensors, base, *, info, flag: Annotated[bool, Ge(0)] = True): ...


def default_outside(tensors, base, *, info, share: Annotated[float, Le(1)] = 2.0): ...


def seed_again(tensors, base, *, info, seed: int = 0): ...


def threads_again(tensors, base, *, info, threads: int = 0): ...


def workspace_again(tensors, base, *, info, workspace: float = 0): ...


def models_again(tensors, base, *, info, models: float = 0): ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_base, r"a method is f\(tensors, base, \*, info, ...\), got \(tensors, \*, info\)"),
        (other_names, r"got \(models, base, \*, info\)"),
        (no_info, "info is missing"),
        (positional, "info must be named to be given: put it after '\\*'"),
        (catching, r"\*\*rest says nothing about the parameters"),
        (unannotated, "parameter weight must be annotated float, int, bool.*without annotation"),
        (optional_number, "parameter weight must be annotated .* float | None"),
        (listed, r"parameter weight must be annotated .* list\[float\]"),
        (numbered, "the choices of order must be texts, got 1, 2"),
        (wrong_default, "steps must be a whole number, got 0.5 as its default"),
        (wrong_choice, "side must be one of left, right, got 'up'"),
        (per_model_list, "weight must be a number, got .* as its default"),
        (unknown_type, "the annotations cannot be read: NameError: name 'Unknown' is not defined"),
        (exclusive, "the bounds of weight must be inclusive: ge and le"),
        (bounded_flag, "parameter flag is no number and cannot have bounds"),
        (default_outside, "share must be a number of at most 1, got 2.0 as its default"),
        (seed_again, "'seed' cannot be a parameter, merge.. has it already"),
        (threads_again, "'threads' cannot be a parameter"),
        (workspace_again, "'workspace' cannot be a parameter"),
        (models_again, "'models' cannot be a parameter"),
        (len, r"merge_method stands above a function"),
    ],
)
def test_what_cannot_be_a_method_is_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^mine: .*{message}"):
        merge_method("mine")(function)
    with pytest.raises(ValueError, match="unknown method 'mine'"):
        fusion_kernels.describe("mine")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["ties"], {}, "'ties' is a method of the engine; choose another name"),
        (["my method"], {}, "a name of letters, digits, '_' and '-' is expected, got 'my method'"),
        ([""], {}, "a name of letters"),
        (["mine"], {"base": "ignored"}, "mine: base is one of required, optional, none, got 'ignored'"),
        (["mine"], {"base": "require"}, "Did you mean 'required'"),
        (["mine"], {"min_models": 0}, "min_models is a whole number of at least 1, got 0"),
        (["mine"], {"min_models": 3, "max_models": 2}, "max_models is None or a whole number of at least 3, got 2"),
    ],
)
def test_names_and_counts_are_checked(arguments: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merge_method(*arguments, **options)(plain)


def test_a_decorator_without_its_name_says_so() -> None:
    with pytest.raises(ValueError, match=r"write @merge_method\('name'\)"):
        merge_method(plain)  # type: ignore[arg-type]


def test_a_cell_that_is_run_again_replaces_its_method_and_another_function_does_not() -> None:
    def define(first: int) -> None:
        @merge_method("chosen")
        def chosen(tensors, base, *, info):
            return tensors[first]

    define(0)
    define(1)
    assert merge_tensors([ONE, TWO], method="chosen").tolist() == TWO.tolist()
    with pytest.raises(ValueError, match=r"'chosen' is already a method: .*choose another name for plain"):
        merge_method("chosen")(plain)

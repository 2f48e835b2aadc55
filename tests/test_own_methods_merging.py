"""Methods written in Python, run on models: what they are given, and what the result is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_method_makers import register, register_function
from safetensors.torch import load_file
from tiny_models import tiny_checkpoint, weights

import fusion_kernels
from fusion_kernels import merge_method, merge_tensors

pytestmark = pytest.mark.usefixtures("own_methods")


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    base = tiny_checkpoint(tmp_path / "base", 0)
    return [base, *(tiny_checkpoint(tmp_path / name, seed, near=base) for seed, name in enumerate(["math", "code"], 1))]


def expected(models: list[Path], *shares: float) -> dict[str, np.ndarray]:
    base, *tuned = map(weights, models)
    return {
        name: value + sum(np.float32(w) * (one[name] - value) for w, one in zip(shares, tuned, strict=True))
        for name, value in base.items()
    }


def test_folders_are_merged_into_a_folder(models: list[Path], tmp_path: Path) -> None:
    calls = register(base="required")
    base, *tuned = models
    options: dict[str, Any] = {
        "base": base,
        "method": "mine",
        "weight": [0.5, 0.25],
        "seed": 7,
        "output": tmp_path / "out",
    }
    plan = fusion_kernels.plan(tuned, **options)
    assert plan.ok, plan
    report = fusion_kernels.merge(tuned, **options)
    merged = weights(tmp_path / "out")
    wanted = expected(models, 0.5, 0.25)
    assert list(merged) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(merged[name], value)
    assert (report.bytes_read, report.bytes_written) == (plan.reads, plan.writes)
    assert plan.passes == 1
    assert plan.ram >= report.workspace_bytes > 0
    assert report.parameters == {"weight": {"math": 0.5, "code": 0.25}, "factor": 1.0}
    assert report.files == plan.files
    assert "`mine`" in (tmp_path / "out" / "README.md").read_text()
    assert [info.name for _, _, info in calls] == list(wanted)
    for tensors, base_tensor, info in calls:
        assert (info.seed, info.models, info.dtype) == (7, ("math", "code"), torch.float32)
        assert info.shape == wanted[info.name].shape
        assert base_tensor is not None
        for tensor, model in zip([base_tensor, *tensors], models, strict=True):
            assert tensor.dtype == torch.float32
            np.testing.assert_array_equal(tensor.numpy(), weights(model)[info.name])


def test_the_recipe_written_beside_the_result_repeats_it(models: list[Path], tmp_path: Path, monkeypatch) -> None:
    register(base="required")
    monkeypatch.chdir(tmp_path)
    base, *tuned = models
    fusion_kernels.merge(tuned, base=base, method="mine", weight=[0.5, 0.25], factor=2, output="once")
    fusion_kernels.merge("once/mergekit_config.yml", output="twice")
    assert (tmp_path / "once/model.safetensors").read_bytes() == (tmp_path / "twice/model.safetensors").read_bytes()


def test_state_dicts_are_merged_in_memory(models: list[Path]) -> None:
    register(base="required")
    states = [load_file(model / "model.safetensors") for model in models]
    states = [{**state, "steps": torch.tensor([3])} for state in states]
    merged = fusion_kernels.merge(states[1:], base=states[0], method="mine", weight=[0.5, 0.25])
    assert merged.pop("steps").tolist() == [3]
    for name, value in expected(models, 0.5, 0.25).items():
        np.testing.assert_array_equal(merged[name].numpy(), value)
    states[2]["steps"] = torch.tensor([4])
    with pytest.raises(ValueError, match="steps"):
        fusion_kernels.merge(states[1:], base=states[0], method="mine")


@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_tensors_come_back_in_their_library(library: str) -> None:
    register()
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((2, 3), np.float32)
    given: list[Any] = [a, b] if library == "numpy" else [torch.from_numpy(a), torch.from_numpy(b)]
    merged = merge_tensors(given, method="mine", weight=[1, 2])
    assert isinstance(merged, np.ndarray if library == "numpy" else torch.Tensor)
    np.testing.assert_array_equal(np.asarray(merged), a + 2 * b)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (0, 4), (2, 3, 5)], ids=str)
def test_any_shape(shape: tuple[int, ...]) -> None:
    calls = register()
    a = torch.randn(shape)
    assert torch.equal(merge_tensors([a, a], method="mine"), a)
    assert (tuple(calls[0][0][0].shape), calls[0][2].shape) == (shape, shape)


@pytest.mark.parametrize(
    ("dtype", "computed"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float8_e4m3fn, torch.float32),
        (torch.float64, torch.float64),
    ],
    ids=str,
)
def test_it_computes_in_float32_or_float64_and_is_rounded_once(dtype: torch.dtype, computed: torch.dtype) -> None:
    calls = register()
    a, b = (torch.randn(40, 30).to(dtype) for _ in range(2))
    merged = merge_tensors([a, b], method="mine", weight=[0.3, 0.7])
    assert {tensor.dtype for tensor in calls[0][0]} == {computed}
    assert calls[0][2].dtype == merged.dtype == dtype
    assert torch.equal(merged, (0.3 * a.to(computed) + 0.7 * b.to(computed)).to(dtype))
    # The output's dtype decides, not the inputs'.
    merge_tensors([a, b], method="mine", dtype="float64")
    assert calls[1][0][0].dtype == torch.float64


def test_a_method_may_change_its_tensors() -> None:
    register_function(lambda tensors, base, info: tensors[0].add_(base).zero_())
    register_function(lambda tensors, base, info: tensors[0].add_(base).mul_(2), base="required")
    one, base = torch.ones(3), torch.full((3,), 2.0)
    assert merge_tensors([one], base=base, method="mine").tolist() == [6.0] * 3
    assert (one.tolist(), base.tolist()) == ([1.0] * 3, [2.0] * 3)


@pytest.mark.parametrize(
    "result",
    [
        lambda tensor: tensor.T.contiguous().T,
        lambda tensor: tensor[:1].expand(4, 6),
        lambda tensor: tensor.to(torch.float64),
        lambda tensor: torch.nn.Parameter(tensor),
        lambda tensor: tensor,
    ],
    ids=["strided", "expanded", "double", "parameter", "an input"],
)
def test_a_result_may_be_any_dense_tensor(result: Callable[[torch.Tensor], torch.Tensor]) -> None:
    register_function(lambda tensors, base, info: result(tensors[0]))
    one = torch.randn(4, 6)
    assert torch.equal(merge_tensors([one], method="mine"), result(one))


# ---- the base ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", [False, True])
def test_an_optional_base_is_no_merged_model_where_it_is_given(
    models: list[Path], tmp_path: Path, listed: bool
) -> None:
    calls = register(base="optional", max_models=2)
    base, *tuned = models
    given = models if listed else tuned
    fusion_kernels.merge(given, base=base, method="mine", weight=[0.5, 0.25], output=tmp_path / "out")
    assert {info.models for _, _, info in calls} == {("math", "code")}
    for name, value in expected(models, 0.5, 0.25).items():
        np.testing.assert_array_equal(weights(tmp_path / "out")[name], value)


def test_an_optional_base_may_be_left_out(models: list[Path], tmp_path: Path) -> None:
    calls = register(base="optional")
    fusion_kernels.merge(models[1:], method="mine", weight=[0.5, 0.25], output=tmp_path / "out")
    assert all(base is None for _, base, _ in calls)
    math, code = map(weights, models[1:])
    for name, value in weights(tmp_path / "out").items():
        np.testing.assert_array_equal(value, np.float32(0.5) * math[name] + np.float32(0.25) * code[name])
    recipe = {"merge_method": "mine", "models": [{"model": str(model)} for model in models[1:]]}
    fusion_kernels.merge(recipe, output=tmp_path / "by_recipe")
    with_base = recipe | {"base_model": str(models[0])}
    calls.clear()
    fusion_kernels.merge(with_base, output=tmp_path / "with_base")
    assert all(base is not None and len(tensors) == 2 for tensors, base, _ in calls)


@pytest.mark.parametrize("listed", [False, True])
def test_a_tensor_that_is_the_base_is_not_merged(listed: bool) -> None:
    calls = register(base="optional")
    base, one = torch.zeros(3), torch.ones(3)
    merge_tensors([base, one] if listed else [one], base=base, method="mine")
    ((tensors, seen, info),) = calls
    assert (len(tensors), len(info.models)) == (1, 1)
    assert seen is not None


def test_a_method_without_a_base_gets_none_and_merges_every_model(models: list[Path], tmp_path: Path) -> None:
    calls = register()
    report = fusion_kernels.merge(models, base=models[0], method="mine", output=tmp_path / "out")
    assert all(base is None and len(tensors) == 3 for tensors, base, _ in calls)
    assert any("mine has no use for a base" in note for note in report.notes)
    with pytest.raises(ValueError, match="mine takes no base"):
        merge_tensors([torch.ones(1)], base=torch.ones(1), method="mine")


# ---- randomness --------------------------------------------------------------------------------------------


def test_random_numbers_depend_on_seed_and_name_alone(models: list[Path]) -> None:
    @merge_method("noise")
    def noise(tensors, base, *, info):
        return torch.rand(info.shape, generator=info.generator())

    state = load_file(models[0] / "model.safetensors")
    merged = fusion_kernels.merge([state], method="noise", seed=3)
    alone = fusion_kernels.merge([{"head.weight": state["head.weight"]}], method="noise", seed=3)
    assert torch.equal(merged["head.weight"], alone["head.weight"])
    assert torch.equal(
        merged["head.weight"], merge_tensors([state["head.weight"]], method="noise", seed=3, name="head.weight")
    )
    assert not torch.equal(merged["head.weight"], merged["embed.weight"])
    assert not torch.equal(merged["head.weight"], fusion_kernels.merge([state], method="noise", seed=4)["head.weight"])

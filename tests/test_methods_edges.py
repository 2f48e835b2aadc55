"""The ends of what each method takes: one model, one element, everything kept, nothing kept; and what lies beyond."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_calls import on_every_device
from tiny_models import tiny_checkpoint

import fusion_kernels
from fusion_kernels import merge_tensors
from fusion_kernels.parameters import registry

SPARSIFIED = sorted(
    method.name for method in registry().values() if method.kind == "fold" and method.parameter("density") is not None
)
RANDOM = ["dare_linear", "dare_ties", "della", "della_linear"]


def tensors(count: int, shape: tuple[int, ...] = (7, 33)) -> list[np.ndarray]:
    rng = np.random.default_rng(count)
    return [rng.standard_normal(shape, dtype=np.float32) for _ in range(count)]


def merged_on(device: str, tensors: list[np.ndarray], base: np.ndarray | None = None, **options: Any) -> np.ndarray:
    """What merge_tensors gives; for another device, of models of one tensor each, through which it is streamed."""
    if device == "cpu":
        return merge_tensors(tensors, base=base, **options)
    models = [{"w": tensor} for tensor in tensors]
    start = {} if base is None else {"base": {"w": base}}
    return np.asarray(fusion_kernels.merge(models, **start, **options, device=device)["w"])


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    base = tiny_checkpoint(tmp_path / "base", 0)
    return [base, *(tiny_checkpoint(tmp_path / name, seed, near=base) for seed, name in enumerate(["math", "code"], 1))]


@on_every_device
@pytest.mark.parametrize("method", SPARSIFIED)
def test_density_one_keeps_all_and_density_zero_nothing(method: str, device: str) -> None:
    base, a = tensors(2)
    unchanged = merge_tensors([a], method="task_arithmetic", base=base, weight=1)
    everything, nothing = (merged_on(device, [a], base, method=method, weight=1, density=d) for d in (1, 0))
    np.testing.assert_array_equal(everything, unchanged)
    np.testing.assert_array_equal(nothing, base)


@on_every_device
@pytest.mark.parametrize("shape", [(), (1,), (5, 1), (1, 1, 3)], ids=str)
@pytest.mark.parametrize("method", SPARSIFIED)
def test_rows_of_one_element_are_merged(method: str, shape: tuple[int, ...], device: str) -> None:
    base, a, b = tensors(3, shape)
    density = {"density": 0.5, **({"epsilon": 0.2} if "della" in method else {})}
    merged = merged_on(device, [a, b], base, method=method, weight=1, **density)
    assert merged.shape == shape
    assert np.isfinite(merged).all()


@on_every_device
@pytest.mark.parametrize("method", ["karcher", "median", "multislerp", "trimmed_mean"])
def test_one_model_is_returned_as_it_is(method: str, device: str) -> None:
    (a,) = tensors(1)
    given = {"weight": 0.3} if method == "multislerp" else {"trim": 0.5} if method == "trimmed_mean" else {}
    np.testing.assert_array_equal(merged_on(device, [a], method=method, **given), a)


@on_every_device
def test_a_band_that_reaches_beyond_what_is_left_gives_way_to_the_density(device: str) -> None:
    base = np.zeros(4, np.float32)
    a = np.array([1, -4, 3, 2], np.float32)
    merged = merged_on(device, [a], base, method="breadcrumbs", weight=1, density=0.5, gamma=0.9)
    np.testing.assert_array_equal(merged, [1, 0, 0, 2])  # the two largest go, not the 0.9 of all that gamma asks for


@pytest.mark.parametrize("method", ["ties", "breadcrumbs", "breadcrumbs_ties"])
def test_one_tensor_is_a_whole_model(method: str) -> None:
    base, a, b = tensors(3)
    options: dict[str, Any] = {"method": method, "base": base, "weight": 1, "density": 0.3, "rescale": True}
    np.testing.assert_array_equal(
        merge_tensors([a, b], scope="model", **options), merge_tensors([a, b], scope="tensor", **options)
    )


@pytest.mark.parametrize("preset", ["paper", "fusionbench"])
def test_ties_trims_the_whole_model_under_the_presets_that_say_so(models: list[Path], preset: Any) -> None:
    base, math, _ = models
    merged = fusion_kernels.merge([math], base=base, method="ties", preset=preset, lambda_=1, output=None)
    start = fusion_kernels.merge([base], method="passthrough")
    changed = sum(int((merged[name] != start[name]).sum()) for name in merged)
    elements = sum(tensor.numel() for tensor in merged.values())
    assert changed == int(0.2 * elements)  # of all tensors together


@pytest.mark.parametrize("method", RANDOM)
def test_the_seed_decides_what_is_drawn(models: list[Path], tmp_path: Path, method: str) -> None:
    base, *tuned = models
    options: dict[str, Any] = {"base": base, "method": method, "weight": 1, "density": 0.5}
    first, again, other, largest = (
        fusion_kernels.merge(tuned, **options, seed=seed)["embed.weight"] for seed in (3, 3, 4, 2**64 - 1)
    )
    assert bool((first == again).all())
    assert bool((first != other).any())
    assert bool((first != largest).any())
    report = fusion_kernels.merge(tuned, **options, seed=3, output=tmp_path / "out")
    assert report.seed == 3
    assert "the elements to keep are drawn from seed 3" in report.notes
    embedding = [fusion_kernels.merge([one], method="passthrough")["embed.weight"] for one in (base, *tuned)]
    by_name = merge_tensors(
        embedding[1:], base=embedding[0], method=method, weight=1, density=0.5, name="embed.weight", seed=3
    )
    assert bool((by_name == first).all()), "a tensor's draws hang on seed, name and model number alone"


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, True, "3"])
def test_a_seed_out_of_range_is_refused(models: list[Path], seed: Any) -> None:
    base, *tuned = models
    options: dict[str, Any] = {"method": "dare_linear", "weight": 1, "density": 0.5, "seed": seed}
    with pytest.raises(ValueError, match="seed"):
        fusion_kernels.merge(tuned, base=base, **options)
    a, b = tensors(2)
    with pytest.raises(ValueError, match="seed"):
        merge_tensors([a], base=b, **options)


def test_a_density_that_draws_cannot_express_is_noted(models: list[Path]) -> None:
    base, *tuned = models

    def notes(density: Any, method: str = "dare_ties") -> list[str]:
        plan = fusion_kernels.plan(tuned, base=base, method=method, weight=1, density=density)
        assert plan.ok
        return [note for note in plan.notes if "16 bits" in note]

    assert notes(0.3) == ["draws have 16 bits: density 0.3 is 19661/65536 = 0.300003 in effect (math, code)"]
    assert notes([1e-9, 0.5]) == ["draws have 16 bits: density 1e-09 is 1/65536 = 1.52588e-05 in effect (math)"]
    assert notes(0.5) == notes([0, 1]) == []
    assert notes(0.3, "ties") == []


WRONG = [
    ("della", {"density": [0.5, 0.1]}, "della: model 'code': density - epsilon and density + epsilon must lie"),
    ("della_linear", {"density": 0.9}, "got density=0.9 and epsilon=0.15"),
    ("della", {"density": 0.5, "epsilon": 0.5}, "got density=0.5 and epsilon=0.5"),
    ("multislerp", {"eps": -1e-8}, "multislerp: eps must be a number of at least 0, got -1e-08"),
    ("multislerp", {"weight": [1, -1]}, "multislerp: the weights add up to zero"),
    ("karcher", {"max_iter": 2.5}, "karcher: max_iter must be a whole number of at least 0, got 2.5"),
    ("karcher", {"max_iter": -1}, "karcher: max_iter must be a whole number of at least 0, got -1"),
    ("karcher", {"max_iter": 10**7}, "karcher: max_iter must be a whole number, at most a million"),
    ("karcher", {"tol": -1}, "karcher: tol must be a number of at least 0, got -1"),
    ("karcher", {"max_itr": 5}, "karcher has no parameter 'max_itr'"),
    ("trimmed_mean", {"trim": 0.6}, "trimmed_mean: trim must be a number in [0, 0.5], got 0.6"),
    ("trimmed_mean", {}, "trimmed_mean needs trim"),
    ("breadcrumbs", {"gamma": [0.1, 1.5]}, "breadcrumbs: gamma of model 'code' must be a number in [0, 1], got 1.5"),
    ("breadcrumbs", {"gama": 0.1}, "Did you mean 'gamma'?"),
    ("dare_ties", {"density": -0.1}, "dare_ties: density must be a number in [0, 1], got -0.1"),
    ("nuslerp", {"nuslerp_flaten": True}, "Did you mean 'nuslerp_flatten'?"),
    ("nuslerp", {"lerp_threshold": 2}, "nuslerp: lerp_threshold must be a number in [0, 1], got 2"),
    ("model_stock", {"average": "angel"}, "Did you mean 'angle'?"),
    ("ties", {"scope": "models"}, "Did you mean 'model'?"),
]


@pytest.mark.parametrize(("method", "wrong", "says"), WRONG, ids=[f"{name}-{wrong}" for name, wrong, _ in WRONG])
def test_what_a_method_cannot_take_is_named_before_anything_is_read(
    models: list[Path], tmp_path: Path, method: str, wrong: dict[str, Any], says: str
) -> None:
    base, *tuned = models
    info = fusion_kernels.describe(method).info
    options: dict[str, Any] = {"base": base} if info.sets_base_apart else {}
    weight = {"weight": 1} if info.parameter("weight") is not None else {}
    options |= {"method": method, "parameters": weight | wrong, "output": tmp_path / "out"}
    plan = fusion_kernels.plan(tuned, **options)
    assert len(plan.problems) == 1
    assert says in plan.problems[0]
    assert "\n" not in plan.problems[0]
    with pytest.raises(ValueError) as caught:
        fusion_kernels.merge(tuned, **options)
    assert str(caught.value) == plan.problems[0]
    assert not (tmp_path / "out").exists()
    named = {"math": tensors(1)[0], "code": tensors(1)[0]}
    with pytest.raises(ValueError) as caught:
        merge_tensors(named, base=tensors(2)[0] if "base" in options else None, method=method, **(weight | wrong))
    assert says in str(caught.value)


def test_one_model_is_too_few_for_methods_that_compare() -> None:
    base, a = tensors(2)
    with pytest.raises(ValueError, match="model_stock: at least 2 tensors are needed"):
        merge_tensors([a], base=base, method="model_stock")
    with pytest.raises(ValueError, match="nuslerp: exactly 2 tensors are needed"):
        merge_tensors([a], method="nuslerp", weight=1)


def test_directions_that_cancel_name_the_tensor_and_nothing_is_published(models: list[Path], tmp_path: Path) -> None:
    (a,) = tensors(1)
    with pytest.raises(ValueError, match=r"tensor 'w': the weighted sum of the models' directions is zero"):
        merge_tensors([a, -a, a, -a], method="multislerp", weight=1, name="w")
    states = [{"w": a}, {"w": -a}, {"w": a}, {"w": -a}]
    with pytest.raises(ValueError, match="'w'"):
        fusion_kernels.merge(states, method="multislerp", weight=1, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()

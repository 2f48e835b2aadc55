"""Each method of mergekit by a recipe in its usual style, compared with the same merge asked for in code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file
from tiny_models import tiny_checkpoint, weights

import fusion_kernels

BASE_LISTED = ["base", "math", "code"]
# method: (base_model or None, models as listed with their own parameters, parameters of the whole merge)
RECIPES: dict[str, tuple[str | None, list[tuple[str, dict[str, Any]]], dict[str, Any]]] = {
    "linear": (None, [("math", {"weight": 0.3}), ("code", {"weight": 0.9})], {"normalize": True}),
    "slerp": ("base", [("base", {}), ("math", {})], {"t": 0.3}),
    "passthrough": (None, [("math", {"scale": 0.5})], {}),
    "task_arithmetic": (
        "base",
        [("base", {}), ("math", {"weight": 0.6}), ("code", {"weight": 0.7})],
        {"normalize": False, "lambda": 0.8, "int8_mask": True},
    ),
    "ties": (
        "base",
        [("base", {}), ("math", {"weight": 0.6, "density": 0.4}), ("code", {"weight": 0.4, "density": 0.7})],
        {"normalize": True, "rescale": True, "int8_mask": True},
    ),
    "dare_linear": (
        "base",
        [("base", {}), ("math", {"weight": 0.6, "density": 0.53}), ("code", {"weight": 0.4, "density": 0.3})],
        {"normalize": False, "rescale": True, "int8_mask": True},
    ),
    "dare_ties": (
        "base",
        [("base", {}), ("math", {"weight": 0.6, "density": 0.53}), ("code", {"weight": 0.4, "density": 0.3})],
        {"int8_mask": True},
    ),
    "breadcrumbs": (
        "base",
        [("math", {"weight": 0.6, "density": 0.9, "gamma": 0.02}), ("code", {"weight": 0.4, "density": 0.5})],
        {"normalize": True, "gamma": 0.05},
    ),
    "breadcrumbs_ties": (
        "base",
        [("math", {"weight": 0.6}), ("code", {"weight": 0.4, "density": 0.5})],
        {"density": 0.8, "gamma": 0.01, "int8_mask": True, "normalize": True},
    ),
    "della": (
        "base",
        [
            ("base", {}),
            ("math", {"weight": 0.5, "density": 0.5, "epsilon": 0.1}),
            ("code", {"weight": 0.5, "density": 0.7}),
        ],
        {"normalize": True, "int8_mask": True, "lambda": 1.1},
    ),
    "della_linear": (
        "base",
        [("math", {"weight": 0.5, "density": 0.5}), ("code", {"weight": 0.5, "density": 0.7})],
        {"epsilon": 0.05, "rescale": False},
    ),
    "model_stock": ("base", [("math", {}), ("code", {})], {"filter_wise": False}),
    "nuslerp": (
        "base",
        [("math", {"weight": 0.3}), ("code", {"weight": 0.7})],
        {"nuslerp_flatten": False, "nuslerp_row_wise": True},
    ),
    "multislerp": ("base", [("base", {}), ("math", {"weight": 0.3}), ("code", {"weight": 0.7})], {"eps": 1e-7}),
    "karcher": (None, [("math", {}), ("code", {}), ("base", {})], {"max_iter": 20, "tol": 1e-6}),
}
WITHOUT_BASE = {
    "nuslerp": (None, [("math", {"weight": 0.3}), ("code", {"weight": 0.7})], {"nuslerp_flatten": True}),
    "multislerp": (
        None,
        [("math", {"weight": 0.3}), ("code", {"weight": 0.7}), ("base", {"weight": 1})],
        {"normalize_weights": True},
    ),
}
CASES = [*RECIPES.items(), *WITHOUT_BASE.items()]


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    base = tiny_checkpoint(tmp_path / "base", 0)
    return {
        "base": base,
        **{name: tiny_checkpoint(tmp_path / name, seed, near=base) for seed, name in enumerate(["math", "code"], 1)},
    }


@pytest.mark.parametrize(("method", "recipe"), CASES, ids=[f"{name}-{recipe[0]}" for name, recipe in CASES])
def test_a_recipe_says_what_the_same_call_does(
    folders: dict[str, Path], tmp_path: Path, method: str, recipe: tuple[Any, ...]
) -> None:
    base, models, shared = recipe
    written = {
        "merge_method": method,
        **({"base_model": str(folders[base])} if base else {}),
        "models": [{"model": str(folders[name]), **({"parameters": own} if own else {})} for name, own in models],
        **({"parameters": shared} if shared else {}),
        "dtype": "float32",
    }
    path = tmp_path / "recipe.yml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    report = fusion_kernels.merge(path, output=tmp_path / "by-recipe")

    info = fusion_kernels.describe(method).info
    merged = [(name, own) for name, own in models if name != base or method == "slerp"]
    parameters = {name: value for name, value in shared.items() if name != "int8_mask"}
    for name in sorted({name for _, own in merged for name in own}):
        default = parameters.get(name, info.parameter(name).default)  # type: ignore[union-attr]
        parameters[name] = [own.get(name, default) for _, own in merged]
    in_code = fusion_kernels.merge(
        [folders[name] for name, _ in merged],
        base=folders[base] if base else None,
        method=method,
        parameters=parameters,
        dtype="float32",
    )
    on_disk = weights(tmp_path / "by-recipe")
    assert on_disk.keys() == in_code.keys()
    start, inputs = weights(folders["base"]), [weights(folders[name]) for name, _ in merged]
    for name, tensor in on_disk.items():
        np.testing.assert_array_equal(tensor, in_code[name].numpy(), err_msg=name)
        assert not any(np.array_equal(tensor, one[name]) for one in [start, *inputs]), f"{name} is merely one of them"
    assert all(one.startswith(("parameters.int8_mask", "the elements", "draws")) for one in report.notes), report.notes

    # What is written beside the result is a recipe of the same merge, for mergekit's readers as for ours.
    kept = yaml.safe_load((tmp_path / "by-recipe" / "mergekit_config.yml").read_text())
    assert kept["merge_method"] == method
    sources = {str(path.name): str(path) for path in folders.values()}
    kept["models"] = [{**one, "model": sources[Path(one["model"]).name]} for one in kept["models"]]
    if base:
        kept["base_model"] = sources[Path(kept["base_model"]).name]
    fusion_kernels.merge(kept, output=tmp_path / "again")
    for name, tensor in load_file(tmp_path / "again" / "model.safetensors").items():
        np.testing.assert_array_equal(tensor, on_disk[name], err_msg=name)


def test_every_method_mergekit_has_too_is_written_in_a_recipe_here() -> None:
    ours_alone = {"median", "trimmed_mean"}
    native = {one.name for one in fusion_kernels.methods() if one.info.kind != "matrix"}
    assert native - ours_alone == set(RECIPES)


def test_whole_numbers_stay_whole_in_the_recipe_that_is_kept(folders: dict[str, Path], tmp_path: Path) -> None:
    fusion_kernels.merge([folders["math"], folders["code"]], method="karcher", output=tmp_path / "out")
    assert "max_iter: 10\n" in (tmp_path / "out" / "mergekit_config.yml").read_text()  # mergekit counts with it

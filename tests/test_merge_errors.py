"""What a merge says before anything is published: the file, tensor, model, parameter, and the way out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_models import tiny_checkpoint, weights

import fusion_kernels
from fusion_kernels import _native
from fusion_kernels._native import native


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    base = tiny_checkpoint(tmp_path / "base", 0)
    return [base, *(tiny_checkpoint(tmp_path / name, seed, near=base) for seed, name in enumerate(["math", "code"], 1))]


def refused(models: Any, output: Path, *words: str, error: type[Exception] = ValueError, **options: Any) -> None:
    """The merge raises `error` with all of `words`, plan() lists the same, and nothing appears."""
    beside = sorted(os.listdir(output.parent))
    with pytest.raises(error) as raised:
        fusion_kernels.merge(models, output=output, **options)
    planned = fusion_kernels.plan(models, output=output, **options)
    for word in words:
        assert word in str(raised.value)
        assert word in " ".join(planned.problems)
    assert sorted(os.listdir(output.parent)) == beside


def test_a_gpu_in_a_build_without_kernels(models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = vars(native()) | {"device_kind": lambda: None}
    monkeypatch.setattr(_native, "native", lambda: SimpleNamespace(**engine))
    for device in ("cuda", "cuda:0,1"):
        with pytest.raises(fusion_kernels.DeviceError, match=r"has no GPU kernels.*without nvcc, or with FK_CUDA=OFF"):
            fusion_kernels.merge(models, output=tmp_path / "out", method="linear", weight=1, device=device)
    assert not (tmp_path / "out").exists()


def test_unknown_method(models: list[Path], tmp_path: Path) -> None:
    refused(models, tmp_path / "out", "'tyes'", "Did you mean 'ties'?", method="tyes")


def test_unknown_parameter(models: list[Path], tmp_path: Path) -> None:
    refused(models[1:], tmp_path / "out", "densty", "'density'", method="ties", base=models[0], weight=1, densty=0.5)


def test_value_out_of_range(models: list[Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "ties", "base": models[0], "weight": 1, "density": {"code": 1.5}}
    refused(models[1:], tmp_path / "out", "density", "'code'", "1.5", "[0, 1]", **options)


def test_wrong_number_of_values(models: list[Path], tmp_path: Path) -> None:
    refused(models[1:], tmp_path / "out", "3 values for 2 models", method="linear", weight=[1, 2, 3])


def test_no_base_where_one_is_needed(models: list[Path], tmp_path: Path) -> None:
    refused(models, tmp_path / "out", "ties", "base", method="ties", weight=1)


def test_too_few_and_too_many_models(models: list[Path], tmp_path: Path) -> None:
    refused([models[0]], tmp_path / "out", "slerp", "2 models", "got 1", method="slerp", base=models[0], t=0.5)
    refused(models, tmp_path / "out", "slerp", "2 models", "got 3", method="slerp", base=models[0], t=0.5)
    refused([models[0]], tmp_path / "out", "ties", "got 0", method="ties", base=models[0], weight=1)
    refused([], tmp_path / "out", "linear", "got 0", method="linear", weight=1)


def test_shapes_and_missing_tensors_are_listed_together(models: list[Path], tmp_path: Path) -> None:
    tensors = weights(models[1])
    tensors["layer.0.bias"] = np.zeros(9, np.float32)
    del tensors["head.weight"]
    save_file(tensors, models[1] / "model.safetensors")
    words = ("layer.0.bias", "[9]", "[8]", "head.weight", "missing", "'math'", "2 problems")
    with pytest.raises(ValueError) as raised:
        fusion_kernels.merge(models, method="linear", weight=1, output=tmp_path / "out")
    assert all(word in str(raised.value) for word in words)
    assert len(fusion_kernels.plan(models, method="linear", weight=1).problems) == 2


def test_a_model_that_is_not_there(models: list[Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "linear", "weight": 1, "error": FileNotFoundError}
    refused([models[0], tmp_path / "nowhere"], tmp_path / "out", "nowhere", **options)


def test_not_a_number_in_the_result(models: list[Path], tmp_path: Path) -> None:
    tensors = weights(models[1])
    tensors["layer.0.bias"][:] = 3e38
    save_file(tensors, models[1] / "model.safetensors")
    options: dict[str, Any] = {"method": "linear", "weight": 1, "normalize": False, "output": tmp_path / "out"}
    with pytest.raises(ValueError, match=r"layer\.0\.bias"):
        fusion_kernels.merge([models[1], models[1]], **options)
    assert sorted(os.listdir(tmp_path)) == ["base", "code", "math"]
    fusion_kernels.merge([models[1], models[1]], allow_nonfinite=True, **options)
    assert np.isinf(weights(tmp_path / "out")["layer.0.bias"]).all()


def test_unequal_integers_publish_nothing(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2)):
        tensors = {"w": np.ones(3, np.float32), "count": np.array([value])}
        save_file(tensors, tmp_path / f"{name}.safetensors")
    models = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    with pytest.raises(ValueError, match="count"):
        fusion_kernels.merge(models, method="linear", weight=1, output=tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["a.safetensors", "b.safetensors"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "cuda"}, "is not available: this build"),
        ({"device": "gpu"}, "unknown device"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
        ({"dtype": "int8"}, "int8"),
        ({"dtype": "bfloat"}, "Did you mean"),
        ({"preset": "papr"}, "'paper'"),
        ({"memory_limit": "many"}, "memory_limit"),
        ({"max_shard_size": "5 things"}, "max_shard_size"),
        ({"on_unequal_integers": "bse"}, "'base'"),
        ({"overrides": {"seed": 1}}, "recipe"),
        ({"parameters": [1]}, "parameters"),
    ],
)
def test_arguments_of_merge(models: list[Path], tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, fusion_kernels.DeviceError), match=words):
        fusion_kernels.merge(models, **{"method": "linear", "weight": 1, "output": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


def test_models_of_the_wrong_kind(models: list[Path]) -> None:
    with pytest.raises(ValueError, match="sequence or mapping"):
        fusion_kernels.merge(str(models[0]), method="linear", weight=1)
    with pytest.raises(ValueError, match="holds the tensor 'w'"):
        fusion_kernels.merge({"w": np.ones(3)}, method="linear", weight=1)
    with pytest.raises(ValueError, match="method="):
        fusion_kernels.merge(models, weight=1)


def test_a_recipe_s_own_arguments_change_through_overrides(models: list[Path], tmp_path: Path) -> None:
    recipe = {
        "merge_method": "linear",
        "models": [{"model": str(model)} for model in models],
        "parameters": {"weight": 1},
    }
    with pytest.raises(ValueError, match="overrides"):
        fusion_kernels.merge(recipe, method="ties")
    overrides = {"parameters": {"weight": [1, 0, 0]}, "dtype": "float16"}
    fusion_kernels.merge(recipe, overrides=overrides, output=tmp_path / "out")
    np.testing.assert_array_equal(
        weights(tmp_path / "out")["layer.0.bias"], weights(models[0])["layer.0.bias"].astype(np.float16)
    )


def test_typed_options_win_over_the_recipe_and_untyped_ones_do_not(models: list[Path], tmp_path: Path) -> None:
    recipe = fusion_kernels.Recipe.parse(
        {
            "merge_method": "linear",
            "models": [{"model": str(model)} for model in models],
            "parameters": {"weight": 1},
            "seed": 5,
            "preset": "paper",
            "dtype": "bfloat16",
        }
    )
    kept = fusion_kernels.merge(recipe, output=tmp_path / "kept")
    assert (kept.seed, kept.preset, kept.dtype) == (5, "paper", "bfloat16")
    typed = fusion_kernels.merge(
        recipe, output=tmp_path / "typed", seed=0, preset="mergekit", dtype="float32", weight=2
    )
    assert (typed.seed, typed.preset, typed.dtype) == (0, "mergekit", "float32")
    assert typed.parameters["weight"] == {"base": 2.0, "math": 2.0, "code": 2.0}


FULL = """
import resource, sys
import fusion_kernels
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
try:
    fusion_kernels.merge(["base", "math"], method="linear", weight=1, output="out", model_card=False)
except OSError as error:
    print(error)
"""


def test_files_that_cannot_grow_publish_nothing(models: list[Path], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "model.safetensors" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["base", "code", "math"]


def test_an_empty_output_is_not_the_working_directory(models: list[Path]) -> None:
    with pytest.raises(ValueError, match="empty text"):
        fusion_kernels.merge(models, method="linear", weight=1, output="")


TORCHLESS = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("torch must not be imported")
sys.meta_path.insert(0, Refuse())
import fusion_kernels
report = fusion_kernels.merge("recipe.yml", output="out")
assert report.tensors == 4, report
try:
    fusion_kernels.merge("recipe.yml")
except ImportError as error:
    print(error)
"""


def test_a_recipe_merges_without_torch(models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "recipe.yml").write_text(
        "merge_method: ties\nbase_model: ./base\nparameters: {weight: 1, density: 0.5}\n"
        "models: [{model: ./math}, {model: ./code}]\n"
    )
    done = subprocess.run([sys.executable, "-c", TORCHLESS], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert weights(tmp_path / "out").keys() == weights(models[0]).keys()
    assert "output=" in done.stdout

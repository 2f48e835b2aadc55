"""What a method written in Python may return, and what becomes of everything else, exceptions included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_method_makers import register, register_function
from safetensors.torch import load_file, save_file
from tiny_models import tiny_checkpoint, weights

import fusion_kernels
from fusion_kernels import merge_tensors

pytestmark = pytest.mark.usefixtures("own_methods")


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    base = tiny_checkpoint(tmp_path / "base", 0)
    return [base, *(tiny_checkpoint(tmp_path / name, seed, near=base) for seed, name in enumerate(["math", "code"], 1))]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: None, r"must return one torch tensor, got nothing \(None\)"),
        (lambda x: [x], "must return one torch tensor, got a list"),
        (lambda x: x.numpy(), "must return one torch tensor, got a ndarray"),
        (lambda x: x[0], r"must have the inputs' shape \[32, 8\], got \[8\]"),
        (lambda x: x.T, r"must have the inputs' shape \[32, 8\], got \[8, 32\]"),
        (lambda x: x > 0, "must be a dense floating-point tensor, got 'torch.bool'"),
        (lambda x: x.long(), "must be a dense floating-point tensor, got 'torch.int64'"),
        (lambda x: x.to_sparse(), "must be a dense floating-point tensor.*layout torch.sparse_coo"),
        (lambda x: x.to("meta"), "must be a dense floating-point tensor.*on meta"),
    ],
)
def test_another_result_is_refused(models: list[Path], tmp_path: Path, result: Any, message: str) -> None:
    register_function(lambda tensors, base, info: result(tensors[0]) if info.name == "head.weight" else tensors[0])
    with pytest.raises(ValueError, match=f"method 'mine': tensor 'head.weight': the .*{message}"):
        fusion_kernels.merge(models, method="mine", output=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "code", "math"]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("no mass"), ValueError, "method 'mine': tensor 'head.weight': no mass"),
        (KeyError("t"), ValueError, "method 'mine': tensor 'head.weight': KeyError: 't'"),
        (RuntimeError("svd failed"), ValueError, "method 'mine': tensor 'head.weight': RuntimeError: svd failed"),
        (AssertionError(), ValueError, "method 'mine': tensor 'head.weight': AssertionError"),
        (NotImplementedError("2-d only"), NotImplementedError, "method 'mine': tensor 'head.weight': 2-d only"),
        (FileNotFoundError(2, "none", "masks.pt"), OSError, "tensor 'head.weight': .*masks.pt"),
        (MemoryError(), MemoryError, "tensor 'head.weight'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_exception_names_method_and_tensor(
    models: list[Path], tmp_path: Path, error: Exception, kind: type[Exception], message: str
) -> None:
    def fail(tensors, base, info):
        if info.name == "head.weight":
            raise error
        return tensors[0]

    register_function(fail)
    with pytest.raises(kind, match=message) as caught:
        fusion_kernels.merge(models, method="mine", output=tmp_path / "out")
    assert caught.value.__cause__ is error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "code", "math"]


def test_nan_from_finite_inputs_stops_the_merge(models: list[Path], tmp_path: Path) -> None:
    def divide(tensors, base, info):
        return tensors[0] / (0 if info.name == "layer.0.bias" else 1)

    register_function(divide)
    with pytest.raises(ValueError, match=r"method 'mine': tensor 'layer.0.bias': 8 values of the result are NaN"):
        fusion_kernels.merge(models, method="mine", output=tmp_path / "out")
    fusion_kernels.merge(models, method="mine", output=tmp_path / "out", allow_nonfinite=True)
    assert not np.isfinite(weights(tmp_path / "out")["layer.0.bias"]).any()


def test_overflow_of_the_output_stops_the_merge() -> None:
    register_function(lambda tensors, base, info: tensors[0] * 1e6)
    with pytest.raises(ValueError, match=r"tensor 'w'.*infinite in F16.*method 'mine'"):
        merge_tensors([torch.ones(3)], method="mine", dtype="float16", name="w")


def test_nan_in_an_input_is_merged_and_noted(models: list[Path], tmp_path: Path) -> None:
    state = load_file(models[1] / "model.safetensors")
    state["layer.0.bias"][2] = float("nan")
    save_file(state, models[1] / "model.safetensors")
    register()
    report = fusion_kernels.merge(models[1:], method="mine", output=tmp_path / "out")
    assert np.isnan(weights(tmp_path / "out")["layer.0.bias"]).tolist() == [False, False, True] + [False] * 5
    assert any("1 values of the inputs are NaN" in note and "layer.0.bias" in note for note in report.notes)


def test_saturation_is_noted(models: list[Path], tmp_path: Path) -> None:
    register_function(lambda tensors, base, info: tensors[0] * 0 + 1000)
    report = fusion_kernels.merge(models, method="mine", output=tmp_path / "out", dtype="float8_e4m3fn")
    assert any("stored as its largest" in note for note in report.notes)

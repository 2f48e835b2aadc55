"""What the operations take, and what they say to what they do not."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ops_tensors import random_tensors

import fusion_kernels
from fusion_kernels import ops
from fusion_kernels.ops import _backend

X = torch.ones(2, 3)
SIGNS = torch.ones(2, 3, dtype=torch.int8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.gram([X, torch.ones(3, 2)]), ["tensors[1] has shape [3, 2]", "tensors[0] has [2, 3]"]),
        (lambda: ops.gram([X, np.ones((2, 3))]), ["tensors[1]", "torch tensor", "ndarray"]),
        (lambda: ops.gram([X, SIGNS]), ["tensors[1] has dtype torch.int8", "torch.float32"]),
        (lambda: ops.gram([]), ["tensors: at least one"]),
        (lambda: ops.gram(torch.ones(0, 3)), ["tensors: at least one"]),
        (lambda: ops.gram(torch.tensor(1.0)), ["tensors", "models first", "scalar"]),
        (lambda: ops.gram({"a": X}), ["tensors", "list", "dict"]),
        (lambda: ops.gram([X.to_sparse()]), ["tensors[0] has layout torch.sparse_coo", "to_dense"]),
        (lambda: ops.gram([X], base=torch.ones(6)), ["base has shape [6]", "tensors[0] has [2, 3]"]),
        (lambda: ops.norms([X], p=3), ["p: 1 or 2", "3"]),
        (lambda: ops.norms([X], p=True), ["p: 1 or 2", "True"]),
        (lambda: ops.norms([X], per="rows"), ["per is one of tensor, row", "'rows'", "Did you mean 'row'"]),
        (lambda: ops.linear_combination([X, X], [1.0]), ["coefficients has 1 numbers", "2"]),
        (lambda: ops.linear_combination([X, X], [1.0, "2"]), ["coefficients[1]", "number", "'2'"]),
        (lambda: ops.linear_combination([X, X], [1.0, torch.tensor(2.0)]), ["coefficients[1]", "torch.stack"]),
        (lambda: ops.linear_combination([X, X], torch.ones(3)), ["coefficients has shape [3]", "[2]"]),
        (lambda: ops.linear_combination([X], torch.ones(1, dtype=torch.bool)), ["coefficients", "torch.bool"]),
        (lambda: ops.linear_combination([X], 1.0), ["coefficients", "list of numbers", "float"]),
        (lambda: ops.linear_combination([X], [1.0], dtype=torch.int32), ["dtype", "torch.float32", "torch.int32"]),
        (lambda: ops.linear_combination([X], [1.0], dtype="float32"), ["dtype", "'float32'"]),
        (lambda: ops.trimmed_mean([X], 0.6), ["trim", "0 to 0.5", "0.6"]),
        (lambda: ops.elect_sign([X], by="vote"), ["by is one of sum, count", "'vote'"]),
        (lambda: ops.elect_sign([X, X], [1.0]), ["weights has 1 numbers", "2"]),
        (lambda: ops.disjoint_mean([X], X), ["signs", "torch.int8", "torch.float32"]),
        (lambda: ops.disjoint_mean([X], SIGNS[0]), ["signs has shape [3]", "deltas[0] has [2, 3]"]),
        (lambda: ops.magnitude_threshold(X, 1.5), ["density", "0 to 1", "1.5"]),
        (lambda: ops.magnitude_threshold(X, float("nan")), ["density", "nan"]),
        (lambda: ops.magnitude_threshold([X], 0.5), ["delta", "torch tensor", "list"]),
        (lambda: ops.sparsify_magnitude(X), ["density", "threshold", "one of the two"]),
        (lambda: ops.sparsify_magnitude(X, 0.5, threshold=1.0), ["density", "threshold", "one of the two"]),
        (lambda: ops.sparsify_magnitude(X, threshold=-1.0), ["threshold", "at least 0", "-1.0"]),
        (lambda: ops.sparsify_magnitude(X, threshold=torch.ones(3), per="row"), ["threshold has shape [3]", "[2]"]),
        (lambda: ops.sparsify_magnitude(X, threshold=(torch.ones(2),) * 2), ["threshold", "pair", "scalar"]),
        (lambda: ops.sparsify_random(X, 0.5, seed=-1), ["seed", "[0, 2^64)", "-1"]),
        (lambda: ops.sparsify_random(X, 0.5, seed=1.0), ["seed", "integer", "1.0"]),
        (lambda: ops.sparsify_random(X, 0.5, seed=0, model=-1), ["model", "-1"]),
        (lambda: ops.sparsify_random(X, 0.5, seed=0, name=3), ["name", "text", "int"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(call: Any, words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def fake(device: str) -> torch.Tensor:
    """A tensor that is said to be on a device."""
    with torch._subclasses.FakeTensorMode():
        return torch.empty(3, device=device)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (None, "this build has no GPU kernels"),
        ("emulated", "this build has kernels for the device 'emulated' alone"),
    ],
)
def test_a_gpu_is_refused_where_the_build_has_no_kernels_for_it(
    kind: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_backend, "native", lambda: SimpleNamespace(device_kind=lambda: kind))
    with pytest.raises(fusion_kernels.DeviceError, match=rf"tensors.0. is on cuda:0.*{why}.*move it to the CPU"):
        ops.gram([fake("cuda:0")])
    with pytest.raises(fusion_kernels.DeviceError, match="base is on cuda:0"):
        ops.gram([torch.ones(3)], base=fake("cuda:0"))
    with pytest.raises(fusion_kernels.DeviceError, match=r"deltas\[1\] is on cuda:1.*move it to the CPU"):
        ops.elect_sign([torch.ones(3), fake("cuda:1")])


def test_other_devices_are_refused_with_the_way_out() -> None:
    with pytest.raises(fusion_kernels.DeviceError, match=r"tensors.0. is on xpu:0.*no operations on 'xpu'.*the CPU"):
        ops.gram([fake("xpu:0")])


def test_devices_are_not_mixed() -> None:
    with pytest.raises(ValueError, match=r"tensors\[1\] is on meta, but tensors\[0\] on cpu"):
        ops.gram([X, X.to("meta")])
    with pytest.raises(ValueError, match=r"coefficients is on meta, but tensors\[0\] on cpu"):
        ops.linear_combination([X], torch.ones(1, device="meta"))


def test_tensors_on_a_gpu_and_on_the_processor_are_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backend, "native", lambda: SimpleNamespace(device_kind=lambda: "cuda"))
    there = fake("cuda:1")
    with pytest.raises(
        ValueError, match=r"tensors\[1\] is on cpu, but tensors\[0\] on cuda:1; move them to one device"
    ):
        ops.gram([there, torch.ones(3)])
    with pytest.raises(ValueError, match=r"tensors\[1\] is on cuda:0, but tensors\[0\] on cuda:1"):
        ops.gram([there, fake("cuda:0")])
    with pytest.raises(ValueError, match=r"base is on cpu, but tensors\[0\] on cuda:1"):
        ops.norms([there], base=torch.ones(3))
    with pytest.raises(ValueError, match=r"coefficients is on cpu, but tensors\[0\] on cuda:1"):
        ops.linear_combination([there], torch.ones(1))
    with pytest.raises(ValueError, match=r"signs is on cpu, but deltas\[0\] on cuda:1"):
        ops.disjoint_mean([there], torch.ones(3, dtype=torch.int8))
    with pytest.raises(ValueError, match=r"threshold is on cpu, but delta on cuda:1"):
        ops.sparsify_magnitude(there, threshold=(torch.tensor(1.0), torch.tensor(3)))


def test_tensors_without_values_have_results_without_values() -> None:
    found = ops.linear_combination([X.to("meta")], [1.0])
    assert found.is_meta
    assert found.shape == X.shape


def test_tensors_that_are_not_contiguous_are_read_as_they_look() -> None:
    (plain,) = random_tensors(1, 6, 8)
    views = [plain.t(), plain[::2, 1::3], plain[0].expand(5, 8), torch._neg_view(plain), plain.flip(1)[:, :3]]
    for view in views:
        copy = view.resolve_neg().clone(memory_format=torch.contiguous_format)
        other = torch.randn(view.shape[::-1]).t()
        pair, copies = [view, other], [copy, other.contiguous()]
        assert torch.equal(ops.gram(pair), ops.gram(copies))
        assert torch.equal(ops.norms(pair, per="row"), ops.norms(copies, per="row"))
        assert torch.equal(ops.linear_combination(pair, [0.5, 2.0]), ops.linear_combination(copies, [0.5, 2.0]))
        assert torch.equal(ops.sparsify_magnitude(view, 0.5), ops.sparsify_magnitude(copy, 0.5))
        assert torch.equal(ops.sparsify_random(view, 0.5, seed=1), ops.sparsify_random(copy, 0.5, seed=1))
        signs = ops.elect_sign(pair)
        assert torch.equal(signs, ops.elect_sign(copies))
        assert torch.equal(ops.disjoint_mean(pair, signs.t().contiguous().t()), ops.disjoint_mean(copies, signs))
        assert torch.equal(ops.trimmed_mean(pair, 0), ops.trimmed_mean(copies, 0))
    assert ops.linear_combination([plain.t()], [1.0]).is_contiguous()


def test_a_stacked_tensor_is_its_models() -> None:
    tensors = random_tensors(3, 4, 5)
    stacked = torch.stack(tensors)
    assert torch.equal(ops.gram(stacked), ops.gram(tensors))
    assert torch.equal(ops.gram(stacked.transpose(0, 1)), ops.gram([x.contiguous() for x in stacked.unbind(1)]))
    assert torch.equal(ops.elect_sign(tuple(tensors)), ops.elect_sign(stacked))


def test_inputs_are_left_as_they_were() -> None:
    tensors = random_tensors(3, 100)
    before = [tensor.clone() for tensor in tensors]
    signs = ops.elect_sign(tensors)
    ops.disjoint_mean(tensors, signs)
    ops.linear_combination(tensors, [1.0, 2.0, 3.0], base=tensors[0])
    ops.sparsify_magnitude(tensors[0], 0.5)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors, before, strict=True))


def test_torch_s_default_device_does_not_matter() -> None:
    tensors = random_tensors(2, 10)
    expected = ops.linear_combination(tensors, [0.5, 2.0]), ops.sparsify_magnitude(tensors[0], threshold=0.5)
    with torch.device("meta"):
        found = ops.linear_combination(tensors, [0.5, 2.0]), ops.sparsify_magnitude(tensors[0], threshold=0.5)
        assert ops.norms(tensors, per="row").device.type == "cpu"
    assert all(torch.equal(left, right) for left, right in zip(found, expected, strict=True))


def test_ops_are_loaded_when_they_are_asked_for() -> None:
    script = (
        "import sys, fusion_kernels\n"
        "assert 'ops' in dir(fusion_kernels) and 'torch' not in sys.modules\n"
        "fusion_kernels.ops.gram\n"
        "assert 'torch' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_torch_there_is_a_way_out() -> None:
    script = (
        "import sys\nsys.modules['torch'] = None\nimport fusion_kernels\n"
        "try:\n    fusion_kernels.ops\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "torch is not installed; install fusion_kernels[torch]" in done.stdout, done.stderr

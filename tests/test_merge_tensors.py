"""merge_tensors: the engine on tensors in memory, whatever library they come from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fusion_kernels import merge_tensors
from fusion_kernels.tensors import workspace_bytes

SHAPES = [(), (1,), (0,), (5,), (3, 7), (0, 4), (2, 3, 5), (64, 1000)]


def arrays(count: int, shape: tuple[int, ...] = (33, 65), dtype: Any = np.float32) -> list[np.ndarray]:
    rng = np.random.default_rng(count * 1000 + sum(shape))
    return [rng.standard_normal(shape).astype(dtype) for _ in range(count)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_mean_of_any_shape_comes_back_in_the_inputs_library(library: str, shape: tuple[int, ...]) -> None:
    a, b = arrays(2, shape)
    given: list[Any] = [a, b] if library == "numpy" else [torch.from_numpy(a), torch.from_numpy(b)]
    merged = merge_tensors(given, method="linear", weight=1)
    assert isinstance(merged, np.ndarray if library == "numpy" else torch.Tensor)
    assert tuple(merged.shape) == shape
    # Two terms and an exact division by two: nothing is left to rounding.
    np.testing.assert_array_equal(np.asarray(merged), (a + b) / 2)


def test_task_arithmetic_adds_weighted_differences() -> None:
    base, a, b = (x.astype(np.float64) for x in arrays(3))
    merged = merge_tensors([a, b], method="task_arithmetic", base=base, weight=[0.25, -0.5], lambda_=2.0)
    np.testing.assert_allclose(merged, base + 2 * (0.25 * (a - base) - 0.5 * (b - base)), rtol=1e-12, atol=1e-12)


def test_ties_by_hand() -> None:
    base = np.zeros(4, dtype=np.float32)
    a = np.array([4.0, -3.0, 0.5, 0.25], dtype=np.float32)
    b = np.array([-1.0, -5.0, 6.0, 0.125], dtype=np.float32)
    # density 0.5 keeps the two largest of each: a -> [4, -3, 0, 0], b -> [0, -5, 6, 0]
    # elected signs +, -, +, and the means of those that agree are 4, -4, 6
    merged = merge_tensors([a, b], method="ties", base=base, weight=1, density=0.5)
    np.testing.assert_array_equal(merged, [4.0, -4.0, 6.0, 0.0])


def test_slerp_starts_at_the_base_or_else_at_the_first() -> None:
    a, b = np.array([1.0, 0.0], dtype=np.float32), np.array([0.0, 1.0], dtype=np.float32)
    half = math.sqrt(0.5)
    np.testing.assert_allclose(merge_tensors([a, b], method="slerp", t=0.5), [half, half], rtol=1e-6)
    third = [math.sin(2 / 3 * math.pi / 2), math.sin(1 / 3 * math.pi / 2)]
    for tensors, base in (([a, b], None), ([b], a), ([a, b], a), ([b, a], a)):
        merged = merge_tensors(tensors, method="slerp", base=base, t=1 / 3)
        np.testing.assert_allclose(merged, third, rtol=1e-6)


def test_passthrough_scales() -> None:
    (a,) = arrays(1)
    np.testing.assert_array_equal(merge_tensors([a], method="passthrough", scale=0.5), a * np.float32(0.5))


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ([torch.bfloat16, torch.bfloat16], torch.bfloat16),
        ([torch.float16, torch.float16], torch.float16),
        ([torch.bfloat16, torch.float16], torch.float32),
        ([torch.float8_e4m3fn, torch.float8_e4m3fn], torch.float8_e4m3fn),
        ([torch.float8_e5m2, torch.bfloat16], torch.bfloat16),
        ([torch.float32, torch.float64], torch.float64),
    ],
    ids=str,
)
def test_formats_of_torch_mix_and_the_result_has_their_common_one(
    dtypes: list[torch.dtype], expected: torch.dtype
) -> None:
    # Small multiples of a half are exact in every format, so are their means.
    values = [torch.tensor([1.0, -2.0, 0.5, 4.0]), torch.tensor([3.0, 2.0, 1.5, -4.0])]
    given = [value.to(dtype) for value, dtype in zip(values, dtypes, strict=True)]
    merged = merge_tensors(given, method="linear", weight=1)
    assert merged.dtype == expected
    assert merged.to(torch.float32).tolist() == [2.0, 0.0, 1.0, 0.0]


def test_the_base_counts_for_the_common_dtype() -> None:
    model = torch.ones(3, dtype=torch.bfloat16)
    base = torch.ones(3, dtype=torch.float32)
    assert merge_tensors([model], method="task_arithmetic", base=base, weight=1).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, "float16", "fp16", "F16", np.float16, np.dtype("float16")])
def test_the_dtype_asked_for_may_be_named_in_any_way(dtype: Any) -> None:
    merged = merge_tensors([torch.ones(2), torch.ones(2)], method="linear", weight=1, dtype=dtype)
    assert merged.dtype == torch.float16


def test_the_output_dtype_never_rounds_the_inputs() -> None:
    # 1 + 2^-10 is lost in bf16 (8 bits); the difference of the inputs is not.
    a, b = torch.full((4,), 1 + 2.0**-10), torch.full((4,), 1.0)
    merged = merge_tensors([a, b], method="linear", weight=[1, -1], normalize=False, dtype="bfloat16")
    assert merged.tolist() == [2.0**-10] * 4


def test_numpy_without_bf16_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"numpy has no bfloat16: give dtype='float32'"):
        merge_tensors(arrays(2), method="linear", weight=1, dtype="bfloat16")


def test_per_model_values_by_name_or_position() -> None:
    a, b = arrays(2, (10,), np.float64)
    by_name = merge_tensors({"math": a, "code": b}, method="linear", weight={"code": 3, "math": 1})
    np.testing.assert_array_equal(by_name, merge_tensors([a, b], method="linear", weight=[1, 3]))
    with pytest.raises(ValueError, match=r"weight has 3 values for 2 models \(tensors\[0\], tensors\[1\]\)"):
        merge_tensors([a, b], method="linear", weight=[1, 2, 3])


def test_tensors_of_a_graph_are_used_as_they_are() -> None:
    a = torch.nn.Parameter(torch.ones(4))
    b = torch.ones(4, requires_grad=True) * 3
    merged = merge_tensors([a, b], method="linear", weight=1)
    assert not merged.requires_grad
    assert merged.tolist() == [2.0] * 4


def test_gaps_and_orders_in_memory_do_not_matter() -> None:
    a, b = arrays(2, (6, 8))
    expected = merge_tensors([a, b], method="linear", weight=1)
    np.testing.assert_array_equal(merge_tensors([np.asfortranarray(a), b[:, :]], method="linear", weight=1), expected)
    wide = np.repeat(a, 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    np.testing.assert_array_equal(merge_tensors([wide, b], method="linear", weight=1), expected)
    transposed = torch.from_numpy(np.ascontiguousarray(a.T)).T
    merged = merge_tensors([transposed, torch.from_numpy(b)], method="linear", weight=1)
    np.testing.assert_array_equal(merged.numpy(), expected)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_out_is_filled_and_returned(library: str) -> None:
    given: list[Any] = arrays(2)
    if library == "torch":
        given = [torch.from_numpy(one) for one in given]
    out = np.full((33, 65), np.nan, np.float32) if library == "numpy" else torch.full((33, 65), math.nan)
    assert merge_tensors(given, method="linear", weight=1, out=out) is out
    np.testing.assert_array_equal(np.asarray(out), np.asarray(merge_tensors(given, method="linear", weight=1)))


def test_an_out_that_does_not_fit_is_refused_untouched() -> None:
    given = [torch.ones(4, 6), torch.ones(4, 6)]

    def refused(out: Any, error: type[Exception] = ValueError) -> str:
        with pytest.raises(error) as caught:
            merge_tensors(given, method="linear", weight=1, out=out)
        return str(caught.value)

    assert "out has shape [6, 4], the result has [4, 6]" in refused(torch.zeros(6, 4))
    assert "out has dtype F16, the result F32; give dtype='float16'" in refused(torch.zeros(4, 6, dtype=torch.float16))
    assert "not contiguous" in refused(torch.zeros(6, 4).T)
    assert "requires grad" in refused(torch.zeros(4, 6, requires_grad=True))
    assert "a torch tensor is expected" in refused(np.zeros((4, 6), np.float32))
    assert "a torch tensor is expected" in refused([0] * 24)
    assert "out shares memory with tensors[1]" in refused(given[1])
    read_only = np.zeros(3, np.float32)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        merge_tensors([np.ones(3, np.float32)], method="passthrough", out=read_only)


@pytest.mark.parametrize(
    "make",
    [
        lambda size: torch.empty(size, dtype=torch.uint8),
        lambda size: np.empty(size, dtype=np.uint8),
        bytearray,
        lambda size: memoryview(bytearray(size)),
    ],
    ids=["torch", "numpy", "bytearray", "memoryview"],
)
def test_the_caller_may_own_the_workspace(make: Callable[[int], Any]) -> None:
    base, a, b = arrays(3, (300, 300))
    options: dict[str, Any] = {"method": "ties", "base": base, "weight": 1, "density": 0.3, "threads": 2}
    needed = workspace_bytes([a, b], **options)
    assert needed > 0
    merged = merge_tensors([a, b], workspace=make(needed), **options)
    np.testing.assert_array_equal(merged, merge_tensors([a, b], **options))
    with pytest.raises(ValueError, match=f"workspace has {needed - 1} bytes, this call needs {needed}"):
        merge_tensors([a, b], workspace=make(needed - 1), **options)


def test_a_workspace_that_cannot_be_written_is_refused() -> None:
    (a,) = arrays(1, (3,))
    for workspace in (b"x" * 100, "text", 7, np.zeros(10**6, np.uint8)[::2], torch.zeros(4, 6).T):
        with pytest.raises(ValueError, match="workspace: writable contiguous memory is expected"):
            merge_tensors([a], method="passthrough", workspace=workspace)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_show_in_the_result(threads: int) -> None:
    base, a, b = arrays(3, (257, 513))
    options: dict[str, Any] = {"method": "ties", "base": base, "weight": [0.3, 0.7], "density": 0.2}
    expected = merge_tensors([a, b], **options)
    np.testing.assert_array_equal(merge_tensors([a, b], threads=threads, **options), expected)


@pytest.mark.parametrize(
    ("tensors", "options", "says"),
    [
        ([np.ones(3), np.ones(4)], {}, "tensors[1] has shape [4], but tensors[0] has [3]"),
        ([np.ones((2, 3)), np.ones((3, 2))], {}, "tensors[1] has shape [3, 2], but tensors[0] has [2, 3]"),
        ([], {}, "linear: at least 1 tensor is needed, got none"),
        ([np.ones(3)], {"method": "slerp", "t": 0.5}, "slerp: exactly 2 tensors are needed (the base included), got 1"),
        ([np.ones(3)] * 2, {"method": "passthrough"}, "passthrough: exactly 1 tensor is needed, got 2"),
        ([np.ones(3)], {"method": "ties"}, "ties needs base=, the tensor the others started from"),
        ([np.ones(3)], {"base": np.ones(3)}, "linear takes no base"),
        ([np.ones(3)], {"method": "ties", "base": np.ones(4)}, "base has shape [4], but tensors[0] has [3]"),
        ([np.ones(3, int)], {}, "tensors[0] has dtype I64; only floating-point tensors are merged"),
        ([np.ones(3, complex)], {}, "tensors[0]"),
        ([[1.0, 2.0]], {}, "tensors[0]"),
        (np.ones((2, 3)), {}, "a list of tensors, one per model, is expected, got a ndarray"),
        (torch.ones(2, 3), {}, "a list of tensors, one per model, is expected, got a Tensor"),
        ("ab", {}, "a list of tensors, one per model, is expected, got a str"),
        ([torch.ones(3), np.ones(3)], {}, "tensors[1] is a numpy array among torch tensors"),
        ({"base": np.ones(3)}, {}, "a model's name must be text other than 'base'"),
        ([torch.ones(3, device="meta")], {}, "meta device"),
        ([torch.eye(3).to_sparse()], {}, "sparse"),
        ([np.ones(3)], {"threads": 0}, "threads: an integer of at least 1"),
        ([np.ones(3)], {"seed": -1}, "seed: an integer in [0, 2^64)"),
        ([np.ones(3)], {"dtype": "int8"}, "dtype: 'int8' is no format"),
        ([np.ones(3)], {"dtype": "flaot32"}, "Did you mean 'float32'?"),
        ([np.ones(3)], {"wieght": 1}, "Did you mean 'weight'?"),
        ([np.ones(3)], {"method": "lienar"}, "Did you mean 'linear'?"),
        ([np.ones(3)], {"preset": "papre"}, "Did you mean 'paper'?"),
    ],
)
def test_what_cannot_be_merged_is_named(tensors: Any, options: dict[str, Any], says: str) -> None:
    options = {"method": "linear", **options}
    if options["method"] in ("linear", "ties") and "wieght" not in options:
        options["weight"] = 1
    with pytest.raises(ValueError) as caught:
        merge_tensors(tensors, **options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_non_finite_result_from_finite_inputs_names_the_tensor() -> None:
    huge = np.full(10, 6e4, np.float16)
    with pytest.raises(ValueError, match=r"model\.norm"):
        merge_tensors([huge, huge], method="linear", weight=1, normalize=False, name="model.norm")


def test_what_comes_later_is_refused_by_name() -> None:
    one = np.ones(3, np.float32)
    with pytest.raises(NotImplementedError, match="'nearswap' is not available yet"):
        merge_tensors([one], method="nearswap", base=one)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0)])
def test_della_of_nothing_is_nothing(shape: tuple[int, ...]) -> None:
    """There is no row to rank."""
    models = [torch.empty(shape) for _ in range(2)]
    merged = merge_tensors(models, base=torch.empty(shape), method="della", weight=1, density=0.5)
    assert merged.shape == shape

"""Merging tensors that are in memory, to memory or to disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny_checkpoint, weights

import fusion_kernels


def state(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes: list[tuple[int, ...]] = [(5, 3), (7,), (), (0,), (2, 3, 4)]
    return {f"t{index}": torch.randn(shape, generator=generator).to(dtype) for index, shape in enumerate(shapes)}


def test_state_dicts_in_and_out() -> None:
    one, two = state(1), state(2)
    merged = fusion_kernels.merge([one, two], method="linear", weight=[1, 3])
    assert list(merged) == list(one)
    for name, tensor in merged.items():
        assert tensor.shape == one[name].shape
        torch.testing.assert_close(tensor, (one[name] + 3 * two[name]) / 4, rtol=1e-6, atol=1e-7)


def test_inputs_are_not_touched_and_the_result_is_new() -> None:
    one, two = state(1), state(2)
    before = {name: tensor.clone() for name, tensor in one.items()}
    merged = fusion_kernels.merge({"one": one, "two": two}, method="linear", weight={"one": 1, "two": 1})
    merged["t0"].zero_()
    assert all(torch.equal(before[name], one[name]) for name in one)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((torch.bfloat16, torch.bfloat16), torch.bfloat16),
        ((torch.bfloat16, torch.float16), torch.float32),
        ((torch.float16, torch.float64), torch.float64),
        ((torch.float8_e4m3fn, torch.bfloat16), torch.bfloat16),
    ],
)
def test_without_dtype_the_result_holds_every_input(
    dtypes: tuple[torch.dtype, torch.dtype], expected: torch.dtype
) -> None:
    merged = fusion_kernels.merge([state(1, dtypes[0]), state(2, dtypes[1])], method="linear", weight=1)
    assert {tensor.dtype for tensor in merged.values()} == {expected}


def test_dtype_rounds_the_result_and_never_the_inputs() -> None:
    """1 + 2^-10 is not a bfloat16; four of them rounded first would sum to exactly 4."""
    one = {"w": torch.tensor([1 + 2**-7 + 2**-9], dtype=torch.float32)}
    two = {"w": torch.tensor([1 + 2**-9 + 2**-10], dtype=torch.float32)}
    merged = fusion_kernels.merge([one, two], method="linear", weight=1, normalize=False, dtype=torch.bfloat16)
    assert merged["w"].dtype == torch.bfloat16
    assert merged["w"].item() == (one["w"] + two["w"]).to(torch.bfloat16).item()
    assert merged["w"].item() != (one["w"].bfloat16() + two["w"].bfloat16()).item()


def test_passthrough_with_scale_one_copies_bytes() -> None:
    odd = torch.tensor([float("nan"), float("inf"), -0.0, 1.5]).to(torch.bfloat16)
    merged = fusion_kernels.merge([{"w": odd}], method="passthrough")
    assert merged["w"].view(torch.int16).tolist() == odd.view(torch.int16).tolist()
    scaled = fusion_kernels.merge([{"w": odd[2:]}], method="passthrough", scale=2)
    assert scaled["w"].tolist() == [0.0, 3.0]


def test_equal_integers_are_kept_and_unequal_ones_named() -> None:
    one = {"w": torch.ones(2), "steps": torch.tensor([1, 2])}
    same = {"w": torch.zeros(2), "steps": torch.tensor([1, 2])}
    other = {"w": torch.zeros(2), "steps": torch.tensor([1, 3])}
    merged = fusion_kernels.merge([one, same], method="linear", weight=1)
    assert merged["steps"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="steps"):
        fusion_kernels.merge([one, other], method="linear", weight=1)
    kept = fusion_kernels.merge([one, other], method="linear", weight=1, on_unequal_integers="base")
    assert kept["steps"].tolist() == [1, 2]


def test_memory_to_folder_and_folder_to_memory(tmp_path: Path) -> None:
    base = tiny_checkpoint(tmp_path / "base", 0)
    tuned = {name: torch.from_numpy(array) * 2 for name, array in weights(base).items()}
    options: dict[str, Any] = {"method": "task_arithmetic", "weight": 0.5}
    report = fusion_kernels.merge({"tuned": tuned}, base=base, output=tmp_path / "out", **options)
    assert report.parameters["weight"] == {"tuned": 0.5}
    in_memory = fusion_kernels.merge([tuned], base=base, **options)
    for name, array in weights(tmp_path / "out").items():
        np.testing.assert_array_equal(array, in_memory[name].numpy())
        np.testing.assert_allclose(array, 1.5 * weights(base)[name], rtol=1e-6)


def test_numpy_arrays_merge_too() -> None:
    one, two = {"w": np.arange(4, dtype=np.float32)}, {"w": np.ones(4, dtype=np.float32)}
    assert fusion_kernels.merge([one, two], method="linear", weight=1)["w"].tolist() == [0.5, 1.0, 1.5, 2.0]


def test_modules_merge_and_load_their_result() -> None:
    torch.manual_seed(0)
    one, two = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    merged = fusion_kernels.merge([one, two], method="linear", weight=1)
    one.load_state_dict(merged)
    torch.testing.assert_close(one.bias, merged["bias"])


def test_a_tied_head_in_memory_comes_back_tied() -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed_tokens = torch.nn.Embedding(4, 3)
            self.lm_head = torch.nn.Linear(3, 4, bias=False)
            self.lm_head.weight = self.embed_tokens.weight

    one, two = Tied(), Tied()
    merged = fusion_kernels.merge([one, two], method="linear", weight=1)
    assert merged["lm_head.weight"].data_ptr() == merged["embed_tokens.weight"].data_ptr()
    one.load_state_dict(merged)


def test_the_base_listed_among_the_models_is_not_a_fine_tune() -> None:
    base, tuned = state(0), state(1)
    expected = fusion_kernels.merge({"tuned": tuned}, base=base, method="task_arithmetic", weight=1)
    for models, weight in (
        ({"base": base, "tuned": tuned}, {"base": 9.0, "tuned": 1}),
        ({"base": base, "tuned": tuned}, [9.0, 1]),
        ([base, tuned], 1),
    ):
        merged = fusion_kernels.merge(models, base=base, method="task_arithmetic", weight=weight)
        assert all(torch.equal(merged[name], expected[name]) for name in merged)
    by_name = fusion_kernels.merge({"base": base, "tuned": tuned}, base="base", method="task_arithmetic", weight=1)
    assert all(torch.equal(by_name[name], expected[name]) for name in by_name)


def test_slerp_runs_from_the_base_to_the_other_whatever_the_listing() -> None:
    start, end = state(1), state(2)
    for models in ([end], [start, end], [end, start]):
        merged = fusion_kernels.merge(models, base=start, method="slerp", t=0.0)
        torch.testing.assert_close(merged["t0"], start["t0"])


def test_parameters_by_mapping_and_by_name() -> None:
    one, two = state(1), state(2)
    by_name = fusion_kernels.merge([one, two], base=state(0), method="task_arithmetic", weight=1, lambda_=0.5)
    mapped = fusion_kernels.merge(
        [one, two], base=state(0), method="task_arithmetic", parameters={"weight": 1, "lambda": 0.5}
    )
    assert all(torch.equal(by_name[name], mapped[name]) for name in mapped)
    with pytest.raises(ValueError, match="weight is given twice"):
        fusion_kernels.merge([one, two], method="linear", parameters={"weight": 1}, weight=2)
    with pytest.raises(ValueError, match="lambda is given twice"):
        fusion_kernels.merge([one], base=two, method="task_arithmetic", parameters={"lambda": 1}, lambda_=2, weight=1)


def test_non_finite_results_are_refused_unless_allowed() -> None:
    one = {"w": torch.tensor([3e38, 1.0])}
    with pytest.raises(ValueError, match="'w'"):
        fusion_kernels.merge([one, one], method="linear", weight=1, normalize=False)
    kept = fusion_kernels.merge([one, one], method="linear", weight=1, normalize=False, allow_nonfinite=True)
    assert kept["w"].tolist() == [float("inf"), 2.0]

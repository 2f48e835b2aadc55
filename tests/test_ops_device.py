"""The operations give the same bits on a GPU as on the processor: every format and case.

A build without a GPU runs the kernels on the emulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from cases import BLOCK, MIXED_DTYPES, Case
from emulated_gpus import RANDOM, REVERSE, emulated_gpus, needs_emulator
from ops_devices import AVAILABLE, REAL, WHY_NOT, Emulated, on_gpu
from ops_tensors import CASES, TORCH, all_of, random_tensors

from fusion_kernels import ops

pytestmark = pytest.mark.skipif(not AVAILABLE, reason=WHY_NOT)

CHUNK = 16384  # elements that a block of threads takes at once; rows beyond are searched in several passes
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def calls(base: torch.Tensor, models: list[torch.Tensor]) -> Iterator[Call]:
    """Every operation, with every option, on these tensors."""
    first = models[0]
    weights = torch.tensor([(-1.0) ** k * (0.3 + 0.25 * k) for k in range(len(models))], dtype=torch.float64)
    signs = ops.elect_sign(models, weights)
    for per in ("tensor", "row"):
        for density in (0.0, 1e-9, 0.3, 0.999, 1.0):
            yield ops.magnitude_threshold, (first, density), {"per": per}
            yield ops.sparsify_magnitude, (first, density), {"per": per}
        yield ops.norms, (models,), {"p": 1, "per": per}
        yield ops.norms, (models,), {"p": 2, "per": per, "base": base}
    for threshold in (0.0, 0.25, float("inf"), float("nan")):
        yield ops.sparsify_magnitude, (first,), {"threshold": torch.tensor(threshold)}
    for density, seed, rescale in ((0.0, 1, True), (1e-9, 2, True), (0.3, 2**64 - 1, True), (0.5, 3, False)):
        yield ops.sparsify_random, (first, density), {"seed": seed, "name": "x", "model": 2, "rescale": rescale}
    yield ops.sparsify_random, (first, 1.0), {"seed": 0}
    for by in ("sum", "count"):
        yield ops.elect_sign, (models, weights), {"by": by}
        yield ops.elect_sign, (models,), {"by": by}
    yield ops.disjoint_mean, (models, signs), {}
    yield ops.disjoint_mean, (models, signs, weights), {"dtype": torch.float32}
    yield ops.disjoint_mean, (models, signs, weights), {"dtype": torch.float64}
    for trim in (0.0, 0.34):
        yield ops.trimmed_mean, (models, trim), {}
    for start in (None, base):
        yield ops.linear_combination, (models, weights), {"base": start}
        yield ops.linear_combination, (models, weights.tolist()), {"base": start, "dtype": torch.float16}
        yield ops.gram, (models,), {"base": start}
        yield torch.ops.fusion_kernels.dot_products, (first, models, start), {}


def bits(result: Any) -> list[tuple[torch.dtype, torch.Size, bytes]]:
    tensors = result if isinstance(result, (tuple, list)) else [result]
    return [(one.dtype, one.shape, one.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()) for one in tensors]


def agree(base: torch.Tensor, models: list[torch.Tensor], emulated: Emulated | None = None) -> None:
    for operation, arguments, options in calls(base, models):
        expected = operation(*arguments, **options)
        got = on_gpu(operation, *arguments, emulated=emulated, **options)
        where = f"{getattr(operation, '__name__', operation)} {[a for a in arguments if a is not models]} {options}"
        assert bits(got) == bits(expected), where


# The other formats differ from these in how they are read and stored alone: they take the cases in turn.
ALWAYS = ("F32", "BF16")
IN_TURN = tuple(code for code in TORCH if code not in ALWAYS)


def cases_of(code: str) -> list[Case]:
    return list(CASES) if code in ALWAYS else list(CASES)[IN_TURN.index(code) :: len(IN_TURN)]


@pytest.mark.parametrize("code", TORCH)
def test_every_case(code: str) -> None:
    for case in cases_of(code):
        agree(*all_of(case, (code, code, (code,))))


@pytest.mark.parametrize("mix", MIXED_DTYPES, ids=str)
@pytest.mark.parametrize("models", [1, 3, 4, 5, 9])
def test_formats_may_differ(models: int, mix: tuple[str, str, tuple[str, ...]]) -> None:
    agree(*all_of(Case((3, BLOCK // 3), "everything", models), mix))


@pytest.mark.parametrize("values", ["fine_tunes", "heavy_ties", "everything", "all_equal", "zero_deltas"])
@pytest.mark.parametrize("code", ["BF16", "F64"])
def test_cuts_that_take_several_passes(code: str, values: str) -> None:
    """Beyond the size up to which one block sees all: samples, brackets, histograms, and rows that take turns."""
    for shape in ((3 * CHUNK + 1001,), (3, CHUNK + 77)):
        _, (delta, *_) = all_of(Case(shape, values), (code, code, (code,)))
        for density in (0.01, 0.5, 0.97):
            for per in ("tensor", "row"):
                expected = ops.magnitude_threshold(delta, density, per=per)
                assert bits(on_gpu(ops.magnitude_threshold, delta, density, per=per)) == bits(expected)


@pytest.mark.parametrize("shape", [(131, CHUNK + 1), (66_000, 3)], ids=["long", "short"])
def test_more_rows_than_are_searched_at_once(shape: tuple[int, int]) -> None:
    if shape[1] < CHUNK and not REAL:
        pytest.skip("a thousand threads a row take minutes where each is emulated")
    delta = torch.zeros(shape)
    delta[:, 1] = 1.0 + torch.arange(shape[0])
    expected = ops.magnitude_threshold(delta, 1e-9, per="row")
    assert bits(on_gpu(ops.magnitude_threshold, delta, 1e-9, per="row")) == bits(expected)


def test_many_rows_are_thinned_and_summed_one_by_one() -> None:
    one, other = random_tensors(2, 300, 129, dtype=torch.bfloat16)
    for operation, arguments, options in (
        (ops.sparsify_magnitude, (one, 0.2), {"per": "row"}),
        (ops.norms, ([one, other],), {"p": 1, "per": "row"}),
        (ops.norms, ([one, other],), {"p": 2, "per": "row"}),
    ):
        assert bits(on_gpu(operation, *arguments, **options)) == bits(operation(*arguments, **options))


@pytest.mark.parametrize("code", ["F32", "BF16", "F8_E5M2"])
def test_tensors_that_begin_anywhere(code: str) -> None:
    """Not on a boundary of 16 bytes: they are read and written one by one."""
    base, models = all_of(Case((5001,), "everything", 3), (code, code, (code,)))
    shifted = [torch.cat([x.new_zeros(1), x])[1:] for x in (base, *models)]
    agree(shifted[0], shifted[1:], Emulated(shift=1))


def test_numbers_may_be_known_beforehand() -> None:
    agree(*all_of(Case((1001,), "everything", 5), ("F32", "F32", ("BF16",))), Emulated(known=True))


@needs_emulator
@pytest.mark.parametrize("order", [(REVERSE, 0), (RANDOM, 1), (RANDOM, 2)], ids=["reverse", "random", "another"])
def test_the_order_of_the_threads_changes_nothing(order: tuple[int, int]) -> None:
    """A barrier that is missing shows where a thread reads what one that comes later writes."""
    with emulated_gpus(order=order):
        agree(*all_of(Case((7, 700), "heavy_ties", 3), ("BF16", "F32", ("BF16",))))
        _, (delta, *_) = all_of(Case((3, CHUNK + 77), "fine_tunes"), ("F32", "F32", ("F32",)))
        for per in ("tensor", "row"):
            expected = ops.magnitude_threshold(delta, 0.3, per=per)
            assert bits(on_gpu(ops.magnitude_threshold, delta, 0.3, per=per)) == bits(expected)

"""The same bits from a GPU's kernels as from the processor's: every method, dtype and case.

A build without a GPU runs the kernels on the emulated one.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from cases import BLOCK, CASES, DTYPES, MIXED_DTYPES, Case
from device_calls import KIND, run_on_device
from engine_calls import Merge, differing, merges_of, method_table, model_count, registered, run_engine
from oracle import ORACLES

pytestmark = pytest.mark.skipif(KIND is None, reason="this build has no GPU kernels (FK_CUDA=OFF)")

CHUNK = 16384  # elements that a block of threads takes at once


def assert_same_bits(method: str, merges: list[Merge]) -> None:
    merges = [replace(merge, name=f"{merge.name}/{index}") for index, merge in enumerate(merges)]
    expected, _ = run_engine(method, merges)
    for merge, wanted, got in zip(merges, expected, run_on_device(method, merges), strict=True):
        found = differing(got, wanted)
        assert not found, f"{merge.tensors.name} -> {merge.tensors.output}, {merge.parameters}: {found}"


def fitted(method: str, case: Case) -> Case:
    return Case(case.shape, case.values, model_count(method, case.models))


# The other formats differ from these in how they are read and stored alone: they take the cases in turn.
ALWAYS = ("F32", "BF16")
IN_TURN = tuple(dtype for dtype in DTYPES if dtype not in ALWAYS)


def merges_in(method: str, dtype: str) -> list[Merge]:
    cases = list(dict.fromkeys(fitted(method, case) for case in CASES))
    if dtype in IN_TURN:
        cases = cases[IN_TURN.index(dtype) :: len(IN_TURN)]
    return [merge for case in cases for merge in merges_of(method, case.tensors(dtype))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", registered())
def test_every_case_under_every_parameter_set(method: str, dtype: str) -> None:
    assert_same_bits(method, merges_in(method, dtype))


@pytest.mark.parametrize("dtypes", MIXED_DTYPES, ids=lambda d: f"{d[1]}+{'+'.join(d[2])}->{d[0]}")
@pytest.mark.parametrize("method", registered())
def test_dtypes_may_differ_between_models_and_output(method: str, dtypes: tuple[str, str, tuple[str, ...]]) -> None:
    output, base, models = dtypes
    merges = []
    for count in (1, 3, 4, 5, 9):
        case = fitted(method, Case((BLOCK + 29,), "heavy_ties", count))
        merges += merges_of(method, case.tensors(output, base, models))
    assert_same_bits(method, merges)


@pytest.mark.parametrize("values", ["fine_tunes", "heavy_ties", "everything", "all_equal", "zero_deltas"])
@pytest.mark.parametrize("method", registered())
def test_tensors_of_several_chunks(method: str, values: str) -> None:
    """Beyond the size up to which everything is collected: samples, brackets and histograms come in."""
    shapes = ((3 * CHUNK + 1001,), (5, 9001))
    merges = []
    for dtype, shape in zip(("BF16", "F32"), shapes, strict=True):
        case = fitted(method, Case(shape, values, 3))
        variants = merges_of(method, case.tensors(dtype, dtype, (dtype,)))
        merges += variants[:: max(1, len(variants) // 4)]
    assert_same_bits(method, merges)


@pytest.mark.skipif(KIND != "cuda", reason="the emulated GPU narrows brackets down where they hold much less")
@pytest.mark.parametrize("values", ["fine_tunes", "unrelated", "heavy_ties"])
@pytest.mark.parametrize("dtype", ["BF16", "F32", "F64"])
def test_ties_over_several_chunks_of_large_tensors(dtype: str, values: str) -> None:
    """Brackets that hold more than one block looks through, of few distinct deltas and of many."""
    tensors = Case(((3 << 20) + 5,), values, 2).tensors(dtype, dtype, (dtype,))
    given = {**ORACLES["ties"].EXAMPLE.parameters, "weight": [1.0, 1.0], "density": [0.001, 0.5]}
    assert_same_bits("ties", [Merge(tensors, given, tensors.name)])


def test_every_fold_method_has_kernels() -> None:
    assert method_table().keys() == set(registered())

"""The engine against the oracles: every method, every dtype, every case.

Twice each time. Carried out in the compute type, the oracle's operations give the engine's very bits. Carried out in
a wider type, they give the truth, from which the engine is no further than the roundings the oracle's file counts.
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, DTYPES, MIXED_DTYPES, MODEL_COUNTS, Case
from device_calls import GPUS, numbers_of
from engine_calls import (
    Merge,
    differing,
    documented_bits,
    merges_of,
    model_count,
    registered,
    run_engine,
    stored_interval,
)
from oracle.formats import decode


def fitted(method: str, case: Case) -> Case:
    """The case with a number of models that the method takes."""
    return Case(case.shape, case.values, model_count(method, case.models))


def cases_of(method: str) -> list[Case]:
    return list(dict.fromkeys(fitted(method, case) for case in CASES))


# The narrow formats share float32's arithmetic with BF16 and differ in how they are read and stored alone: they take
# the cases in turn.
ALWAYS = ("F32", "BF16", "F64")
IN_TURN = tuple(dtype for dtype in DTYPES if dtype not in ALWAYS)

EVERY = [
    pytest.param(method, dtype, case, id=f"{method}-{dtype}-{case.name}")
    for number, method in enumerate(registered())
    for turn, case in enumerate(cases_of(method), number)
    for dtype in (*ALWAYS, IN_TURN[turn % len(IN_TURN)])
]


def assert_documented_bits(method: str, merge: Merge, codes: np.ndarray) -> None:
    assert not (found := differing(codes, documented_bits(method, merge))), f"{merge.parameters}: {found}"


def assert_within_tolerance(method: str, merge: Merge, codes: np.ndarray) -> None:
    """The stored value lies between the ends; where the terms exceed the compute type's range, the bits decide."""
    dtype = merge.tensors.output
    low, high, comparable = stored_interval(method, merge)
    values = decode(codes, dtype)
    with np.errstate(invalid="ignore"):
        wrong = comparable & ~((low <= values) & (values <= high))
    first = int(np.argmax(wrong)) if wrong.any() else 0
    assert not wrong.any(), (
        f"{merge.parameters}: {wrong.sum()} of {wrong.size} are outside; "
        f"[{first}] {values[first]!r} is not in [{low[first]!r}, {high[first]!r}]"
    )


@pytest.mark.parametrize(("method", "dtype", "case"), EVERY)
def test_bits_of_the_documented_operations_which_are_near_the_truth(method: str, dtype: str, case: Case) -> None:
    merges = merges_of(method, case.tensors(dtype))
    for merge, codes in zip(merges, run_engine(method, merges)[0], strict=True):
        assert_documented_bits(method, merge, codes)
        assert_within_tolerance(method, merge, codes)


# Tests of their own say that a GPU gives the processor's bits in every case; here some of each method meet the oracle.
@pytest.mark.parametrize("device", GPUS)
@pytest.mark.parametrize(("method", "dtype", "case"), EVERY[::23])
def test_a_gpu_gives_the_bits_of_the_documented_operations(method: str, dtype: str, case: Case, device: str) -> None:
    merges = merges_of(method, case.tensors(dtype))
    for merge, codes in zip(merges, run_engine(method, merges, devices=numbers_of(device))[0], strict=True):
        assert_documented_bits(method, merge, codes)
        assert_within_tolerance(method, merge, codes)


@pytest.mark.parametrize("dtypes", MIXED_DTYPES, ids=lambda d: f"{d[1]}+{'+'.join(d[2])}->{d[0]}")
@pytest.mark.parametrize("method", registered())
def test_dtypes_may_differ_between_models_and_output(method: str, dtypes: tuple[str, str, tuple[str, ...]]) -> None:
    output, base, models = dtypes
    kinds = ("fine_tunes", "heavy_ties", "everything")
    for turn, count in enumerate(MODEL_COUNTS, MIXED_DTYPES.index(dtypes)):
        case = fitted(method, Case((4096 + 29,), kinds[turn % len(kinds)], count))
        merges = merges_of(method, case.tensors(output, base, models))
        for merge, codes in zip(merges, run_engine(method, merges)[0], strict=True):
            assert_documented_bits(method, merge, codes)
            assert_within_tolerance(method, merge, codes)


@pytest.mark.parametrize("dtype", ["BF16", "F32", "F64"])
@pytest.mark.parametrize("method", registered())
def test_a_row_may_be_longer_than_a_tile(method: str, dtype: str) -> None:
    for values in ("fine_tunes", "heavy_ties"):
        case = fitted(method, Case((3, 3 * 4096 + 5), values, 3))
        merges = merges_of(method, case.tensors(dtype))
        for merge, codes in zip(merges, run_engine(method, merges, tile_elements=4096)[0], strict=True):
            assert_documented_bits(method, merge, codes)

"""What the engine says about results: how many saturated or inherited a NaN or an infinity, which it refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import DTYPES, Case
from device_calls import GPUS, numbers_of
from engine_calls import Merge, merges_of, model_count, registered, run_engine, run_oracle
from oracle.formats import FORMATS, decode, round_to

from fusion_kernels._native import native

LARGEST_THAT_ROUNDS_TO_448 = 464.0


def unrounded(method: str, merge: Merge) -> np.ndarray:
    """The result of the documented operations in the compute type, before the store."""
    return run_oracle(method, merge, lambda compute: compute).value


def not_finite(method: str, merge: Merge) -> np.ndarray:
    """Where the result is NaN or infinite; e4m3fn has no infinity, so there the value before the store counts."""
    dtype = merge.tensors.output
    values = unrounded(method, merge)
    return ~np.isfinite(values if FORMATS[dtype].saturates else round_to(values, dtype))


def inputs_finite(method: str, merge: Merge) -> np.ndarray:
    tensors = merge.tensors
    used = list(zip(tensors.models, tensors.model_dtypes, strict=True))
    if merge.with_base:
        used.append((tensors.base, tensors.base_dtype))
    return np.logical_and.reduce([np.isfinite(decode(codes, dtype)) for codes, dtype in used])


def merges(method: str, values: str, dtype: str) -> list[Merge]:
    case = Case((4096 + 77,), values, model_count(method, 3))
    return merges_of(method, case.tensors(dtype))


@pytest.mark.parametrize("values", ["huge", "infinite", "everything", "fine_tunes"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", registered())
def test_saturated_and_inherited_elements_are_counted(method: str, dtype: str, values: str) -> None:
    assert_counted(method, merges(method, values, dtype))


@pytest.mark.parametrize("device", GPUS)
@pytest.mark.parametrize("dtype", ["F8_E4M3", "F16"])
@pytest.mark.parametrize("method", registered())
def test_a_gpu_counts_the_same(method: str, dtype: str, device: str) -> None:
    assert_counted(method, merges(method, "everything", dtype)[:4], devices=numbers_of(device))


def assert_counted(method: str, given: list[Merge], **options: object) -> None:
    dtype = given[0].tensors.output
    _, report = run_engine(method, given, **options)
    saturated, inherited = {}, {}
    for merge in given:
        result = unrounded(method, merge)
        if FORMATS[dtype].saturates:
            saturated[merge.name] = int(np.sum(np.isfinite(result) & (np.abs(result) > LARGEST_THAT_ROUNDS_TO_448)))
        inherited[merge.name] = int(np.sum(not_finite(method, merge) & ~inputs_finite(method, merge)))
    assert report["saturated"] == {name: count for name, count in saturated.items() if count}
    assert report["nonfinite_inputs"] == {name: count for name, count in inherited.items() if count}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", registered())
def test_a_result_that_is_not_finite_though_every_input_is_is_refused_by_name(method: str, dtype: str) -> None:
    refused = 0
    for merge in merges(method, "huge", dtype):
        created = not_finite(method, merge) & inputs_finite(method, merge)
        if created.any():
            expected = rf"'{re.escape(merge.name)}': element {int(np.argmax(created))}\b"
            with pytest.raises(ValueError, match=expected):
                run_engine(method, [merge], allow_nonfinite=False, threads=1)
            refused += 1
        else:
            run_engine(method, [merge], allow_nonfinite=False)
    small = FORMATS[dtype].bits == 8 and FORMATS[dtype].saturates  # the largest e4m3fn do not overflow in float32
    # A middle value is one of the inputs; an average of them overflows only where float32 does on the way.
    bounded = method in ("median", "trimmed_mean", "model_stock")
    assert refused or small or bounded


def test_an_instruction_set_that_cannot_run_is_refused_by_name() -> None:
    """Unknown ones are a wrong value; known ones that the processor lacks are not implemented here."""
    given = merges("linear", "fine_tunes", "F32")
    with pytest.raises(ValueError, match="sse9"):
        run_engine("linear", given, instruction_set="sse9")
    for name in {"scalar", "base", "avx2", "avx512"} - set(native().instruction_sets()):
        with pytest.raises(NotImplementedError, match=name):
            run_engine("linear", given, instruction_set=name)

"""Calls to the native engine, or to an oracle, with the tensors of a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from math import prod

import numpy as np
from cases import Tensors
from oracle import ORACLES
from oracle.contract import Inputs, Merged, Working
from oracle.formats import FORMATS, decode, encode

from fusion_kernels._native import native

SEED = 0x8000_00A8_0000_00A8  # both halves say something; the examples worked by hand count on it


@cache
def method_table() -> dict[str, dict]:
    """The engine's own description of its methods, by name."""
    return {method["name"]: method for method in native().methods()}


def registered() -> list[str]:
    """Names of the engine's methods that have an oracle; that none lacks one is a test of its own."""
    return [name for name in method_table() if name in ORACLES]


def model_count(method: str, models: int) -> int:
    """The nearest number of models the method takes."""
    limits = method_table()[method]
    models = max(models, limits["min_models"])
    return min(models, limits["max_models"] or models)


@dataclass(frozen=True, eq=False)
class Merge:
    """One output tensor to make: its inputs, one parameter set, and a name no other tensor of the call has."""

    tensors: Tensors
    parameters: dict
    name: str
    with_base: bool = True


def merges_of(method: str, tensors: Tensors, refused: bool = False) -> list[Merge]:
    """The tensor under every parameter set the method's oracle finds worth testing, with a base and without.

    Those without an answer are left out; `refused` asks for them alone.
    """
    takes = method_table()[method]["base"]
    bases = {"required": [True], "optional": [True, False]}.get(takes, [False])
    sets = [(parameters, base) for parameters in ORACLES[method].variants(len(tensors.models)) for base in bases]
    merges = [Merge(tensors, parameters, f"{tensors.name}/{i}", base) for i, (parameters, base) in enumerate(sets)]
    refuses = getattr(ORACLES[method], "refuses", lambda inputs: False)
    return [merge for merge in merges if refuses(inputs_of(merge, SEED)) == refused]


@dataclass
class Arranged:
    """A call's jobs and parameter sets as the engine takes them, on arrays numbered as its buffers."""

    jobs: list[tuple]
    parameter_sets: list[dict]
    arrays: list[np.ndarray]
    outputs: list[np.ndarray]


def arrange(merges: Sequence[Merge], copies: Sequence[tuple[str, np.ndarray]] = ()) -> Arranged:
    """Parameters that are one and the same object are given once; the outputs are filled with a pattern.

    `copies`, names and 64-bit integers, are tensors that the call only copies, before it merges; their outputs come
    first.
    """
    call = Arranged([], [], [], [])
    sets: dict[int, int] = {}

    def place(codes: np.ndarray, dtype: str) -> tuple[int, int, str]:
        call.arrays.append(codes)
        return len(call.arrays) - 1, 0, dtype

    for name, numbers in copies:
        call.outputs.append(np.zeros_like(numbers))
        target = place(call.outputs[-1], "I64")
        call.jobs.append(("copy", name, 1, numbers.size, None, target, None, [place(numbers, "I64")]))
    for merge in merges:
        tensors = merge.tensors
        output = np.full(max(1, tensors.base.size), 0xA5, dtype=FORMATS[tensors.output].carrier)[: tensors.base.size]
        call.outputs.append(output)
        models = [place(np.ascontiguousarray(m), d) for m, d in zip(tensors.models, tensors.model_dtypes, strict=True)]
        base = place(np.ascontiguousarray(tensors.base), tensors.base_dtype) if merge.with_base else None
        rows, columns = rows_and_columns(tensors.shape)
        if id(merge.parameters) not in sets:
            sets[id(merge.parameters)] = len(call.parameter_sets)
            call.parameter_sets.append(merge.parameters)
        target = place(output, tensors.output)
        call.jobs.append(("merge", merge.name, rows, columns, sets[id(merge.parameters)], target, base, models))
    return call


def run_engine(
    method: str, merges: Sequence[Merge], copies: Sequence[tuple[str, np.ndarray]] = (), **options: object
) -> tuple[list[np.ndarray], dict]:
    """The codes the engine writes for each copy and merge, in one call, and its report."""
    call = arrange(merges, copies)
    buffers = [(codes.ctypes.data, codes.nbytes) for codes in call.arrays]
    settings = {"allow_nonfinite": True, "seed": SEED, **options}
    report = native().execute(method, call.jobs, call.parameter_sets, buffers, **settings)
    return call.outputs, report


def rows_and_columns(shape: tuple[int, ...]) -> tuple[int, int]:
    """A tensor as a matrix: the first dimension is the rows, all others the columns; vectors are one row."""
    if len(shape) < 2 or 0 in shape:
        return 1, prod(shape)
    return shape[0], prod(shape[1:])


@lru_cache(maxsize=64)
def inputs_of(merge: Merge, seed: int) -> Inputs:
    """What an oracle gets; the same object for the same merge, so that it need not look at it twice."""
    base, models = matrices(merge.tensors)
    return Inputs(base if merge.with_base else None, models, merge.parameters, merge.name, seed)


@lru_cache(maxsize=1)
def matrices(tensors: Tensors) -> tuple[np.ndarray, list[np.ndarray]]:
    """The base and the models as matrices of the compute type."""
    compute = FORMATS[tensors.output].compute

    def matrix(codes: np.ndarray, dtype: str) -> np.ndarray:
        with np.errstate(all="ignore"):
            return decode(codes, dtype).astype(compute).reshape(rows_and_columns(tensors.shape))

    models = [matrix(codes, dtype) for codes, dtype in zip(tensors.models, tensors.model_dtypes, strict=True)]
    return matrix(tensors.base, tensors.base_dtype), models


def run_oracle(method: str, merge: Merge, choose: Callable[[Working], Working], seed: int = SEED) -> Merged:
    """The oracle's result, flat; `choose` gets the compute type and gives the type the arithmetic goes on in."""
    inputs = inputs_of(merge, seed)
    merged = ORACLES[method].merge(inputs, choose(inputs.compute))
    return replace(merged, value=merged.value.ravel(), terms=merged.terms.ravel(), partial=merged.partial.ravel())


def documented_bits(method: str, merge: Merge) -> np.ndarray:
    """The codes that the documented operations give when every one is carried out in the compute type."""
    return encode(run_oracle(method, merge, lambda compute: compute).value, merge.tensors.output)


def wider(compute: Working) -> Working:
    """The type in which the oracle asks for the truth: float64 for a float32 computation, extended for float64."""
    return np.longdouble if compute is np.float64 else np.float64


def stored_interval(method: str, merge: Merge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lowest and the highest value the method's tolerance allows, as stored, and where that can be said.

    It cannot where the terms exceed the compute type's range: its overflow is right there and the truth is not.
    """
    dtype = merge.tensors.output
    compute = FORMATS[dtype].compute
    truth = run_oracle(method, merge, wider)
    ends = ORACLES[method].tolerance(len(merge.tensors.models)).interval(truth, compute)
    low, high = (decode(encode(end, dtype), dtype) for end in ends)
    with np.errstate(invalid="ignore"):
        return low, high, np.maximum(truth.terms, truth.partial) <= np.finfo(compute).max / 16


def differing(left: np.ndarray, right: np.ndarray) -> str:
    """A few elements in which two arrays of codes differ, for a failure's message; empty when they are equal."""
    places = np.flatnonzero(left != right)
    shown = ", ".join(f"[{i}] {left[i]:#x} != {right[i]:#x}" for i in places[:5])
    return f"{places.size} of {left.size} elements differ: {shown}" if places.size else ""

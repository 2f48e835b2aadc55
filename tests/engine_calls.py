"""Calls to the native engine, or to an oracle, with the tensors of a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
from cases import Tensors
from oracle import ORACLES
from oracle.contract import Merged, Working
from oracle.formats import FORMATS, decode, encode

from fusion_kernels._native import native


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
    return min(max(models, limits["min_models"]), limits["max_models"] or models)


@dataclass(frozen=True)
class Merge:
    """One output tensor to make: its inputs and one parameter set."""

    tensors: Tensors
    parameters: dict


def merges_of(method: str, tensors: Tensors) -> list[Merge]:
    """The tensor under every parameter set the method's oracle finds worth testing."""
    return [Merge(tensors, parameters) for parameters in ORACLES[method].variants(len(tensors.models))]


def run_engine(method: str, merges: Sequence[Merge], **options: object) -> tuple[list[np.ndarray], dict]:
    """The codes the engine writes for each merge, in one call, and its report."""
    buffers: list[tuple[int, int]] = []
    outputs = []
    jobs = []

    def place(codes: np.ndarray, dtype: str) -> tuple[int, int, str]:
        buffers.append((codes.ctypes.data, codes.nbytes))
        return len(buffers) - 1, 0, dtype

    for index, merge in enumerate(merges):
        tensors = merge.tensors
        output = np.full(max(1, tensors.base.size), 0xA5, dtype=FORMATS[tensors.output].carrier)[: tensors.base.size]
        outputs.append(output)
        models = [place(np.ascontiguousarray(m), d) for m, d in zip(tensors.models, tensors.model_dtypes, strict=True)]
        needs_base = method_table()[method]["base"] == "required"
        base = place(np.ascontiguousarray(tensors.base), tensors.base_dtype) if needs_base else None
        rows, columns = rows_and_columns(tensors.shape)
        name = f"{tensors.name}/{index}"
        jobs.append(("merge", name, rows, columns, index, place(output, tensors.output), base, models))
    settings = {"allow_nonfinite": True, **options}
    report = native().execute(method, jobs, [merge.parameters for merge in merges], buffers, **settings)
    return outputs, report


def rows_and_columns(shape: tuple[int, ...]) -> tuple[int, int]:
    """A tensor as a matrix: the last dimension is the columns, everything before it the rows."""
    if len(shape) < 2:
        return 1, int(np.prod(shape))
    return int(np.prod(shape[:-1])), shape[-1]


def run_oracle(method: str, merge: Merge, choose: Callable[[Working], Working]) -> Merged:
    """The oracle's result; `choose` gets the compute type and gives the type the arithmetic goes on in."""
    oracle: ModuleType = ORACLES[method]
    tensors = merge.tensors
    compute = FORMATS[tensors.output].compute
    with np.errstate(all="ignore"):
        base = decode(tensors.base, tensors.base_dtype).astype(compute)
        models = [decode(m, d).astype(compute) for m, d in zip(tensors.models, tensors.model_dtypes, strict=True)]
    return oracle.merge(base, models, merge.parameters, choose(compute))


def documented_bits(method: str, merge: Merge) -> np.ndarray:
    """The codes that the documented operations give when every one is carried out in the compute type."""
    return encode(run_oracle(method, merge, lambda compute: compute).value, merge.tensors.output)


def wider(compute: Working) -> Working:
    """The type in which the oracle asks for the truth: float64 for a float32 computation, extended for float64."""
    return np.longdouble if compute is np.float64 else np.float64


def differing(left: np.ndarray, right: np.ndarray) -> str:
    """A few elements in which two arrays of codes differ, for a failure's message; empty when they are equal."""
    places = np.flatnonzero(left != right)
    shown = ", ".join(f"[{i}] {left[i]:#x} != {right[i]:#x}" for i in places[:5])
    return f"{places.size} of {left.size} elements differ: {shown}" if places.size else ""

"""Turns matched tensors into the engine's work list: one tuple for each output tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusion_kernels.dtypes import DTYPES, promote
from fusion_kernels.layout import OutputTensor, Place

if TYPE_CHECKING:
    from fusion_kernels.matching import MatchedTensor, TensorRef
    from fusion_kernels.parameters import MethodInfo, Resolved
    from fusion_kernels.sources import Checkpoint

# A job as the native module takes it: (kind, name, rows, cols, parameter set, output, base, inputs), with output, base
# and each input (buffer, byte offset, dtype code).
Job = tuple[str, str, int, int, int, tuple[int, int, str], "tuple[int, int, str] | None", list[tuple[int, int, str]]]


@dataclass(frozen=True)
class Inputs:
    """All checkpoints a merge reads, and how their buffers are numbered for the engine.

    `checkpoints` holds each checkpoint once. A TensorRef's number i means `checkpoints[models[i]]`, its "base" means
    `checkpoints[base]`. Buffers are numbered checkpoint after checkpoint.
    """

    checkpoints: Sequence[Checkpoint]
    models: Sequence[int]
    base: int | None

    def offsets(self) -> dict[int | str, int]:
        """TensorRef's checkpoint -> number of that checkpoint's first buffer."""
        starts, total = [], 0
        for checkpoint in self.checkpoints:
            starts.append(total)
            total += len(checkpoint.buffers)
        offsets: dict[int | str, int] = {index: starts[model] for index, model in enumerate(self.models)}
        if self.base is not None:
            offsets["base"] = starts[self.base]
        return offsets

    def buffer_count(self) -> int:
        """Number of buffers of all checkpoints: the engine's number of the first output buffer."""
        return sum(len(checkpoint.buffers) for checkpoint in self.checkpoints)


def output_tensors(tensors: Sequence[MatchedTensor], dtype: str | None) -> tuple[list[OutputTensor], list[Exception]]:
    """What will be written, in order, with a problem for every tensor whose inputs have no common dtype.

    `dtype` is the code asked for; None promotes each tensor's inputs (models and base). Copied tensors keep theirs.
    """
    outputs: list[OutputTensor] = []
    problems: list[Exception] = []
    promoted: dict[frozenset[str], str] = {}
    for tensor in tensors:
        code = tensor.dtype
        if tensor.kind == "merge":
            code = dtype
            if code is None:
                codes = frozenset(ref.info.dtype for ref in _references(tensor))
                code = promoted.get(codes)
                if code is None:
                    try:
                        code = promoted[codes] = promote(codes)
                    except ValueError as error:
                        problems.append(ValueError(f"tensor {tensor.name}: {error}"))
                        continue
        assert code is not None  # matching gives every copied tensor its dtype
        outputs.append(OutputTensor(tensor.name, code, tensor.shape, _nbytes(tensor.shape, code)))
    return outputs, problems


def build(
    tensors: Sequence[MatchedTensor],
    outputs: Sequence[OutputTensor],
    places: Sequence[Place],
    inputs: Inputs,
    *,
    identity: bool,
) -> list[Job]:
    """The engine's jobs in output order; `places` number output buffers from 0, put after all input buffers.

    `identity`: the method returns its one input unchanged, so equal dtypes are copied as bytes.
    """
    first = inputs.offsets()
    first_output = inputs.buffer_count()
    jobs: list[Job] = []
    for tensor, output, place in zip(tensors, outputs, places, strict=True):
        sources = [(first[owner] + info.buffer, info.offset, info.dtype) for owner, info in tensor.models]
        base = None
        if tensor.base is not None:
            owner, info = tensor.base
            base = (first[owner] + info.buffer, info.offset, info.dtype)
        kind = tensor.kind
        if kind == "merge" and identity and sources[0][2] == output.dtype:
            kind = "copy"
        if kind == "equal" and base is not None:
            sources, base = [base, *sources], None
        rows, cols = _matrix(output.shape)
        target = (first_output + place.shard, place.offset, output.dtype)
        jobs.append((kind, output.name, rows, cols, 0, target, base, sources))
    return jobs


def parameter_set(resolved: Resolved) -> dict[str, Any]:
    """The resolved values as the engine takes them: per-model ones as lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in resolved.values.items()}


def reading(tensors: Sequence[MatchedTensor], resolved: Resolved, method: MethodInfo) -> tuple[int, int]:
    """Bytes the engine reads, and how often it goes over a tensor at most.

    Every input is read once, and once more for each thing to be measured before the merge: where to trim (the models
    that are trimmed), what the rest is rescaled by (all), the dot products (all, but rows bring theirs along).
    """
    total, most = 0, 1
    measures = _fold_measures(resolved, method)
    for tensor in tensors:
        total += sum(info.nbytes for _, info in _references(tensor))
        if tensor.kind != "merge":
            continue
        if method.kind == "gram":
            whole_rows = _by_row(resolved) and _matrix(tensor.shape)[0] > 1
            measures = [] if whole_rows else [[True] * len(tensor.models)]
        for again in measures:
            total += sum(info.nbytes for (_, info), wanted in zip(tensor.models, again, strict=True) if wanted)
            total += tensor.base.info.nbytes if tensor.base is not None else 0
        most = max(most, 1 + len(measures))
    return total, most


def _fold_measures(resolved: Resolved, method: MethodInfo) -> list[list[bool]]:
    """For each pass a fold method makes before it merges, which models it reads."""
    values = resolved.values
    densities = values.get("density")
    if method.kind != "fold" or not isinstance(densities, tuple):
        return []
    thinned = [0 < float(density) < 1 for density in densities]
    if not any(thinned):
        return []
    measures = [thinned] if method.trims else []
    if values.get("rescale") and values.get("rescale_by") == "l1":
        measures.append([True] * len(thinned))
    return measures


def _by_row(resolved: Resolved) -> bool:
    """Whether a gram method takes each row as a vector of its own; mergekit's "row-wise" means the columns."""
    values = resolved.values
    by_row = values.get("nuslerp_flatten") is False and not values.get("nuslerp_row_wise")
    return by_row or values.get("filter_wise") is True


def _references(tensor: MatchedTensor) -> tuple[TensorRef, ...]:
    return tensor.models if tensor.base is None else (*tensor.models, tensor.base)


def _nbytes(shape: tuple[int, ...], code: str) -> int:
    elements = 1
    for extent in shape:
        elements *= extent
    return (elements * DTYPES[code].itemsize_bits + 7) // 8


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns: the first dimension by all others; one row for vectors, scalars and empty tensors."""
    cols = 1
    for extent in shape[1:]:
        cols *= extent
    if len(shape) < 2 or shape[0] * cols == 0:
        return 1, cols * (shape[0] if shape else 1)
    return shape[0], cols

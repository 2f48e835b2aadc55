"""Merges tensors that are already in memory, one output tensor per call."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

from fusion_kernels import resident
from fusion_kernels.dtypes import DTYPES, parse_dtype, promote
from fusion_kernels.errors import listing, quoted
from fusion_kernels.execution import Work, execute
from fusion_kernels.execution import workspace_bytes as engine_workspace_bytes
from fusion_kernels.lent_memory import check_apart, workspace_buffer
from fusion_kernels.parameters import MethodInfo, Preset, Resolved, get_method, resolve
from fusion_kernels.sources.checkpoint import Checkpoint, TensorInfo
from fusion_kernels.sources.memory import open_mapping

__all__ = ["merge_tensors", "workspace_bytes"]

T = TypeVar("T")


def merge_tensors(
    tensors: Sequence[T] | Mapping[str, T],
    *,
    method: str,
    base: T | None = None,
    preset: Preset = "mergekit",
    dtype: Any = None,
    name: str = "",
    seed: int = 0,
    threads: int | None = None,
    workspace: Any = None,
    out: T | None = None,
    **method_parameters: Any,
) -> T:
    """Merge equally shaped tensors of K models into one.

    tensors: K torch tensors on one device or K numpy arrays, any shape, floating point of any mix of dtypes; or
        ``{model: tensor}``. Contiguous ones are read in place, others copied; a graph they belong to is not recorded.
        On a GPU the merge is enqueued on torch's current stream; fold methods do not wait for it, gram methods do,
        once; and a result that is not finite is not an error there.
    base: the tensor the others started from, for methods that take one, and not merged where it is listed too; for
        slerp it is the one at t = 0, by default the first of ``tensors``.
    dtype: of the result; by default the common dtype of the inputs, base included.
    name: the tensor's name, for messages (and for methods that draw random numbers: their draws depend on it).
    seed: of such methods, an integer in [0, 2^64).
    threads: at most this many, by default one per core.
    workspace: writable memory of at least :func:`workspace_bytes` (numpy or torch uint8, or any buffer; on a GPU a
        torch tensor there) for the engine to use instead of allocating; a method written in Python has its tensors
        beside it.
    out: where to write: the result's shape and dtype, contiguous, sharing no memory with the inputs.
    method_parameters: as in merge(): per model one value, one for each of K, or ``{model: value}``. The one tensor is
        the whole model, so scope="model" trims as scope="tensor" does.

    Returns ``out``, or a new tensor of the inputs' library. Raises ValueError for inputs that cannot be merged, naming
    the one; NotImplementedError for what is not available yet.
    """
    call = _prepare(tensors, method, base, preset, dtype, name, seed, threads, method_parameters)
    result = call.new_output() if out is None else out
    inputs = {label: call.inputs.memory[info.buffer] for label, info in call.inputs.tensors.items()}
    output = _output_memory(call, result)
    check_apart("out", output, inputs)
    if call.device != "cpu":
        if workspace is not None:
            check_apart("workspace", resident.memory_of(workspace, call.device), {**inputs, "out": output})
        resident.execute(call.work(output), call.device, workspace)
        return result
    scratch = None
    if workspace is not None:
        scratch = workspace_buffer(workspace, call.workspace_bytes())
        check_apart("workspace", (ctypes.addressof(scratch), len(scratch)), {**inputs, "out": output})
    call.execute(output, scratch)
    return result


def workspace_bytes(
    tensors: Sequence[Any] | Mapping[str, Any],
    *,
    method: str,
    base: Any = None,
    preset: Preset = "mergekit",
    dtype: Any = None,
    name: str = "",
    seed: int = 0,
    threads: int | None = None,
    **method_parameters: Any,
) -> int:
    """Bytes of workspace :func:`merge_tensors` needs for the same arguments; only shapes, dtypes and threads matter."""
    call = _prepare(tensors, method, base, preset, dtype, name, seed, threads, method_parameters)
    return call.workspace_bytes()


@dataclass(frozen=True)
class _Call:
    """One merge of tensors with everything decided."""

    method: MethodInfo
    resolved: Resolved
    inputs: Checkpoint  # holds the tensors' memory: the merged ones, then the base where deltas are taken from it
    given: dict[str, Any]
    has_base: bool
    shape: tuple[int, ...]
    dtype: str
    name: str
    seed: int
    threads: int
    device: str  # as torch names it

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * DTYPES[self.dtype].itemsize_bits // 8

    def execute(self, output: tuple[int, int], workspace: ctypes.Array[ctypes.c_char] | None) -> None:
        execute(self.work(output), workspace=workspace)

    def workspace_bytes(self) -> int:
        # Nothing is read or written, so any address serves as the output's.
        work = self.work((self.inputs.memory[0][0], self.nbytes))
        return engine_workspace_bytes(work) if self.device == "cpu" else resident.workspace_bytes(work)

    def work(self, output: tuple[int, int]) -> Work:
        """One job, on the inputs' memory and the output's."""
        views = [(info.buffer, info.offset, info.dtype) for info in self.inputs.tensors.values()]
        base = views.pop() if self.has_base else None
        buffers = [*self.inputs.memory, output]
        target = (len(buffers) - 1, 0, self.dtype)
        rows = self.shape[0] if len(self.shape) > 1 else 1
        columns = prod(self.shape[1:]) if len(self.shape) > 1 else prod(self.shape)
        job = ("merge", self.name, rows, columns, 0, target, base, views)
        models = tuple(self.given)[: len(views)]
        return Work(
            self.method, self.resolved, [job], [self.shape], buffers, models, seed=self.seed, threads=self.threads
        )

    def new_output(self) -> Any:
        """An uninitialised tensor for the result, of the inputs' library."""
        dtype = DTYPES[self.dtype]
        if self.inputs.library == "torch":
            import torch

            return torch.empty(self.shape, dtype=getattr(torch, str(dtype.torch_name)), device=self.device)
        import numpy as np

        if dtype.numpy_name is not None:
            return np.empty(self.shape, dtype=dtype.numpy_name)
        # numpy alone has no bf16 or fp8; an input's own extension type (ml_dtypes) knows it.
        for label, info in self.inputs.tensors.items():
            if info.dtype == self.dtype:
                return np.empty(self.shape, dtype=self.given[label].dtype)
        raise ValueError(
            f"numpy has no {dtype.torch_name}: give dtype='float32', torch tensors, or out= of an ml_dtypes type"
        )


def _prepare(
    tensors: Any,
    method: str,
    base: Any,
    preset: Preset,
    dtype: Any,
    name: str,
    seed: int,
    threads: int | None,
    parameters: Mapping[str, Any],
) -> _Call:
    info = get_method(method)
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError(
            f"threads: an integer of at least 1, or None for one per core, is expected, got {quoted(threads)}"
        )
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise ValueError(f"seed: an integer in [0, 2^64) is expected, got {quoted(seed)}")
    given = _named(tensors)
    if base is not None and info.base == "ignored":
        raise ValueError(f"{info.name} takes no base; pass it among the tensors to merge it")
    if base is None and info.base == "required":  # a member's place is taken by the first
        raise ValueError(f"{info.name} needs base=, the tensor the others started from")
    if base is not None:  # where it is also listed, it counts once
        given = {label: tensor for label, tensor in given.items() if tensor is not base}
    if base is not None and info.base == "member":
        given = {"base": base, **given}
    _check_count(info, list(given))
    labels = list(given)
    has_base = base is not None and info.sets_base_apart
    if has_base:
        given["base"] = base
    device = _device_of(given)
    inputs = _opened(given, device)
    infos = inputs.tensors
    _check_shapes(infos)
    code = promote(one.dtype for one in infos.values()) if dtype is None else parse_dtype(dtype)
    if not DTYPES[code].mergeable:
        raise ValueError(f"dtype: {quoted(dtype)} is no format weights can be merged into")
    resolved = resolve(info, preset=preset, model_names=labels, given=parameters)
    shape = infos[labels[0]].shape
    return _Call(info, resolved, inputs, given, has_base, shape, code, name, seed, threads or 0, device)


def _named(tensors: Any) -> dict[str, Any]:
    if isinstance(tensors, Mapping):
        named = dict(tensors)
        for label in named:
            if not isinstance(label, str) or label == "base":
                raise ValueError(f"tensors: a model's name must be text other than 'base', got {quoted(label)}")
        return named
    if hasattr(tensors, "dtype") or isinstance(tensors, (str, bytes)) or not isinstance(tensors, Sequence):
        raise ValueError(f"tensors: a list of tensors, one per model, is expected, got a {type(tensors).__name__}")
    return {f"tensors[{index}]": tensor for index, tensor in enumerate(tensors)}


def _check_count(info: MethodInfo, labels: list[str]) -> None:
    least, most = max(1, info.min_models), info.max_models
    if len(labels) < least or (most is not None and len(labels) > most):
        wanted = f"exactly {least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        with_base = " (the base included)" if info.base == "member" else ""
        needed = "tensor is needed" if wanted.endswith(" 1") else "tensors are needed"
        got = f"{len(labels)}: {listing(labels)}" if labels else "none"
        raise ValueError(f"{info.name}: {wanted} {needed}{with_base}, got {got}")


def _device_of(given: Mapping[str, Any]) -> str:
    """The device all tensors are on, as torch names it."""
    devices = {label: str(getattr(tensor, "device", "cpu")) for label, tensor in given.items()}
    (first, device), *rest = devices.items()
    for label, other in rest:
        if other != device:
            raise ValueError(f"{label} is on {other}, but {first} on {device}; move them to one device")
    return device if device.startswith("cuda") else "cpu"


def _opened(given: Mapping[str, Any], device: str) -> Checkpoint:
    inputs = open_mapping(given, label="merge_tensors", device=device)
    torch = sys.modules.get("torch")
    for label, tensor in given.items():
        if torch is not None and inputs.library == "torch" and not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{label} is a numpy array among torch tensors; use one library (torch.from_numpy)")
    for label, info in inputs.tensors.items():
        if not DTYPES[info.dtype].mergeable:
            raise ValueError(f"{label} has dtype {info.dtype}; only floating-point tensors are merged")
    return inputs


def _check_shapes(infos: Mapping[str, TensorInfo]) -> None:
    (first, reference), *rest = infos.items()
    for label, info in rest:
        if info.shape != reference.shape:
            raise ValueError(f"{label} has shape {list(info.shape)}, but {first} has {list(reference.shape)}")


def _output_memory(call: _Call, out: Any) -> tuple[int, int]:
    """Address and bytes of ``out`` after checking that the result fits it as it is."""
    is_torch = call.inputs.library == "torch"
    if (type(out).__module__.partition(".")[0] == "numpy") == is_torch or not hasattr(out, "dtype"):
        raise ValueError(f"out: a {'torch tensor' if is_torch else 'numpy array'} is expected, as the inputs are")
    if tuple(out.shape) != call.shape:
        raise ValueError(f"out has shape {list(out.shape)}, the result has {list(call.shape)}")
    code = parse_dtype(out.dtype)
    if code != call.dtype:
        raise ValueError(
            f"out has dtype {code}, the result {call.dtype}; give dtype={DTYPES[code].torch_name!r} to have that"
        )
    if is_torch:
        if str(out.device) != call.device:
            raise ValueError(f"out is on {out.device}, the result on {call.device}, where the inputs are")
        if out.requires_grad:
            raise ValueError("out requires grad, and the merge is not recorded; give out.detach()")
        contiguous, writable, address = out.is_contiguous(), True, int(out.data_ptr())
    else:
        contiguous, writable = out.flags.c_contiguous and out.dtype.isnative, out.flags.writeable
        address = int(out.__array_interface__["data"][0])
    if not contiguous:
        raise ValueError("out is not contiguous; give one with the result's elements in order, without gaps")
    if not writable:
        raise ValueError("out is read-only")
    return address, call.nbytes

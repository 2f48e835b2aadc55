"""Opens models in memory: mappings of torch tensors or numpy arrays, and torch modules."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from fusion_kernels.dtypes import DTYPES, parse_dtype
from fusion_kernels.errors import quoted
from fusion_kernels.sources.checkpoint import Checkpoint, TensorInfo


def open_module(module: Any, *, label: str) -> Checkpoint:
    """Opens the state dict of a torch.nn.Module; its transformers config, where it has one, comes along."""
    checkpoint = open_mapping(module.state_dict(), label=label)
    to_dict = getattr(getattr(module, "config", None), "to_dict", None)
    config = to_dict() if callable(to_dict) else None
    checkpoint.config = config if isinstance(config, dict) else None
    return checkpoint


def open_mapping(tensors: Mapping[str, Any], *, label: str) -> Checkpoint:
    """Opens a mapping of names to torch tensors in CPU memory or numpy arrays; both may be mixed.

    Contiguous tensors are read where they are and kept alive by the Checkpoint, others are copied once. Names whose
    tensors are the same memory (tied weights) are recorded in `aliases`.

    Raises ValueError, naming model and tensor, for values that are no dense tensors, NotImplementedError for tensors that
    are not in CPU memory.
    """
    if not tensors:
        raise ValueError(f"model '{label}': the mapping holds no tensors")
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")  # no tensor arrives without its library
    checkpoint = Checkpoint(label, f"'{label}' in memory", {}, library="numpy")
    seen: dict[Any, TensorInfo] = {}
    held = []  # a mapping may make its values as they are asked for; an address must not be used twice while we compare
    for name, value in tensors.items():
        held.append(value)
        where = f"model '{label}': tensor {quoted(name)}"
        if not isinstance(name, str):
            raise ValueError(f"{where}: tensor names must be text, got a {type(name).__name__}")
        if torch is not None and isinstance(value, torch.Tensor):
            checkpoint.library = "torch"
            key, info = _torch_tensor(checkpoint, name, value, where, seen)
        elif numpy is not None and isinstance(value, numpy.ndarray):
            key, info = _numpy_array(checkpoint, name, value, where, seen)
        else:
            hint = "; give the nested mapping itself" if isinstance(value, Mapping) else ""
            raise ValueError(f"{where}: expected a torch.Tensor or numpy.ndarray, got a {type(value).__name__}{hint}")
        if key in seen and info.nbytes:
            checkpoint.aliases[name] = seen[key].name
        seen.setdefault(key, info)
        checkpoint.tensors[name] = info
    return checkpoint


def _torch_tensor(
    checkpoint: Checkpoint, name: str, tensor: Any, where: str, seen: dict[Any, TensorInfo]
) -> tuple[Any, TensorInfo]:
    device = tensor.device.type
    if device == "meta":
        raise ValueError(f"{where}: is on the meta device and has no values; load the weights first")
    if device != "cpu":
        raise NotImplementedError(f"{where}: is on {tensor.device}; only CPU memory is read for now, move it with .cpu()")
    if hasattr(tensor, "__tensor_flatten__") or hasattr(tensor, "full_tensor"):
        raise ValueError(f"{where}: is a {type(tensor).__name__}, not a plain tensor; dequantise or gather it first")
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized:
        raise ValueError(f"{where}: is sparse or quantised; make it dense first (.to_dense() or .dequantize())")
    code, shape = _dtype(tensor.dtype, where), tuple(tensor.shape)
    key = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.stride()), shape, code)
    if key in seen and seen[key].nbytes:
        return key, _renamed(seen[key], name)
    dense = tensor.detach().resolve_neg().contiguous()
    nbytes = dense.numel() * dense.element_size()
    return key, _add(checkpoint, name, code, shape, dense, dense.data_ptr(), nbytes, where)


def _numpy_array(
    checkpoint: Checkpoint, name: str, array: Any, where: str, seen: dict[Any, TensorInfo]
) -> tuple[Any, TensorInfo]:
    if hasattr(array, "mask"):
        raise ValueError(f"{where}: is a masked array; fill it first (.filled(value))")
    code, shape = _dtype(array.dtype, where), tuple(array.shape)
    key = (array.__array_interface__["data"][0], tuple(array.strides), shape, code)
    if key in seen and seen[key].nbytes:
        return key, _renamed(seen[key], name)
    dense = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    dense = dense if dense.flags.c_contiguous else dense.copy(order="C")
    return key, _add(checkpoint, name, code, shape, dense, dense.__array_interface__["data"][0], dense.nbytes, where)


def _add(
    checkpoint: Checkpoint, name: str, code: str, shape: tuple[int, ...], owner: Any, address: int, nbytes: int, where: str
) -> TensorInfo:
    if nbytes and not address:
        raise ValueError(f"{where}: its memory has been freed or was never allocated; load the weights first")
    checkpoint._alive.append(owner)
    checkpoint.memory.append((address, nbytes))
    return TensorInfo(name, code, shape, len(checkpoint.memory) - 1, 0, nbytes)


def _renamed(info: TensorInfo, name: str) -> TensorInfo:
    return TensorInfo(name, info.dtype, info.shape, info.buffer, info.offset, info.nbytes)


def _dtype(dtype: Any, where: str) -> str:
    try:
        code = parse_dtype(dtype)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if not DTYPES[code].copyable:
        raise ValueError(f"{where}: its dtype {dtype} is not supported")
    return code

"""Opens models in memory: mappings of torch tensors or numpy arrays, torch modules."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from fusion_kernels.collection import paused_collection
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


def open_mapping(tensors: Mapping[str, Any], *, label: str, device: str = "cpu") -> Checkpoint:
    """Opens a mapping of names to torch tensors or numpy arrays; in CPU memory, both may be mixed.

    Contiguous tensors are read where they are and kept alive by the Checkpoint, others are copied once. Names whose
    tensors are the same memory (tied weights) are recorded in `aliases`.

    `device`: where the tensors are, as torch names it.

    Raises ValueError, naming model and tensor, for values that are no dense tensors, NotImplementedError for tensors
    that are elsewhere.
    """
    if not tensors:
        raise ValueError(f"model {label!r}: the mapping holds no tensors")
    with paused_collection():
        return _Reader(label, device).read(tensors)


class _Reader:
    """Turns tensors into descriptions, piece of memory by piece of memory."""

    def __init__(self, label: str, device: str) -> None:
        self.device = device
        self.checkpoint = Checkpoint(label, f"{label} (in memory)", {}, library="numpy")
        self.seen: dict[Any, TensorInfo] = {}
        self.codes: dict[Any, str] = {}

    def read(self, tensors: Mapping[str, Any]) -> Checkpoint:
        checkpoint = self.checkpoint
        torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")  # no tensor arrives without its library
        held = []  # a mapping may make its values when asked; no address may be used twice while they are compared
        for name, value in tensors.items():
            held.append(value)
            if not isinstance(name, str):
                raise ValueError(f"{self.where(name)}: tensor names must be text, got a {type(name).__name__}")
            if torch is not None and isinstance(value, torch.Tensor):
                checkpoint.library = "torch"
                info = self.torch_tensor(name, value)
            elif numpy is not None and isinstance(value, numpy.ndarray):
                info = self.numpy_array(name, value)
            else:
                hint = "; give the nested mapping itself" if isinstance(value, Mapping) else ""
                raise ValueError(
                    f"{self.where(name)}: expected a torch.Tensor or numpy.ndarray, got a {type(value).__name__}{hint}"
                )
            checkpoint.tensors[name] = info
        return checkpoint

    def where(self, name: object) -> str:
        return f"model {self.checkpoint.label!r}: tensor {quoted(name)}"

    def torch_tensor(self, name: str, tensor: Any) -> TensorInfo:
        if str(tensor.device) != self.device:
            if tensor.is_meta:
                raise ValueError(f"{self.where(name)}: is on the meta device and has no values; load the weights first")
            wanted = "move it with .cpu()" if self.device == "cpu" else f"the others are on {self.device}"
            raise NotImplementedError(f"{self.where(name)}: is on {tensor.device}; {wanted}")
        if hasattr(tensor, "__tensor_flatten__") or hasattr(tensor, "full_tensor"):
            raise ValueError(
                f"{self.where(name)}: is a {type(tensor).__name__}, not a plain tensor; dequantise or gather it first"
            )
        if tensor.is_quantized or str(tensor.layout) != "torch.strided":
            raise ValueError(
                f"{self.where(name)}: is sparse or quantised; make it dense first (.to_dense() or .dequantize())"
            )
        code, shape = self.code(name, tensor.dtype), tuple(tensor.shape)
        key = (tensor.data_ptr(), tensor.stride(), shape, code, tensor.is_neg())
        if (twin := self.seen.get(key)) is not None:
            return self.alias(name, twin)
        dense = tensor.detach().resolve_neg().contiguous()
        return self.add(name, code, shape, dense, dense.data_ptr(), dense.numel() * dense.element_size(), key)

    def numpy_array(self, name: str, array: Any) -> TensorInfo:
        if hasattr(array, "mask"):
            raise ValueError(f"{self.where(name)}: is a masked array; fill it first (.filled(value))")
        code, shape = self.code(name, array.dtype), array.shape
        key = (array.ctypes.data, array.strides, shape, code, array.dtype.byteorder)
        if (twin := self.seen.get(key)) is not None:
            return self.alias(name, twin)
        dense = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
        dense = dense if dense.flags.c_contiguous else dense.copy(order="C")
        return self.add(name, code, shape, dense, dense.ctypes.data, dense.nbytes, key)

    def add(
        self, name: str, code: str, shape: tuple[int, ...], owner: Any, address: int, nbytes: int, key: object
    ) -> TensorInfo:
        if nbytes and not address:
            raise ValueError(f"{self.where(name)}: its memory was freed or never allocated; load the weights first")
        info = TensorInfo(name, code, shape, len(self.checkpoint.memory), 0, nbytes)
        self.checkpoint.memory.append((address, nbytes))
        self.checkpoint.alive.append(owner)
        if nbytes:  # empty tensors have no memory to share
            self.seen[key] = info
        return info

    def alias(self, name: str, twin: TensorInfo) -> TensorInfo:
        self.checkpoint.aliases[name] = twin.name
        return TensorInfo(name, twin.dtype, twin.shape, twin.buffer, twin.offset, twin.nbytes)

    def code(self, name: str, dtype: Any) -> str:
        code = self.codes.get(dtype)
        if code is None:
            try:
                code = self.codes[dtype] = parse_dtype(dtype)
            except ValueError as error:
                raise ValueError(f"{self.where(name)}: {error}") from None
            if not DTYPES[code].copyable:
                raise ValueError(f"{self.where(name)}: its dtype {dtype} is not supported")
        return code

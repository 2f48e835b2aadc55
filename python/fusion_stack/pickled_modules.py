"""Reads the tensors of a pickled torch.nn.Module without running code of the pickle or importing its classes.

The checkpoints of the task-vector paper (Ilharco et al. 2023, arXiv:2212.04089) are whole modules, pickled with classes
of the authors' repository and of an old open_clip. Here every class that is not torch's own becomes an empty shell that
keeps what it is given; the shells' parameters and buffers are the module's.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

_SAFE = {  # what builds tensors and containers
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch.nn.parameter", "Parameter"),
}
_BUILTINS = ("set", "frozenset", "list", "dict", "tuple", "int", "float", "bool", "str", "complex", "slice", "range")


class Shell(nn.Module):
    """Stands for an object of a class that is not imported; what the pickle says of it are its attributes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict) and "_parameters" in part:
                nn.Module.__dict__["__setstate__"](self, part)  # adds what older versions of torch did not write
            elif isinstance(part, dict):
                self.__dict__.update(part)

    def __setitem__(self, key: Any, value: Any) -> None:
        """A subclass of dict pickles its items; they say nothing of tensors."""

    def append(self, value: Any) -> None:
        """A subclass of list pickles its items; they say nothing of tensors."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage_from_bytes
        if (
            (module, name) in _SAFE
            or (module in ("builtins", "__builtin__") and name in _BUILTINS)
            or _is_storage_or_dtype(module, name)
        ):
            return super().find_class(module, name)
        return type(name, (Shell,), {"__module__": f"shell_of_{module}"})


class _PickleModule:
    """What torch.load takes as `pickle_module`."""

    __name__ = "fusion_stack.pickled_modules"
    Unpickler = _Unpickler

    @staticmethod
    def load(file: Any, **kwargs: Any) -> Any:
        return _Unpickler(file, **kwargs).load()


def read_module(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """(state dict, plain attributes) of the module, or mapping of tensors, that torch.save or pickle wrote to a file.

    Tensors are in CPU memory. Raises FileNotFoundError, and ValueError for a file that holds no tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {str(path)!r}")
    try:
        loaded = _load(path)
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, RuntimeError, KeyError, IndexError) as error:
        raise ValueError(f"{path}: no pickled module or state dict: {type(error).__name__}: {error}") from error
    if isinstance(loaded, dict):
        loaded = loaded.get("state_dict", loaded)
        state = {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
        attributes: dict[str, Any] = {}
    else:
        state = loaded.state_dict() if isinstance(loaded, Shell) else {}
        attributes = {key: value for key, value in getattr(loaded, "__dict__", {}).items() if not key.startswith("_")}
    if not state:
        raise ValueError(f"{path}: holds no tensors, but a {type(loaded).__name__}")
    return {name: tensor.detach().contiguous() for name, tensor in state.items()}, attributes


def _load(path: Path) -> Any:
    if zipfile.is_zipfile(path) or path.read_bytes()[:2] == b"\x80\x02":  # torch's own two formats
        module: Any = _PickleModule
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=module)
    with path.open("rb") as file:
        return _Unpickler(file).load()


def _storage_from_bytes(data: bytes) -> Any:
    module: Any = _PickleModule
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False, pickle_module=module)


def _is_storage_or_dtype(module: str, name: str) -> bool:
    if module == "torch.storage":
        return name in ("TypedStorage", "UntypedStorage", "_TypedStorage", "_UntypedStorage")
    return module == "torch" and (name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype))

"""Checks arguments at the door: an error names the argument, where in it, what it is and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fusion_kernels.errors import listing, quoted, suggest
from fusion_kernels.ops._backend import check_device
from fusion_kernels.ops._formats import CODES

__all__ = [
    "base_tensor", "choice", "coefficient_tensor", "integer", "many_tensors", "number", "one_tensor",
    "out_dtype", "same_device", "sign_tensor",
]  # fmt: skip


def one_tensor(value: Any, name: str) -> Tensor:
    """A dense floating tensor on a device there is a backend for."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: a torch tensor is expected, got a {type(value).__name__}")
    if value.layout != torch.strided:
        raise ValueError(f"{name} has layout {value.layout}; make it dense first (.to_dense())")
    if value.dtype not in CODES:
        raise ValueError(f"{name} has dtype {value.dtype}; expected one of {listing(CODES)}")
    _check_device(value, name)
    return value


def _check_device(tensor: Tensor, name: str) -> None:
    if tensor.device.type != "meta":  # has no values, only shapes, and those are known
        check_device(tensor.device, name)


def _check_same(tensor: Tensor, name: str, like: Tensor, like_name: str) -> None:
    if tensor.shape != like.shape:
        raise ValueError(f"{name} has shape {list(tensor.shape)}, but {like_name} has {list(like.shape)}")
    same_device(tensor, name, like, like_name)


def same_device(tensor: Tensor, name: str, like: Tensor, like_name: str) -> None:
    """Both tensors are where the second is."""
    if tensor.device != like.device:
        raise ValueError(f"{name} is on {tensor.device}, but {like_name} on {like.device}; move them to one device")


def many_tensors(value: Any, name: str) -> list[Tensor]:
    """One tensor of each model: of a list of equally shaped ones, or of one tensor whose first dimension they are."""
    if isinstance(value, Tensor):
        if value.dim() == 0:
            raise ValueError(f"{name}: a sequence of tensors, or one with the models first, is expected, got a scalar")
        one_tensor(value, name)
        tensors = list(value.unbind(0))
    elif isinstance(value, (list, tuple)):
        tensors = [one_tensor(tensor, f"{name}[{index}]") for index, tensor in enumerate(value)]
    else:
        raise ValueError(
            f"{name}: a list of tensors, one per model, or one stacked tensor is expected, got a {type(value).__name__}"
        )
    if not tensors:
        raise ValueError(f"{name}: at least one tensor is expected, got none")
    for index, tensor in enumerate(tensors):
        _check_same(tensor, f"{name}[{index}]", tensors[0], f"{name}[0]")
    return tensors


def base_tensor(value: Any, tensors: Sequence[Tensor], name: str) -> Tensor | None:
    """What the tensors started from, of their shape, or None."""
    if value is None:
        return None
    base = one_tensor(value, "base")
    _check_same(base, "base", tensors[0], f"{name}[0]")
    return base


def sign_tensor(value: Any, tensors: Sequence[Tensor], name: str) -> Tensor:
    """Signs as elect_sign gives them."""
    if not isinstance(value, Tensor) or value.dtype != torch.int8:
        got = value.dtype if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise ValueError(
            f"signs: a tensor of dtype torch.int8 is expected, as elect_sign gives, got {got}; "
            "x.sign().to(torch.int8) makes one of numbers"
        )
    _check_same(value, "signs", tensors[0], f"{name}[0]")
    return value


def coefficient_tensor(value: Any, name: str, tensors: Sequence[Tensor], of: str) -> Tensor:
    """One number for each tensor, as a tensor; None is a one for each.

    Numbers stay on the CPU, where a GPU's backend has them from without waiting; a tensor is where its tensors are.
    """
    count = len(tensors)
    if value is None:
        return torch.ones(count, dtype=torch.float64, device="cpu")
    if isinstance(value, Tensor):
        if value.shape != (count,):
            raise ValueError(f"{name} has shape {list(value.shape)}; expected [{count}], one number for each of {of}")
        if value.dtype.is_complex or value.dtype == torch.bool:
            raise ValueError(f"{name} has dtype {value.dtype}; real numbers are expected")
        same_device(value, name, tensors[0], f"{of}[0]")
        return value
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name}: a list of numbers or a 1-D tensor is expected, got a {type(value).__name__}")
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} numbers; expected {count}, one for each of {of}")
    for index, one in enumerate(value):
        if isinstance(one, Tensor):
            raise ValueError(f"{name}[{index}] is a tensor among numbers; torch.stack makes one tensor of them")
        number(one, f"{name}[{index}]")
    return torch.tensor([float(one) for one in value], dtype=torch.float64, device="cpu")


def number(value: Any, name: str, low: float = -float("inf"), high: float = float("inf")) -> float:
    """A number between two bounds, which belong to them. A NaN lies between none."""
    bounds = f" from {low:g} to {high:g}" if high < float("inf") else f" of at least {low:g}" if low >= 0 else ""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{name}: a number{bounds} is expected, got {quoted(value)}")
    return float(value)


def integer(value: Any, name: str, below: int) -> int:
    """A whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
        raise ValueError(f"{name}: an integer in [0, 2^{below.bit_length() - 1}) is expected, got {quoted(value)}")
    return value


def choice(value: Any, name: str, known: Sequence[str]) -> str:
    """One of a few names."""
    if value not in known:
        raise ValueError(f"{name} is one of {listing(known)}, got {quoted(value)}.{suggest(value, known)}")
    return str(value)


def out_dtype(value: Any) -> torch.dtype | None:
    """A format that results are made in; None: the tensors' common one."""
    if value is None or (isinstance(value, torch.dtype) and value in CODES):
        return value
    raise ValueError(f"dtype: one of {listing(CODES)} is expected, got {quoted(value)}")

"""Tensors of the one list of cases, as torch's, and as the numbers an oracle computes with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from cases import CASES, MIXED_DTYPES, Case, Tensors
from oracle.formats import FORMATS, decode, encode

TORCH = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
CODE = {dtype: code for code, dtype in TORCH.items()}
DTYPES = tuple(TORCH.values())

# (output, base, models): every format by itself, then any mix.
MIXES = [(code, code, (code,)) for code in TORCH] + list(MIXED_DTYPES)


def torch_tensor(codes: np.ndarray, code: str, shape: Sequence[int]) -> torch.Tensor:
    return torch.from_numpy(codes.view(f"i{codes.itemsize}").copy()).view(TORCH[code]).reshape(tuple(shape))


def base_and_models(tensors: Tensors) -> tuple[torch.Tensor, list[torch.Tensor]]:
    models = zip(tensors.models, tensors.model_dtypes, strict=True)
    base = torch_tensor(tensors.base, tensors.base_dtype, tensors.shape)
    return base, [torch_tensor(codes, code, tensors.shape) for codes, code in models]


def all_of(case: Case, mix: tuple[str, str, tuple[str, ...]]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    return base_and_models(case.tensors(*mix))


def codes_of(tensor: torch.Tensor) -> np.ndarray:
    """The stored bits, flat, as the oracles write them."""
    code = CODE[tensor.dtype]
    size = FORMATS[code].bits // 8
    integers = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size]
    return tensor.detach().contiguous().view(integers).numpy().ravel().view(FORMATS[code].carrier)


def numbers_of(tensor: torch.Tensor, double: bool | None = None) -> np.ndarray:
    """The values in the compute type: float64 for float64 tensors, or as asked; in the tensor's shape."""
    double = tensor.dtype == torch.float64 if double is None else double
    with np.errstate(all="ignore"):
        values = decode(codes_of(tensor), CODE[tensor.dtype]).astype(np.float64 if double else np.float32)
    return values.reshape(tuple(tensor.shape))


def assert_stored(tensor: torch.Tensor, expected: np.ndarray) -> None:
    """The tensor holds these values, rounded once to its format, bit for bit; zeros of either sign are one."""
    code = CODE[tensor.dtype]
    with np.errstate(all="ignore"):
        wanted = encode(np.asarray(expected).ravel(), code)
        same = (codes_of(tensor) == wanted) | ((decode(wanted, code) == 0) & (decode(codes_of(tensor), code) == 0))
    assert tuple(tensor.shape) == np.shape(expected)
    assert same.all(), f"{np.count_nonzero(~same)} of {same.size} elements differ, first at {np.flatnonzero(~same)[:3]}"


def random_tensors(count: int, *shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(count)]


def ids(cases: Sequence[Case]) -> list[str]:
    return [case.name for case in cases]


__all__ = [
    "CASES", "CODE", "DTYPES", "MIXES", "TORCH", "all_of", "assert_stored", "base_and_models", "codes_of", "ids",
    "numbers_of", "random_tensors", "torch_tensor",
]  # fmt: skip

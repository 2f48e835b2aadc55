"""The number formats a tensor can be stored in, under their safetensors codes.

Source of the codes: the `Dtype` enumeration of the safetensors format. The mergeable formats are those the engine
computes with; the copyable ones it can also copy or compare byte by byte; the rest can be read in a header and named in
an error, nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class DType:
    """One number format.

    code: the safetensors code, such as "BF16".
    itemsize_bits: bits per element (4 and 6 exist in the format, hence bits).
    floating: a floating-point format with a sign, an exponent and a mantissa.
    mergeable: the engine computes with it; implies copyable.
    torch_name: attribute of the torch module, or None where torch has no such format.
    numpy_name: numpy's name, or None where numpy has no such format.
    copyable: the engine copies and compares it as bytes.
    """

    code: str
    itemsize_bits: int
    floating: bool
    mergeable: bool
    torch_name: str | None
    numpy_name: str | None
    copyable: bool = True


_TABLE = (
    DType("F64", 64, True, True, "float64", "float64"),
    DType("F32", 32, True, True, "float32", "float32"),
    DType("F16", 16, True, True, "float16", "float16"),
    DType("BF16", 16, True, True, "bfloat16", None),
    DType("F8_E4M3", 8, True, True, "float8_e4m3fn", None),
    DType("F8_E5M2", 8, True, True, "float8_e5m2", None),
    DType("I64", 64, False, False, "int64", "int64"),
    DType("I32", 32, False, False, "int32", "int32"),
    DType("I16", 16, False, False, "int16", "int16"),
    DType("I8", 8, False, False, "int8", "int8"),
    DType("U64", 64, False, False, "uint64", "uint64"),
    DType("U32", 32, False, False, "uint32", "uint32"),
    DType("U16", 16, False, False, "uint16", "uint16"),
    DType("U8", 8, False, False, "uint8", "uint8"),
    DType("BOOL", 8, False, False, "bool", "bool"),
    DType("C64", 64, False, False, "complex64", "complex64", copyable=False),
    DType("F8_E4M3FNUZ", 8, True, False, "float8_e4m3fnuz", None, copyable=False),
    DType("F8_E5M2FNUZ", 8, True, False, "float8_e5m2fnuz", None, copyable=False),
    DType("F8_E8M0", 8, True, False, "float8_e8m0fnu", None, copyable=False),
    DType("F6_E2M3", 6, True, False, None, None, copyable=False),
    DType("F6_E3M2", 6, True, False, None, None, copyable=False),
    DType("F4", 4, True, False, "float4_e2m1fn_x2", None, copyable=False),
)
DTYPES: Mapping[str, DType] = MappingProxyType({dtype.code: dtype for dtype in _TABLE})

_SHORT_NAMES = {
    "double": "F64", "fp64": "F64", "float": "F32", "fp32": "F32", "half": "F16", "fp16": "F16",
    "fp8_e4m3": "F8_E4M3", "fp8_e4m3fn": "F8_E4M3", "fp8_e5m2": "F8_E5M2", "float8_e4m3": "F8_E4M3",
    "float4_e2m1fn": "F4", "float6_e2m3fn": "F6_E2M3", "float6_e3m2fn": "F6_E3M2",  # as ml_dtypes calls them
}  # fmt: skip
_CODES_BY_NAME = {
    **{dtype.code.lower(): dtype.code for dtype in _TABLE},
    **{dtype.torch_name: dtype.code for dtype in _TABLE if dtype.torch_name},
    **_SHORT_NAMES,
}


def parse_dtype(dtype: object) -> str:
    """Returns the safetensors code of a format given as text ("bfloat16", "bf16", "BF16"), torch.dtype or numpy.dtype.

    Raises ValueError for anything else, with a suggestion where the text looks like a known name.
    """
    if isinstance(dtype, str):
        text = dtype
    elif isinstance(dtype, type):  # numpy.float32, the scalar type
        text = dtype.__name__
    else:  # numpy.dtype has a name; torch.dtype prints as torch.<name>
        name = getattr(dtype, "name", None)
        text = name if isinstance(name, str) else str(dtype)
    code = _CODES_BY_NAME.get(text.strip().lower().removeprefix("torch."))
    if code is None:
        from fusion_kernels.errors import suggest

        known = [dtype.torch_name for dtype in _TABLE if dtype.mergeable and dtype.torch_name]
        raise ValueError(
            f"unknown dtype {text!r}; the engine computes with {', '.join(known)}.{suggest(text, _CODES_BY_NAME)}"
        )
    return code


def promote(codes: Iterable[str]) -> str:
    """Returns the narrowest format that holds every value of all given ones, whatever their order.

    Equal formats stay. fp8 next to a wider float takes the wider one (bf16 and fp16 hold both fp8 formats), the two fp8
    formats together give F16, F16 with BF16 gives F32, F64 wins. Raises ValueError for integers or booleans next to
    anything else, for formats the engine does not compute with, and for no formats at all.
    """
    distinct = set(codes)
    if len(distinct) == 1:
        return distinct.pop()
    if not distinct:
        raise ValueError("no dtypes to promote: at least one tensor is needed")
    for code in sorted(distinct):
        if not DTYPES[code].mergeable:
            others = ", ".join(sorted(distinct - {code}))
            raise ValueError(f"dtypes {code} and {others} have no common dtype: only floating formats are promoted")
    wide = distinct - {"F8_E4M3", "F8_E5M2"}
    if not wide:
        return "F16"
    if "F64" in wide:
        return "F64"
    return wide.pop() if len(wide) == 1 else "F32"

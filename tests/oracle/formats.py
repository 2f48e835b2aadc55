"""Number formats of weight files: exact decoding to float64, rounding back by the textbook definition.

Written from the formats' definitions (IEEE 754, bfloat16, OCP 8-bit floating point), not from the engine: a finite
value is a whole multiple of the quantum at its exponent, so rounding is one division by a power of two, one
round-half-to-even and one multiplication, all three exact in a wider type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Format:
    """One floating-point format: `bits` hold a sign, an exponent and a `mantissa`; magnitudes end at `largest`."""

    code: str
    bits: int
    mantissa: int
    smallest_exponent: int  # of the normal numbers
    largest: float
    saturates: bool  # overflow gives ±largest instead of ±Inf
    nan: int  # the one pattern stored for every NaN

    @property
    def smallest(self) -> float:
        """The smallest positive subnormal."""
        return 2.0 ** (self.smallest_exponent - self.mantissa)

    @property
    def carrier(self) -> np.dtype:
        """The unsigned integer type that holds one code."""
        return np.dtype(f"u{self.bits // 8}")

    @property
    def compute(self) -> type[np.floating]:
        """What an output of this format is computed in: float64 for F64, else float32."""
        return np.float64 if self.code == "F64" else np.float32


FORMATS = {
    format.code: format
    for format in (
        Format("F64", 64, 52, -1022, float(np.finfo(np.float64).max), False, 0x7FF8_0000_0000_0000),
        Format("F32", 32, 23, -126, float(np.finfo(np.float32).max), False, 0x7FC0_0000),
        Format("F16", 16, 10, -14, 65504.0, False, 0x7E00),
        Format("BF16", 16, 7, -126, (2.0 - 2.0**-7) * 2.0**127, False, 0x7FC0),
        Format("F8_E4M3", 8, 3, -6, 448.0, True, 0x7F),
        Format("F8_E5M2", 8, 2, -14, 57344.0, False, 0x7F),
    )
}


def decode(codes: np.ndarray, code: str) -> np.ndarray:
    """The exact values of an array of codes, as float64."""
    format = FORMATS[code]
    with np.errstate(invalid="ignore"):  # a signalling NaN, which a conversion makes quiet
        if code in ("F64", "F32", "F16"):
            return codes.view(f"f{format.bits // 8}").astype(np.float64)
        if code == "BF16":
            return (codes.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return _byte_values(format)[codes]


def round_to(values: np.ndarray, code: str) -> np.ndarray:
    """`values` (float32, float64 or longdouble) rounded once, to nearest even, to what the format can hold."""
    if code == "F64" and values.dtype != np.longdouble:
        return values.astype(np.float64)  # holds them all
    format = FORMATS[code]
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.frexp(values)[1] - 1, format.smallest_exponent)
        quantum_exponent = (exponent - format.mantissa).astype(np.int32)
        wide = values.astype(np.longdouble if code == "F64" else np.float64)
        rounded = np.ldexp(np.rint(np.ldexp(wide, -quantum_exponent)), quantum_exponent)
        rounded = np.where(np.isfinite(wide), rounded, wide)
        limit = format.largest if format.saturates else np.inf
        overflowed = np.abs(rounded) > format.largest
        return np.where(overflowed, np.copysign(limit, rounded), rounded).astype(np.float64)


def encode(values: np.ndarray, code: str) -> np.ndarray:
    """The codes of `values` rounded to the format; every NaN becomes the format's one pattern."""
    format = FORMATS[code]
    rounded = round_to(np.asarray(values), code)
    nan = np.isnan(rounded)
    safe = np.where(nan, 0.0, rounded)
    if code in ("F64", "F32", "F16"):
        codes = safe.astype(f"f{format.bits // 8}").view(format.carrier)
    elif code == "BF16":
        codes = (safe.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    else:
        codes = _byte_codes(safe, format)
    return np.where(nan, format.carrier.type(format.nan), codes).astype(format.carrier)


def _byte_values(format: Format) -> np.ndarray:
    """The value of each of the 256 codes of an 8-bit format."""
    codes = np.arange(256)
    exponent_field = (codes & 0x7F) >> format.mantissa
    fraction = (codes & ((1 << format.mantissa) - 1)) / 2.0**format.mantissa
    normal = np.ldexp(1.0 + fraction, exponent_field - 1 + format.smallest_exponent)
    subnormal = np.ldexp(fraction, format.smallest_exponent)
    values = np.where(exponent_field > 0, normal, subnormal)
    beyond = values > format.largest
    infinity = beyond & (fraction == 0) & (not format.saturates)
    values = np.where(infinity, np.inf, np.where(beyond, np.nan, values))
    return np.where(codes >= 128, -values, values)


def _byte_codes(rounded: np.ndarray, format: Format) -> np.ndarray:
    """The codes of values that the 8-bit format holds exactly (±0 and ±Inf included, NaN not)."""
    positive = _byte_values(format)[:128]
    positive = positive[~np.isnan(positive)]
    codes = np.searchsorted(positive, np.abs(rounded)).astype(np.uint8)
    return codes | (np.signbit(rounded).astype(np.uint8) << 7)

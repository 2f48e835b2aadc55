"""The oracles' own number formats agree with NumPy's and torch's, and with the formats' published tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracle.formats import FORMATS, decode, encode, round_to

TORCH = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
NARROW = [code for code, format in FORMATS.items() if format.bits <= 16]


def every_code(code: str) -> np.ndarray:
    return np.arange(1 << FORMATS[code].bits, dtype=FORMATS[code].carrier)


@pytest.mark.parametrize("code", NARROW)
def test_every_code_decodes_as_torch_decodes_it(code: str) -> None:
    codes = every_code(code)
    theirs = torch.from_numpy(codes.copy()).view(TORCH[code]).to(torch.float64).numpy()
    np.testing.assert_array_equal(decode(codes, code), theirs)


@pytest.mark.parametrize("code", NARROW)
def test_every_code_that_is_a_number_survives_a_round_trip(code: str) -> None:
    codes = every_code(code)
    values = decode(codes, code)
    back = encode(values, code)
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(back[numbers], codes[numbers])
    assert set(back[~numbers].tolist()) == {FORMATS[code].nan}


@pytest.mark.parametrize("code", [*NARROW, "F32"])
def test_rounding_is_the_one_torch_does(code: str) -> None:
    """Random float32 patterns over the whole range, and the midpoints between neighbours, where ties are decided."""
    rng = np.random.default_rng(5)
    patterns = rng.integers(0, 1 << 32, 200_000, dtype=np.uint32).view(np.float32)
    codes = every_code(code) if code in NARROW else np.zeros(0, np.uint32)
    values = decode(codes, code)
    neighbours = np.sort(values[np.isfinite(values)])
    with np.errstate(all="ignore"):
        middles = ((neighbours[1:] + neighbours[:-1]) / 2).astype(np.float32)
        inputs = np.concatenate([patterns, middles, np.nextafter(middles, np.float32(np.inf))])
    inputs = inputs[~np.isnan(inputs)]
    if FORMATS[code].saturates:  # torch turns an overflow of e4m3fn into NaN, the engine saturates
        inputs = np.clip(inputs, -FORMATS[code].largest, FORMATS[code].largest)
    theirs = torch.from_numpy(inputs).to(TORCH[code]).view(getattr(torch, f"uint{FORMATS[code].bits}")).numpy()
    np.testing.assert_array_equal(encode(inputs, code), theirs)


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("F8_E4M3", 1e6, 448.0),
        ("F8_E4M3", -np.inf, -448.0),
        ("F8_E4M3", 464.0, 448.0),
        ("F8_E5M2", 61439.0, 57344.0),
        ("F8_E5M2", 61440.0, np.inf),
        ("F16", 65519.0, 65504.0),
        ("F16", -65520.0, -np.inf),
        ("BF16", 3.4e38, np.inf),
        ("F8_E4M3", 2.0**-10, 0.0),
        ("F8_E4M3", 1.5 * 2.0**-9, 2.0**-8),
        ("F32", 1.0 + 2.0**-24, 1.0),
        ("F32", 1.0 + 3 * 2.0**-24, 1.0 + 2.0**-22),
    ],
)
def test_overflow_and_ties_to_even(code: str, value: float, expected: float) -> None:
    assert round_to(np.array([value]), code)[0] == expected

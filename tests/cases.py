"""The one list of shapes, dtypes and edge values that tests and benchmarks run."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from oracle.formats import FORMATS, Format, decode, encode

DTYPES = tuple(FORMATS)
MODEL_COUNTS = (1, 2, 3, 4, 5, 9)
BLOCK = 4096  # elements; statistics are summed, tiles are cut in multiples of it
LANES = (4, 8, 16, 64)
SIZES = (
    1,
    2,
    *sorted({lane + step for lane in LANES for step in (-1, 0, 1)}),
    BLOCK - 1,
    BLOCK,
    BLOCK + 1,
    3 * BLOCK + 17,
)
SHAPES = ((), (0,), (1, 1), (3, 5), (2, 0, 4), (7, 1, 11))
# Rows of one element, one row, many short ones, rows on both sides of a block: ranks and some angles are a row's own.
ROWS = ((13, 1), (1, 13), (67, 9), (3, BLOCK - 1), (2, BLOCK + 5))

# (output, base, models in turn): what is read may differ from model to model, and from what is written.
MIXED_DTYPES = (
    ("BF16", "F32", ("BF16", "F16")),
    ("F32", "BF16", ("F32", "BF16", "F16")),
    ("F16", "F16", ("F8_E4M3", "F8_E5M2")),
    ("F64", "F32", ("F64", "BF16")),
    ("F32", "F64", ("F32",)),
    ("F8_E4M3", "BF16", ("BF16",)),
    ("F8_E5M2", "F32", ("F16", "F8_E4M3")),
    ("BF16", "F64", ("F64", "F8_E5M2", "BF16")),
)

Arrays = tuple[np.ndarray, list[np.ndarray]]


def fine_tunes(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Weights of spread 0.02 and small changes: in a 16-bit format most deltas are a few equal values."""
    base = 0.02 * rng.standard_normal(size)
    return base, [base + 0.001 * rng.standard_normal(size) for _ in range(models)]


def unrelated(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Models that share nothing: what slerp's arc is for."""
    return rng.standard_normal(size), [rng.standard_normal(size) for _ in range(models)]


def zero_deltas(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Every model equals the base."""
    base = rng.standard_normal(size)
    return base, [base.copy() for _ in range(models)]


def all_equal(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """One number everywhere, so that every delta is the same."""
    return np.full(size, 0.5), [np.full(size, 0.75) for _ in range(models)]


def heavy_ties(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Deltas of seven exact values only: the cut always falls among equals."""
    base = rng.integers(-2, 3, size) / 4.0
    return base, [base + rng.choice([-0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5], size) for _ in range(models)]


def opposite(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Exact deltas that cancel between neighbours: the elected sum is zero, the mean of the models the base."""
    base = rng.integers(-2, 3, size) / 4.0
    delta = rng.choice([-0.5, -0.25, 0.25, 0.5], size)
    return base, [base + delta * (-1.0) ** i for i in range(models)]


def signed_zeros(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Zeros of either sign."""
    return rng.choice([0.0, -0.0], size), [rng.choice([0.0, -0.0], size) for _ in range(models)]


def subnormals(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Small multiples of the format's smallest number."""
    draw = lambda: format.smallest * rng.integers(-9, 10, size)  # noqa: E731
    return draw(), [draw() for _ in range(models)]


def huge(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """The largest finite numbers: sums overflow."""
    draw = lambda: format.largest * rng.choice([-1.0, -0.5, 0.25, 0.5, 1.0], size)  # noqa: E731
    return draw(), [draw() for _ in range(models)]


def not_a_number(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Fine-tunes in which about one element in eight of each tensor is NaN."""
    return _sprinkled(rng, size, models, format, [np.nan, -np.nan])


def infinite(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """Fine-tunes in which about one element in eight of each tensor is ±Inf (±448 in e4m3fn, which has none)."""
    return _sprinkled(rng, size, models, format, [np.inf, -np.inf])


def everything(rng: np.random.Generator, size: int, models: int, format: Format) -> Arrays:
    """All of the special values among ordinary ones."""
    special = [0.0, -0.0, np.nan, np.inf, -np.inf, format.largest, -format.largest, format.smallest, 0.5, 0.5, -0.5]
    return _sprinkled(rng, size, models, format, special)


def _sprinkled(rng: np.random.Generator, size: int, models: int, format: Format, special: Sequence[float]) -> Arrays:
    def sprinkle(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(size) < 0.125, rng.choice(special, size), values)

    base, tuned = fine_tunes(rng, size, models, format)
    return sprinkle(base), [sprinkle(model) for model in tuned]


VALUES: dict[str, Callable[[np.random.Generator, int, int, Format], Arrays]] = {
    values.__name__: values
    for values in (
        fine_tunes, unrelated, zero_deltas, all_equal, heavy_ties, opposite,
        signed_zeros, subnormals, huge, not_a_number, infinite, everything,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A shape, a kind of values and a number of models."""

    shape: tuple[int, ...]
    values: str
    models: int = 3

    @property
    def name(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        return f"{self.values}-{shape}-{self.models}"

    @property
    def size(self) -> int:
        return prod(self.shape)

    def tensors(self, output: str, base: str | None = None, models: Sequence[str] = ()) -> Tensors:
        """Codes of the base and of the models, stored in the dtypes given (`output`'s where none is).

        Most methods are tested with the same ones: asked for again, it is the same object, which nobody may change.
        """
        dtypes = tuple(models[i % len(models)] if models else output for i in range(self.models))
        return _tensors(self, output, base or output, dtypes)


@lru_cache(maxsize=1024)  # some 100 kB each
def _tensors(case: Case, output: str, base: str, dtypes: tuple[str, ...]) -> Tensors:
    seed = zlib.crc32(f"{case.name} {output}".encode())
    narrowest = min((FORMATS[d] for d in {base, *dtypes}), key=lambda f: (f.bits, f.mantissa))
    start, tuned = VALUES[case.values](np.random.default_rng(seed), case.size, case.models, narrowest)

    def stored(values: np.ndarray, dtype: str) -> np.ndarray:
        codes = encode(values, dtype)
        codes = any_nan(np.random.default_rng(seed), codes, dtype) if case.values == "not_a_number" else codes
        codes.flags.writeable = False
        return codes

    with np.errstate(all="ignore"):
        models = [stored(model, dtype) for model, dtype in zip(tuned, dtypes, strict=True)]
        return Tensors(case.name, case.shape, output, base, stored(start, base), list(dtypes), models)


def any_nan(rng: np.random.Generator, codes: np.ndarray, dtype: str) -> np.ndarray:
    """The codes with every NaN replaced by any of the format's: quiet or signalling, of either sign."""
    format = FORMATS[dtype]
    mantissa = (1 << format.mantissa) - 1
    exponent = format.nan & ~mantissa
    payload = (
        np.full(codes.shape, mantissa) if format.saturates else rng.integers(1, mantissa, codes.shape, endpoint=True)
    )
    sign = rng.integers(0, 2, codes.shape).astype(np.uint64) << np.uint64(format.bits - 1)
    patterns = (payload.astype(np.uint64) | np.uint64(exponent) | sign).astype(codes.dtype)
    return np.where(np.isnan(decode(codes, dtype)), patterns, codes)


@dataclass(frozen=True, eq=False)
class Tensors:
    """One tensor of the base and of every model, as stored."""

    name: str
    shape: tuple[int, ...]
    output: str
    base_dtype: str
    base: np.ndarray
    model_dtypes: list[str]
    models: list[np.ndarray]


def _cases() -> tuple[Case, ...]:
    by_size = [Case((size,), "everything", MODEL_COUNTS[i % len(MODEL_COUNTS)]) for i, size in enumerate(SIZES)]
    by_shape = [Case(shape, "fine_tunes", 2) for shape in SHAPES]
    by_values = [Case((size,), values) for values in VALUES for size in (61, BLOCK + 13)]
    by_count = [Case((2 * BLOCK + 3,), values, n) for n in MODEL_COUNTS for values in ("fine_tunes", "heavy_ties")]
    by_rows = [
        Case(shape, values)
        for shape, values in zip(
            ROWS, ("unrelated", "everything", "heavy_ties", "fine_tunes", "not_a_number"), strict=True
        )
    ]
    by_row_values = [
        Case((5, 13), values) for values in ("unrelated", "zero_deltas", "heavy_ties", "everything", "huge")
    ]
    return tuple(dict.fromkeys([*by_size, *by_shape, *by_values, *by_count, *by_rows, *by_row_values]))


CASES = _cases()

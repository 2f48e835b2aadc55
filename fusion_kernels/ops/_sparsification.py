"""Thins a task vector: by magnitude, as TIES does, or at random, as DARE does."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from fusion_kernels.ops import _library
from fusion_kernels.ops._formats import compute_dtype, rows_of
from fusion_kernels.ops._inputs import choice, integer, number, one_tensor, same_device

__all__ = ["magnitude_threshold", "sparsify_magnitude", "sparsify_random"]

_NO_LAST = 2**63 - 1


def magnitude_threshold(
    delta: Tensor, density: float, *, per: Literal["tensor", "row"] = "tensor"
) -> tuple[Tensor, Tensor]:
    """The magnitude from which a share of the elements is kept, and the index of the last one of that magnitude.

    The k = max(1, floor(density · n)) elements of largest magnitude are kept, the first by index among equals, a NaN
    before an infinity: an element x at index i is kept if |x| > T, or if |x| = T and i <= last. TIES trims so (Yadav et
    al. 2023, arXiv:2306.01708).

    delta: a tensor of any shape.
    density: the share to keep, from 0 to 1.
    per: "tensor", or "row" for a threshold of its own for each row: what belongs to one index of the first dimension. A
        tensor of fewer than two dimensions is one row.

    Returns T and last, scalars, or one of each for every row: T of dtype float32 (float64 for a float64 delta), last
    int64, counting within the tensor or the row. Where T is 0, all that is not zero is kept, and last is -1, as zeros
    are nothing to keep; density 1 gives that too. Where nothing is kept (density 0, no elements) T is NaN and last -1;
    a T of NaN with another last is a cut among NaNs, of which those up to last are kept.

    Raises ValueError for a density outside [0, 1] or a tensor that is not of a supported floating dtype; DeviceError
    for a device it cannot run on.
    """
    delta = one_tensor(delta, "delta")
    by_row = choice(per, "per", ("tensor", "row")) == "row"
    threshold, last = _library.magnitude_threshold(delta, number(density, "density", 0, 1), by_row)
    return threshold, last


def sparsify_magnitude(
    delta: Tensor,
    density: float | None = None,
    *,
    per: Literal["tensor", "row"] = "tensor",
    threshold: float | Tensor | tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Keep the elements of largest magnitude; the others become zero.

    With a density, exactly the share :func:`magnitude_threshold` describes, the first trim step of TIES (Yadav et al.
    2023, arXiv:2306.01708): kept = delta · [|delta| is among the k largest]. With a threshold, kept = delta · [|delta|
    >= threshold], which may have been found elsewhere, over several tensors for instance.

    delta: a tensor of any shape.
    density: the share to keep, from 0 to 1; or give a threshold.
    per: what the density, or each threshold, is about: "tensor" or "row", see magnitude_threshold().
    threshold: a number of at least 0; a scalar tensor or, for per="row", one number for each row; or the pair that
        magnitude_threshold() returns, which tells equals apart by their index. Rounded to the compute type. Of tensors
        the magnitude counts; a NaN is kept whatever the threshold, and one as threshold keeps NaNs alone.

    Returns a tensor of delta's shape and dtype. Kept elements are unchanged, but for NaN, which has one pattern, and
    -0, which becomes 0. Raises ValueError and DeviceError as magnitude_threshold().
    """
    delta = one_tensor(delta, "delta")
    by_row = choice(per, "per", ("tensor", "row")) == "row"
    if (density is None) == (threshold is None):
        raise ValueError("sparsify_magnitude: either a density or a threshold is expected, one of the two")
    if density is not None:
        pair = _library.magnitude_threshold(delta, number(density, "density", 0, 1), by_row)
    else:
        pair = _given_cut(delta, threshold, by_row)
    kept: Tensor = _library.sparsify_magnitude(delta, *pair)
    return kept


def _given_cut(delta: Tensor, threshold: float | Tensor | tuple[Tensor, Tensor] | None, by_row: bool) -> list[Tensor]:
    shape = (rows_of(delta.shape, by_row)[0],) if by_row else ()
    expected = f"a tensor of shape {list(shape)}" if by_row else "a scalar"
    if isinstance(threshold, (tuple, list)):
        if len(threshold) != 2 or not all(isinstance(part, Tensor) and part.shape == shape for part in threshold):
            raise ValueError(f"threshold: of a pair each is {expected}, as magnitude_threshold(delta, ..., per=) gives")
        for part in threshold:
            same_device(part, "threshold", delta, "delta")
        return list(threshold)
    if isinstance(threshold, Tensor):
        if threshold.shape != shape and threshold.dim() != 0:
            raise ValueError(f"threshold has shape {list(threshold.shape)}; {expected} is expected")
        same_device(threshold, "threshold", delta, "delta")
        threshold = threshold.to(compute_dtype([delta])).expand(shape)
    else:
        least = number(threshold, "threshold", 0)
        threshold = torch.full(shape, least, dtype=compute_dtype([delta]), device=delta.device)
    return [threshold, torch.full(shape, _NO_LAST, dtype=torch.int64, device=delta.device)]


def sparsify_random(
    delta: Tensor, density: float, *, seed: int, name: str = "", model: int = 0, rescale: bool = True
) -> Tensor:
    """Keep each element with a probability, and enlarge what is kept to make up for the rest.

    DARE (Yu et al. 2024, arXiv:2311.03099): m ~ Bernoulli(density), kept = m · delta / density. The draws are those of
    a dare merge of the same seed, of the tensor of that name, of the model with that number among the merged ones: they
    depend on nothing else, and their format is public (see the methods' documentation). A draw has 16 bits, so p =
    floor(65536 · density + 1/2) / 65536 is the density in effect, at least 1/65536 unless it is 0.

    delta: a tensor of any shape.
    density: the probability to be kept, from 0 to 1.
    seed: an integer in [0, 2^64).
    name: the tensor's name in the merged model.
    model: the model's number, from 0, among those that are merged, the base not counted.
    rescale: divide what is kept by p, in the compute type and with one rounding.

    Returns a tensor of delta's shape and dtype; zeros come out as +0. Raises ValueError for what is outside these
    bounds or for a tensor that is not of a supported floating dtype; DeviceError for a device it cannot run on.
    """
    delta = one_tensor(delta, "delta")
    share = number(density, "density", 0, 1)
    seed, model = integer(seed, "seed", 2**64), integer(model, "model", 2**63)
    if not isinstance(name, str):
        raise ValueError(f"name: text is expected, got a {type(name).__name__}")
    signed = seed - 2**64 if seed >= 2**63 else seed  # torch knows integers of 64 bits with a sign
    kept: Tensor = _library.sparsify_random(delta, share, signed, name, model, bool(rescale))
    return kept

"""The operations of `fusion_kernels.ops` as the benchmarks run them, each beside the same in torch, with its check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor

import torch
from torch import Tensor

from fusion_kernels import ops
from fusion_kernels.bench.tensor_sets import TensorSet
from fusion_kernels.bench.torch_expressions import threshold, weighted_sum, wide, without_extremes

__all__ = ["OPERATIONS", "Operation", "OperationCall"]

DENSITY = 0.2
TRIM = 0.34  # one of three at either end
SEED = 1
NOT_AGREED = "differs from the same written in torch"


@dataclass(frozen=True)
class Operation:
    """`run(tensors, signs)` and `torch(tensors, signs)`; signs are those of an election, int8.

    `moved` counts the bytes an element costs, of K tensors of so many bytes an element. The two results must agree but
    for `roundings` of the result's dtype, or as `agrees` says.
    """

    run: Callable[[list[Tensor], Tensor], Tensor]
    torch: Callable[[list[Tensor], Tensor], Tensor]
    moved: Callable[[int, int], int]
    roundings: int = 1
    agrees: Callable[[Tensor, list[Tensor], Tensor], bool] | None = None


def _elected(deltas: list[Tensor]) -> Tensor:
    return weighted_sum([wide(x) for x in deltas], [1.0] * len(deltas)).sign().to(torch.int8)


def _agreeing_mean(deltas: list[Tensor], signs: Tensor) -> Tensor:
    values = torch.stack([wide(x) for x in deltas])
    agree = values * signs > 0
    return torch.where(agree, values, 0.0).sum(dim=0) / agree.sum(dim=0).clamp(min=1)


def _kept(delta: Tensor) -> int:
    return max(1, floor(DENSITY * delta.numel()))


def _largest(delta: Tensor) -> Tensor:
    magnitude = wide(delta).abs()
    return torch.where(magnitude >= threshold(magnitude, _kept(delta)), delta, 0.0)


def _keeps_the_largest(found: Tensor, deltas: list[Tensor], _: Tensor) -> bool:
    """As many as asked for, unchanged, and none that is dropped larger than one that is kept."""
    delta = deltas[0]
    kept, magnitude = wide(found) != 0, wide(delta).abs()
    fewer = int((magnitude > 0).sum())  # zeros cannot be told from what was dropped
    return (
        int(kept.sum()) == min(_kept(delta), fewer)
        and torch.equal(wide(found)[kept], wide(delta)[kept])
        and bool(magnitude[~kept].max() <= magnitude[kept].min())
    )


def _is_thinned(found: Tensor, deltas: list[Tensor], _: Tensor) -> bool:
    """Each is 0 or the delta over the share kept, and the share is within six standard deviations."""
    delta = wide(deltas[0])
    share = round(65536 * DENSITY) / 65536
    kept, some = wide(found) != 0, delta != 0
    one = torch.finfo(found.dtype).eps
    right = (wide(found) - delta / share).abs() <= one * (delta / share).abs() + torch.finfo(found.dtype).tiny
    count = int(some.sum())
    return bool(right[kept].all()) and abs(int(kept.sum()) - share * count) <= 6 * (count * share * (1 - share)) ** 0.5


def _triangle(values: list[Tensor]) -> Tensor:
    flat = torch.stack([wide(x).flatten() for x in values])
    return flat @ flat.T


def _lengths(values: list[Tensor]) -> Tensor:
    return torch.stack([torch.linalg.vector_norm(wide(x)) for x in values])


# Sums over a tensor: ours in float64, torch's in float32, of which the comparison allows this share.
_SUM = 1e-3


def _same_sums(found: Tensor, expected: Tensor) -> bool:
    return bool(((found - expected.to(found.dtype)).abs() <= _SUM * found.abs().max()).all())


OPERATIONS: dict[str, Operation] = {
    "linear_combination": Operation(
        lambda x, _: ops.linear_combination(x, [1 / len(x)] * len(x)),
        lambda x, _: weighted_sum([wide(one) for one in x], [1 / len(x)] * len(x)).to(x[0].dtype),
        lambda k, size: (k + 1) * size,
    ),
    "trimmed_mean": Operation(
        lambda x, _: ops.trimmed_mean(x, TRIM),
        lambda x, _: without_extremes(x, TRIM).to(x[0].dtype),
        lambda k, size: (k + 1) * size,
    ),
    "elect_sign": Operation(
        lambda x, _: ops.elect_sign(x), lambda x, _: _elected(x), lambda k, size: k * size + 1, roundings=0
    ),
    "disjoint_mean": Operation(
        lambda x, signs: ops.disjoint_mean(x, signs),
        lambda x, signs: _agreeing_mean(x, signs).to(x[0].dtype),
        lambda k, size: (k + 1) * size + 1,
    ),
    "magnitude_threshold": Operation(
        lambda x, _: ops.magnitude_threshold(x[0], DENSITY)[0],
        lambda x, _: threshold(wide(x[0]).abs(), _kept(x[0])),
        lambda k, size: size,
        roundings=0,
    ),
    "sparsify_magnitude": Operation(
        lambda x, _: ops.sparsify_magnitude(x[0], DENSITY),
        lambda x, _: _largest(x[0]).to(x[0].dtype),
        lambda k, size: 3 * size,  # read to find the threshold, read again, written
        agrees=_keeps_the_largest,
    ),
    "sparsify_random": Operation(
        lambda x, _: ops.sparsify_random(x[0], DENSITY, seed=SEED),
        lambda x, _: torch.where(
            torch.rand(x[0].shape, device=x[0].device) < DENSITY, wide(x[0]) * (1 / DENSITY), 0.0
        ).to(x[0].dtype),
        lambda k, size: 2 * size,
        agrees=_is_thinned,
    ),
    "gram": Operation(
        lambda x, _: ops.gram(x),
        lambda x, _: _triangle(x),
        lambda k, size: k * size,
        agrees=lambda found, x, _: _same_sums(found, _triangle(x)),
    ),
    "norms": Operation(
        lambda x, _: ops.norms(x),
        lambda x, _: _lengths(x),
        lambda k, size: k * size,
        agrees=lambda found, x, _: _same_sums(found, _lengths(x)),
    ),
}


class OperationCall:
    """One operation on the models of some tensor sets: calling it runs it on each set."""

    def __init__(self, name: str, sets: list[TensorSet], repeats: int = 1) -> None:
        self.operation = OPERATIONS[name]
        self.sets = sets
        self._repeats = repeats
        self._signs = [_elected(tensors.models) for tensors in sets]
        self._results: list[Tensor] = []
        models = sets[0].models
        self.tensors = repeats * len(sets)
        self.elements = self.tensors * models[0].numel()
        self.touched = self.operation.moved(len(models), models[0].element_size()) * len(sets) * models[0].numel()

    def __call__(self) -> int:
        """Run once; the bytes it read and wrote."""
        run = self.operation.run
        for _ in range(self._repeats):
            self._results = []  # what was there before is free again, as it is for torch
            for tensors, signs in zip(self.sets, self._signs, strict=True):
                self._results.append(run(tensors.models, signs))
        return self.touched * self._repeats

    def torch_arguments(self, which: int) -> tuple[list[Tensor], Tensor]:
        """What the same in torch is called with for a set."""
        return self.sets[which].models, self._signs[which]

    def poison(self) -> None:
        self._results = []

    def wrong(self) -> list[str]:
        """What is not as torch has it, of the last call."""
        found = []
        for number, (tensors, signs, result) in enumerate(zip(self.sets, self._signs, self._results, strict=True)):
            if self.operation.agrees is not None:
                right = self.operation.agrees(result, tensors.models, signs)
            else:
                expected = self.operation.torch(tensors.models, signs)
                right = _within(result, expected, self.operation.roundings, tensors.models)
            found += [] if right else [f"set {number} {NOT_AGREED}"]
        return found


def _within(found: Tensor, expected: Tensor, roundings: int, terms: list[Tensor]) -> bool:
    """Equal but for so many roundings of the result, and those of the float32 terms that are added up."""
    if roundings == 0:
        return torch.equal(found.to(torch.float64), expected.to(torch.float64))
    room = torch.finfo(found.dtype).eps * expected.double().abs() * roundings
    room += 4 * torch.finfo(torch.float32).eps * torch.stack([x.double().abs() for x in terms]).sum(dim=0)
    return bool(((found.double() - expected.double()).abs() <= room + torch.finfo(found.dtype).tiny).all())

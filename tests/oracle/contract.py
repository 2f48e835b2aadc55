"""What every oracle takes and gives: one tensor's inputs, a hand-worked example, a result, a stated tolerance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Working = type[np.floating]


@dataclass(frozen=True)
class Example:
    """Two models of four elements merged by hand. `base` is None where the method has none."""

    models: Sequence[Sequence[float]]
    base: Sequence[float] | None
    parameters: Mapping[str, object]
    expected: Sequence[float]


@dataclass(frozen=True, eq=False)
class Inputs:
    """One tensor of every model, and of the base where one is given, each of shape (rows, columns).

    The arrays come in the compute type. `name`, the output tensor's, and `seed` decide what a random method draws.
    Equal only to itself: what is found out about the inputs in the compute type is kept for the next question.
    """

    base: np.ndarray | None
    models: list[np.ndarray]
    parameters: dict
    name: str
    seed: int

    @property
    def compute(self) -> Working:
        return self.models[0].dtype.type

    @cached_property
    def deltas(self) -> list[np.ndarray]:
        """What each model learned, rounded to the compute type; without a base, the models themselves."""
        if self.base is None:
            return self.models
        with np.errstate(all="ignore"):
            return [model - self.base for model in self.models]


@dataclass(frozen=True)
class Merged:
    """A merged tensor. `terms` is, per element, the sum of the magnitudes that were added up to `value`.

    A rounding error is relative to what was added, not to what was left after cancellation; hence `terms`. `partial`
    is the same sum before it was scaled: the compute type overflows on the way where that exceeds its range.
    """

    value: np.ndarray
    terms: np.ndarray
    partial: np.ndarray


@dataclass(frozen=True)
class Tolerance:
    """`roundings` half units in the last place of the compute type, relative to `terms`; 0 is exact."""

    roundings: int

    def interval(self, merged: Merged, compute: Working) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest value that correct arithmetic in `compute` can give before the store.

        Next to the relative part stands an absolute one, for products that fall among the subnormals, where the
        spacing no longer shrinks; it is doubled twice because a scale or a division may follow.
        """
        info = np.finfo(compute)
        half_ulp = np.longdouble(info.eps) / 2
        with np.errstate(all="ignore"):
            slack = self.roundings * (half_ulp * merged.terms + 4 * np.longdouble(info.smallest_subnormal))
            return merged.value - slack, merged.value + slack


exact = Tolerance(0)


def ulp(roundings: int) -> Tolerance:
    """Each rounding is half a unit in the last place; one more is granted for the products of rounding errors."""
    return Tolerance(roundings + 1)


def weighted_sum(
    values: Sequence[np.ndarray], weights: Sequence[float] | Sequence[np.ndarray], working: Working
) -> tuple[np.ndarray, np.ndarray]:
    """Σ w·x in the order given, starting from the first term, and Σ |w·x|. Weights are rounded to the values' type."""
    with np.errstate(all="ignore"):
        compute = values[0].dtype.type
        rounded = [np.asarray(w, np.float64).astype(compute).astype(working) for w in weights]
        terms = [w * v.astype(working) for w, v in zip(rounded, values, strict=True)]
        total, magnitude = terms[0], np.abs(terms[0])
        for term in terms[1:]:
            total, magnitude = total + term, magnitude + np.abs(term)
        return total, magnitude


def mass_of(weights: Sequence[float], normalize: bool) -> float:
    """What a sum of models is divided by, in double: Σw if normalize and that is not within 1e-8 of zero, else 1."""
    if not normalize:
        return 1.0
    total = total_of(weights)
    return total if abs(total) >= 1e-8 else 1.0


def total_of(values: Sequence[float]) -> float:
    """The sum in double, in the order given; sum() compensates its rounding errors since Python 3.12."""
    total = 0.0
    for value in values:
        total += value
    return total


def in_turn(*groups: Sequence[dict]) -> list[dict]:
    """As many parameter sets as the longest group has, each put together from one of every group, in turn."""
    longest = max(len(group) for group in groups)
    picks = ([group[i % len(group)] for group in groups] for i in range(longest))
    return [{name: value for part in pick for name, value in part.items()} for pick in picks]

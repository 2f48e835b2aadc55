"""Standard errors over seeds, and paired tests between methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan, sqrt

from fusion_stack.report.runs import Run


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error, s/√n with n − 1 degrees of freedom; the error of fewer than two values is NaN."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, nan
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, sqrt(variance / len(values))


@dataclass(frozen=True)
class Comparison:
    """Difference of two methods' averages (first minus second), with its p-value, corrected for all comparisons.

    test: "McNemar" over all items of all common tasks and seeds, exact, where both runs kept their items; otherwise
    "sign flips" of the differences of tasks and seeds, exact up to 16 of them, else from 100,000 draws.
    """

    first: str
    second: str
    difference: float
    p_value: float
    test: str
    pairs: int


def compared(methods: Mapping[str, Sequence[Run]]) -> list[Comparison]:
    """Every two of the methods, {label: runs}, p-values by Holm's step-down correction (Holm 1979).

    Runs of equal seed make a pair; two methods without a common seed or task are left out.
    """
    found = [one for first, second in combinations(methods, 2) if (one := _pair(first, second, methods)) is not None]
    ordered = sorted(range(len(found)), key=lambda index: found[index].p_value)
    least = 0.0
    for rank, index in enumerate(ordered):
        one = found[index]
        least = max(least, min(1.0, one.p_value * (len(found) - rank)))
        found[index] = Comparison(one.first, one.second, one.difference, least, one.test, one.pairs)
    return found


def _pair(first: str, second: str, methods: Mapping[str, Sequence[Run]]) -> Comparison | None:
    other = {run.seed: run for run in methods[second]}
    pairs = [(run, other[run.seed]) for run in methods[first] if run.seed in other]
    differences = [a.scores[task] - b.scores[task] for a, b in pairs for task in a.scores if task in b.scores]
    if not differences:
        return None
    difference = sum(differences) / len(differences)
    items = [(a.items(), b.items()) for a, b in pairs]
    if all(a and b for a, b in items):
        only_first = only_second = 0
        for a, b in items:
            for task in a.keys() & b.keys():
                if len(a[task]) != len(b[task]):
                    raise ValueError(f"{first} and {second} answered {task} on different data; compare like with like")
                only_first += int((a[task] & ~b[task]).sum())
                only_second += int((~a[task] & b[task]).sum())
        return Comparison(
            first, second, difference, _mcnemar(only_first, only_second), "McNemar", only_first + only_second
        )
    return Comparison(first, second, difference, _sign_flips(differences), "sign flips", len(differences))


def _mcnemar(first: int, second: int) -> float:
    """Exact two-sided p-value of as uneven a split of the items on which the two differ (McNemar 1947)."""
    from scipy.stats import binomtest

    return float(binomtest(first, first + second).pvalue) if first + second else 1.0


def _sign_flips(differences: Sequence[float]) -> float:
    """Share of the sign patterns whose mean is at least as far from zero as the observed (Fisher 1935)."""
    import numpy

    values = numpy.asarray(differences)
    if len(values) <= 16:
        patterns = (numpy.arange(2 ** len(values))[:, None] >> numpy.arange(len(values)) & 1) * 2 - 1
    else:
        patterns = numpy.random.default_rng(0).integers(0, 2, (100_000, len(values))) * 2 - 1
    return float((abs(patterns @ values) >= abs(values.sum()) - 1e-12).mean())

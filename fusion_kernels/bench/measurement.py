"""Measures one method's kernels at one dtype, instruction set and number of threads, and checks what they write.

In every round the torch expression, a copy, the same kernels on tensors that fit in the cache, and the kernels
themselves run in turn; shares and ratios are taken within a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from contenders import registered, settings
from copy_bandwidth import Copy
from kernel_calls import ROTATION, KernelCall, Pool, base_is_apart, merged_count, sets_for
from machine import ROOT, last_level_cache
from measure import spread
from torch_expressions import EXPRESSIONS

from fusion_kernels._native import native

SELECT = "select"  # what finding the thresholds of ties costs: ties at density 0.2 less ties at density 1
FOLD_ONLY = "ties, fold only"  # ties at density 1: nothing to select
SAMPLE = (61, 1024)  # the shape of the tensor that is compared with the oracle
QUICK_CACHE = 1 << 20  # bytes; with less, the engine would leave the threads aside, or read a tensor once
IN_CACHE = 4  # tensors in cache fill a quarter of it
TORCH_PAUSE = 0.01  # seconds; OpenMP's threads go on spinning for a while after torch is done


@dataclass(frozen=True)
class Settings:
    """What to measure, and where the results go."""

    entries: tuple[str, ...] = ()  # of entries(); none is all
    dtypes: tuple[str, ...] = ("BF16", "F32")
    instruction_sets: tuple[str, ...] = ()  # none is all of this machine's
    threads: tuple[int, ...] = ()  # none is one core, all cores
    models: int = 3
    elements: int = 0  # of each tensor; 0 is as many as fill the last-level cache
    rounds: int = 7
    torch_rounds: int = 7
    torch_budget: float = 200.0  # seconds at one point after which torch stops, two rounds done
    quick: bool = False
    results: Path = ROOT / "benchmarks" / "results"

    def all_instruction_sets(self) -> tuple[str, ...]:
        return self.instruction_sets or tuple(native().instruction_sets())

    def all_threads(self) -> tuple[int, ...]:
        from fusion_kernels.hardware import devices

        return self.threads or tuple(dict.fromkeys((1, devices()[0].threads)))


@dataclass(frozen=True)
class Point:
    """One thing to measure."""

    entry: str
    dtype: str
    threads: int
    instruction_set: str

    def __str__(self) -> str:
        return f"{self.entry}-{self.dtype}-{self.instruction_set}-{self.threads}"


def entries() -> tuple[str, ...]:
    """Every method of the engine, and the two halves of ties."""
    return (*registered(), *((FOLD_ONLY, SELECT) if "ties" in registered() else ()))


def points(chosen: Settings) -> list[Point]:
    """The fastest instruction set first: it is the one that torch is compared with."""
    return [
        Point(entry, dtype, threads, isa)
        for entry in chosen.entries or entries()
        for dtype in chosen.dtypes
        for threads in chosen.all_threads()
        for isa in reversed(chosen.all_instruction_sets())
    ]


@dataclass
class Laboratory:
    """What several points share: tensors, the copy, and the results they must agree in."""

    settings: Settings
    pools: dict[tuple[str, int], Pool] = field(default_factory=dict)
    copies: dict[int, Copy] = field(default_factory=dict)
    checksums: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    begun: set[Path] = field(default_factory=set)  # the files of results that this run has written

    @property
    def cache_bytes(self) -> int:
        """The last-level cache; what stands for it in a quick run."""
        return QUICK_CACHE if self.settings.quick else last_level_cache()

    def pool(self, dtype: str, elements: int) -> Pool:
        key = dtype, elements
        if key not in self.pools:
            self.pools[key] = Pool(dtype, elements, self.settings.models)
        return self.pools[key]

    def copy(self, threads: int) -> Copy:
        if threads not in self.copies:
            self.copies[threads] = Copy(ROTATION * self.cache_bytes // 2, threads)
        return self.copies[threads]


class Measurement:
    """One point: `prepare` before each timed `run`, `row` at the end."""

    def __init__(self, lab: Laboratory, point: Point) -> None:
        self.lab, self.point = lab, point
        self.method = "ties" if point.entry in (SELECT, FOLD_ONLY) else point.entry
        self.models = merged_count(self.method, lab.settings.models)
        self.parameters = settings(self.method, self.models)
        if point.entry == FOLD_ONLY:
            self.parameters["density"] = [1.0] * self.models
        itemsize = torch_size(point.dtype)
        pool = lab.pool(point.dtype, lab.settings.elements or -(-lab.cache_bytes // itemsize))
        self.call = self._call(sets_for(self.method, pool, lab.cache_bytes))
        used = (self.models + base_is_apart(self.method) + 1) * itemsize
        small_sets = 2 * point.threads
        small = lab.pool(point.dtype, lab.cache_bytes // IN_CACHE // small_sets // used)
        repeats = max(1, self.call.elements // (4 * small_sets * small.elements))
        self.small = self._call(small.take(small_sets), repeats=repeats)
        self.fold = self._call(self.call.sets, density=1.0) if point.entry == SELECT else None
        self.copy = lab.copy(point.threads)
        best = point.instruction_set == lab.settings.all_instruction_sets()[-1]
        self.expression = EXPRESSIONS.get(self.method) if best and point.entry != SELECT else None
        self.report: dict[str, Any] = {}
        self.prepared = 0
        self.copy_rates: list[float] = []
        self.small_seconds: list[float] = []
        self.torch_seconds: list[float] = []
        self.fold_seconds: list[float] = []
        self.call.poison()

    def _call(self, sets: list[Any], *, repeats: int = 1, density: float | None = None) -> KernelCall:
        parameters = dict(self.parameters)
        if density is not None:
            parameters["density"] = [density] * self.models
        return KernelCall(
            self.method, parameters, sets, self.point.dtype,
            threads=self.point.threads, instruction_set=self.point.instruction_set, repeats=repeats,
        )  # fmt: skip

    def prepare(self) -> None:
        """The other contenders' turns of a round. The first round warms up and counts for nobody."""
        counts = self.prepared > 0
        if self.expression and self._torch_goes_on():
            _append(self.torch_seconds, self._torch(self.call.sets if counts else self.call.sets[:1]), counts)
            time.sleep(TORCH_PAUSE)
        if self.fold:
            _append(self.fold_seconds, seconds(self.fold), counts)
        else:
            _append(self.small_seconds, seconds(self.small), counts)
        _append(self.copy_rates, self.copy(), counts)
        self.prepared += 1

    def run(self) -> None:
        self.report = self.call()

    def _torch_goes_on(self) -> bool:
        settings, done = self.lab.settings, len(self.torch_seconds)
        return done < settings.torch_rounds and (done < 2 or sum(self.torch_seconds) < settings.torch_budget)

    def _torch(self, sets: list[Any]) -> float:
        """Seconds of the torch expression over tensor sets of the call."""
        assert self.expression is not None
        torch.set_num_threads(self.point.threads)
        begun = time.perf_counter()
        with torch.inference_mode():
            for tensors in sets:
                base = tensors.base if base_is_apart(self.method) else None
                models = self.call.models(tensors, self.models)
                self.expression(base, models, self.parameters).to(models[0].dtype)
        return time.perf_counter() - begun

    def check(self) -> dict[str, Any]:
        """Compare what was written while the clock ran, and a sample with the oracle.

        Raises AssertionError where an instruction set or a number of threads gives other bits than the first did, or
        the sample is not what the documented operations give.
        """
        key = self.method if self.point.entry != FOLD_ONLY else self.point.entry, self.point.dtype
        sums = self.call.checksums()
        expected = self.lab.checksums.setdefault(key, sums)
        assert sums == expected, f"{self.point}: another instruction set or number of threads gives other bits"
        compared = compare_with_oracle(self.method, self.point.dtype, self.point.instruction_set, self.models)
        return {"checksums": [f"{value:08x}" for value in sums], "oracle_elements": compared}

    def row(self, times: list[float]) -> dict[str, Any]:
        """What is said about the point, of the kernels' times in every round."""
        call, point = self.call, self.point
        moved = self.report["bytes_read"] + self.report["bytes_written"]
        least = call.touched * call.tensors // len(call.sets)
        found: dict[str, Any] = {
            "entry": point.entry,
            "method": self.method,
            "dtype": point.dtype,
            "instruction_set": point.instruction_set,
            "threads": point.threads,
            "models": self.models,
            "base": base_is_apart(self.method),
            "parameters": self.parameters,
            "tensors": call.tensors,
            "elements": call.elements,
            "bytes_touched": call.touched,
            "rounds": len(times),
            "seconds": spread(times, digits=6),
            "elements_per_second": spread([call.elements / t for t in times], digits=0),
            "check": self.check(),
        }
        if self.fold:
            found["select_seconds"] = [full - fold for full, fold in zip(times, self.fold_seconds, strict=True)]
            if min(found["select_seconds"]) > 0:  # else the noise is larger than what is measured
                rates = [call.elements * self.models / t / point.threads for t in found["select_seconds"]]
                found["selected_per_second_and_core"] = spread(rates, digits=0)
            return found
        share = [moved / t / copied for t, copied in zip(times, self.copy_rates, strict=True)]
        in_cache = [moved / call.elements * self.small.elements / t for t in self.small_seconds]
        found |= {
            "passes": round(moved / least, 3),
            "gigabytes_per_second": spread([moved / t / 1e9 for t in times]),
            "copy_gigabytes_per_second": spread([rate / 1e9 for rate in self.copy_rates]),
            "share_of_copy": spread(share),
            "in_cache_gigabytes_per_second": spread([rate / 1e9 for rate in in_cache]),
        }
        if self.torch_seconds:
            pairs = list(zip(self.torch_seconds, times, strict=False))
            found["torch_rounds"] = len(pairs)
            found["torch_over_ours"] = spread([theirs / ours for theirs, ours in pairs])
        return found


def _append(to: list[float], value: float, counts: bool) -> None:
    if counts:
        to.append(value)


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def torch_size(dtype: str) -> int:
    from kernel_calls import TORCH_DTYPES

    return TORCH_DTYPES[dtype].itemsize


@cache
def sample(method: str, dtype: str, models: int) -> tuple[Any, Any]:
    """A small merge and the bits that the documented operations give; None for them without an oracle."""
    from cases import Case
    from engine_calls import Merge, documented_bits
    from oracle import ORACLES

    tensors = Case(SAMPLE, "fine_tunes", models).tensors(dtype)
    merge = Merge(tensors, settings(method, models), "sample", base_is_apart(method))
    return merge, documented_bits(method, merge) if method in ORACLES else None


@cache
def compare_with_oracle(method: str, dtype: str, instruction_set: str, models: int) -> int:
    """Merge a sample and compare every bit with what the oracle says; the number of elements, 0 without an oracle."""
    from engine_calls import differing, run_engine

    merge, expected = sample(method, dtype, models)
    if expected is None:
        return 0
    outputs, _ = run_engine(method, [merge], instruction_set=instruction_set)
    found = differing(outputs[0], expected)
    assert not found, f"{method}, {dtype}, {instruction_set}: {found}"
    return len(expected)

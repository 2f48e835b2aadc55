"""Measures one point, and checks what it writes.

In every round the torch expression, eager and compiled, a copy, the same kernels on tensors that fit in the cache, and
the kernels themselves run in turn; shares and ratios are taken within a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from fusion_kernels.bench.clock import kernel_seconds, seconds, spread
from fusion_kernels.bench.settings import Point
from fusion_kernels.bench.subjects import Laboratory, MethodSubject, OperationSubject, Subject

__all__ = ["Measurement"]

TORCH_PAUSE = 0.01  # seconds; OpenMP's threads go on spinning for a while after torch is done


class Contender:
    """The subject in torch, a time for each round until its rounds or its seconds are used up."""

    def __init__(self, lab: Laboratory, subject: Subject, run: Callable[..., torch.Tensor], compiled: bool) -> None:
        self.settings = lab.settings
        self.seconds: list[float] = []
        self.failure = ""  # why there are none, or no more
        self._run, self._subject = run, subject
        self._sets = len(subject.sets)
        self._warming = 2 if compiled else 1  # sets: what is compiled anew for the next one shows before it counts
        self._warm = False

    def turn(self) -> None:
        """The first, which warms up and may compile, counts for nothing."""
        done = len(self.seconds)
        rounds, budget = self.settings.torch_rounds, self.settings.torch_budget
        if self.failure or done >= rounds or (done >= 2 and sum(self.seconds) > budget):
            return
        # A GPU's memory may not hold torch's temporaries, and not everything compiles: neither ends the benchmark.
        try:
            with torch.inference_mode():
                taken = seconds(self._over, self.settings.device)
        except torch.OutOfMemoryError:
            self.failure = "out of memory"
        except Exception as error:
            self.failure = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            if self._warm:
                self.seconds.append(taken)
            self._warm = True

    def _over(self) -> None:
        for which in range(self._sets if self._warm else self._warming):
            self._run(*self._subject.torch_arguments(which))

    def compared(self, ours: list[float], name: str) -> dict[str, Any]:
        if not self.seconds:
            return {f"{name}_failure": self.failure} if self.failure else {}
        pairs = list(zip(self.seconds, ours, strict=False))
        return {
            f"{name}_rounds": len(pairs),
            f"{name}_over_ours": spread([theirs / mine for theirs, mine in pairs]),
        }


class Measurement:
    """One point: `prepare` before each `run`, `row` at the end. The first round warms up and counts for nobody."""

    def __init__(self, lab: Laboratory, point: Point) -> None:
        self.lab, self.point = lab, point
        self.subject: Subject = (OperationSubject if point.is_operation else MethodSubject)(lab, point)
        self.copy = lab.copy(point.threads)
        self.moved = 0
        self.seconds: list[float] = []
        self.copy_rates: list[float] = []
        self.small_seconds: list[float] = []
        self.fold_seconds: list[float] = []
        self.contenders: dict[str, Contender] = {}
        best = point.instruction_set == lab.settings.all_instruction_sets()[-1] or point.is_operation
        if self.subject.torch is not None and best and lab.settings.torch_rounds and lab.settings.measures:
            run = self.subject.torch
            self.contenders["torch"] = Contender(lab, self.subject, run, compiled=False)
            if lab.settings.compile:
                torch.compiler.reset()  # who compiles one function too often is handed it as it is
                compiled = torch.compile(run, dynamic=False)
                self.contenders["torch_compile"] = Contender(lab, self.subject, compiled, compiled=True)

    def prepare(self) -> None:
        """The other contenders' turns of a round."""
        if self.point.threads:
            torch.set_num_threads(self.point.threads)
        for contender in self.contenders.values():
            contender.turn()
        if self.contenders:
            time.sleep(TORCH_PAUSE)
        device = self.lab.settings.device
        if self.subject.fold:
            self.fold_seconds.append(seconds(self.subject.fold, device))
        if self.subject.small:
            self.small_seconds.append(seconds(self.subject.small, device))
        if self.copy:
            self.copy_rates.append(self.copy())

    def run(self) -> None:
        self.seconds.append(seconds(self._once, self.lab.settings.device))

    def _once(self) -> None:
        self.moved = self.subject.call()

    def row(self) -> dict[str, Any]:
        """What is said about the point."""
        point, subject, call = self.point, self.subject, self.subject.call
        found: dict[str, Any] = {
            "entry": point.entry,
            "method": subject.method,
            "dtype": point.dtype,
            "instruction_set": point.instruction_set,
            "threads": point.threads,
            "of": {"models": point.models, "size": call.elements // call.tensors},
            "models": subject.models,
            "base": subject.base,
            "parameters": subject.parameters,
            "tensors": call.tensors,
            "elements": call.elements,
            "bytes_touched": call.touched,
            "check": subject.check(),
        }
        return found | self._times() if self.lab.settings.measures else found | {"emulated": True}

    def _times(self) -> dict[str, Any]:
        call, times = self.subject.call, self.seconds[1:]
        found: dict[str, Any] = {
            "rounds": len(times),
            "seconds": spread(times, digits=6),
            "elements_per_second": spread([call.elements / t for t in times], digits=0),
        }
        copies = self.copy_rates[1:]
        found["copy_gigabytes_per_second"] = spread([rate / 1e9 for rate in copies])
        if self.subject.fold:
            return found | self._selection(times, copies)
        passes = call.tensors // len(self.subject.sets) * call.touched
        found |= {
            "passes": round(self.moved / passes, 3),
            "gigabytes_per_second": spread([self.moved / t / 1e9 for t in times]),
            "share_of_copy": spread([self.moved / t / rate for t, rate in zip(times, copies, strict=True)]),
        }
        if self.subject.small:
            small = self.moved / call.elements * self.subject.small.elements
            found["in_cache_gigabytes_per_second"] = spread([small / t / 1e9 for t in self.small_seconds[1:]])
        if self.lab.settings.kind == "cuda":
            found["kernel_seconds"] = kernel_seconds(self.subject.call)
        for name, contender in self.contenders.items():
            found |= contender.compared(times, name)
        return found

    def _selection(self, times: list[float], copies: list[float]) -> dict[str, Any]:
        """What a method with thresholds costs more than without: one pass over every model and the base."""
        call = self.subject.call
        found: dict[str, Any] = {
            "select_seconds": [full - fold for full, fold in zip(times, self.fold_seconds[1:], strict=True)]
        }
        if min(found["select_seconds"]) > 0:  # else the noise is larger than what is measured
            rates = [call.elements * self.subject.models / t for t in found["select_seconds"]]
            found["selected_per_second_and_core"] = spread([r / (self.point.threads or 1) for r in rates], digits=0)
            each = 2 * self.subject.sets[0].output.element_size()  # a model's element and the base's
            shares = [rate * each / copied for rate, copied in zip(rates, copies, strict=True)]
            found["selected_share_of_copy"] = spread(shares)
        return found

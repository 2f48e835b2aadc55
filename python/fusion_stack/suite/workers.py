"""Jobs on all cores: one single-threaded process per core, each reporting its progress.

Two processes with one thread each finish sooner than two threads on one job, do not stall when the machine has other
work, and compute the same numbers on any number of cores.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from types import TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # read by torch when it is imported

_reports: Any = None  # in a worker: where progress goes
_stop: Any = None  # in a worker: set when the parent wants no more


class StoppedError(Exception):
    """In a worker: the parent gave up, so this job ends at its next report."""


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """A pool of processes. Use as a context manager; an error or Ctrl-C ends running jobs at their next report."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self._reports = context.SimpleQueue()  # written before put() returns, so no report comes after its result
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(self._reports, self._stop))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    def run(
        self, jobs: Sequence[tuple[Callable[..., Result], tuple[Any, ...]]], report: Callable[[int, int], None]
    ) -> list[Result]:
        """Results in the order of the jobs. A job is (function, arguments); the function gets its own index first.

        `report(index, amount)` is called here with what jobs pass to progress_of(index). The first job that fails
        ends the run with its error.
        """
        futures = [self._pool.submit(function, index, *arguments) for index, (function, arguments) in enumerate(jobs)]
        waiting: set[Future[Result]] = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
            self._drain(report)
            for future in done:
                future.result()
        self._drain(report)
        return [future.result() for future in futures]

    def _drain(self, report: Callable[[int, int], None]) -> None:
        while not self._reports.empty():
            report(*self._reports.get())


def progress_of(index: int) -> Callable[[int], None]:
    """In a worker: a function that tells the parent how far job `index` is, and ends the job when it is not wanted."""

    def report(amount: int) -> None:
        if _stop.is_set():
            raise StoppedError
        _reports.put((index, amount))

    return report


def _begin(reports: Any, stop: Any) -> None:
    global _reports, _stop
    _reports, _stop = reports, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches us too; the parent decides
    os.environ.update(ONE_THREAD)

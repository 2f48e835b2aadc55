"""Runs a merge method written in Python, one tensor after another, between the engine's reading and writing."""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from fusion_kernels._native import native
from fusion_kernels.dtypes import DTYPES
from fusion_kernels.execution import Observer, Work
from fusion_kernels.own_call import call_method
from fusion_kernels.tensor_plan import COPY, TensorPlan, computed_in, reading, writing
from fusion_kernels.tensor_schedule import Batch, Step

if TYPE_CHECKING:
    import torch

    from fusion_kernels.jobs import Job
    from fusion_kernels.sources import Buffer

__all__ = ["execute", "memory_bytes", "workspace_bytes"]

T = TypeVar("T")

_SECONDS = 0.1  # between looks at Ctrl-C, and between reports of progress

_PAGES = 1 << 20  # bytes from which a tensor has pages of its own


class _StoppedError(Exception):
    """Ends the engine's calls on other threads once the merge has failed on this one."""


def memory_bytes(work: Work) -> int:
    """The most bytes alive at one time, without those the method itself allocates; raises as TensorPlan does."""
    return TensorPlan(work).total


def workspace_bytes(work: Work) -> int:
    """Bytes of the `workspace` that `execute` takes: the engine's alone, for one tensor."""
    return TensorPlan(work).workspace


def execute(work: Work, *, observer: Observer | None = None, workspace: Any = None) -> dict[str, Any]:
    """Fill the outputs; returns what the engine's own `execute` does. `workspace` is for the engine's calls."""
    try:
        import torch  # noqa: F401 - better said here than by every tensor
    except ImportError as error:
        raise ImportError(
            f"method {work.method.name!r} is written in Python and works on torch tensors, and torch is not installed; "
            "install fusion_kernels[torch]"
        ) from error
    with _Run(work, observer, workspace) as run:
        return run.result()


class _Run:
    """One merge under way: a thread that reads ahead, a thread that writes behind, the method on this one."""

    def __init__(self, work: Work, observer: Observer | None, workspace: Any) -> None:
        self.work, self.observer, self.workspace = work, observer, workspace
        self.plan = TensorPlan(work)
        self.stop = threading.Event()
        self.reader = ThreadPoolExecutor(1, "fusion_kernels-read")
        self.writer = ThreadPoolExecutor(1, "fusion_kernels-write")
        self.reading: dict[int, Future[list[list[torch.Tensor]]]] = {}
        self.writing: dict[int, Future[None]] = {}
        self.computed: list[torch.Tensor] = []
        self.state: dict[str, Any] = {"bytes_read": 0, "bytes_written": 0, "tensors_done": 0, "tensor": ""}
        self.nonfinite: dict[str, int] = {}
        self.saturated: dict[str, int] = {}
        self.last: dict[str, Any] = {"threads": 0, "instruction_set": ""}
        self.reported = time.perf_counter()

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *error: object) -> None:
        # No thread may outlive the files and the memory it works on.
        self.stop.set()
        for pool in (self.reader, self.writer):
            pool.shutdown(wait=True, cancel_futures=True)

    def result(self) -> dict[str, Any]:
        started = time.perf_counter()
        if self.plan.others:
            self._wait(self.reader.submit(self._copy, self.plan.others))
        for step in self.plan.steps:
            self._take(step)
        return {
            **self.state,
            "seconds": time.perf_counter() - started,
            "threads": self.last["threads"],
            "instruction_set": self.last["instruction_set"],
            "workspace_bytes": self.plan.total,
            "saturated": self.saturated,
            "nonfinite_inputs": self.nonfinite,
        }

    def _take(self, step: Step) -> None:
        index, batch = step.batch, self.plan.batches[step.batch]
        if step.action == "read":
            self.reading[index] = self.reader.submit(self._read, batch)
        elif step.action == "compute":
            self.computed = self._compute(batch, self._wait(self.reading.pop(index)))
        elif step.action == "write":
            self.writing[index] = self.writer.submit(self._write, batch, self.computed)
            self.computed = []
        else:
            self._wait(self.writing.pop(index))

    def _wait(self, future: Future[T]) -> T:
        while not wait([future], _SECONDS).done:
            self._report()
        return future.result()

    def _report(self) -> None:
        now = time.perf_counter()
        if self.observer is not None and now - self.reported >= _SECONDS:
            self.reported = now
            self.observer(dict(self.state))

    def _jobs(self, batch: Batch) -> list[tuple[Job, tuple[int, ...]]]:
        return [(self.work.jobs[i], self.work.shapes[i]) for i in self.plan.merged[batch.first : batch.last]]

    def _compute(self, batch: Batch, inputs: list[list[torch.Tensor]]) -> list[torch.Tensor]:
        results = []
        for (job, shape), tensors in zip(self._jobs(batch), inputs, strict=True):
            self.state["tensor"] = job[1]
            base = tensors.pop(0) if job[6] is not None else None
            results.append(call_method(self.work, job[1], shape, job[5][2], tensors, base))
            tensors.clear()
            self._report()
        return results

    # ---- on other threads --------------------------------------------------------------------------------------------

    def _copy(self, jobs: Sequence[Job]) -> None:
        self._native(jobs, self.work.buffers, read=True, written=True)
        self.state["tensors_done"] += len(jobs)

    def _read(self, batch: Batch) -> list[list[torch.Tensor]]:
        groups: list[list[torch.Tensor]] = []
        jobs: list[Job] = []
        buffers: dict[int, int] = {}  # those that are read, numbered anew: a model in memory has thousands
        memory: list[torch.Tensor] = []
        chosen = self._jobs(batch)
        for job in reading([job for job, _ in chosen]):
            number, offset, code = job[7][0]
            source = (buffers.setdefault(number, len(buffers)), offset, code)
            jobs.append((*job[:7], [source]))
        for job, shape in chosen:
            try:
                groups.append([_empty(shape, computed_in(job)) for _ in range(len(job[7]) + (job[6] is not None))])
            except OSError as error:  # mmap's way to say so
                raise MemoryError(f"tensor {job[1]!r}: its inputs do not fit into memory") from error
            memory += groups[-1]
        jobs = [(*job[:5], (len(buffers) + place, 0, job[5][2]), *job[6:]) for place, job in enumerate(jobs)]
        opened = [self.work.buffers[number] for number in buffers]
        found = self._native(jobs, [*opened, *map(_memory, memory)], read=True)
        for name, count in found["nonfinite_inputs"].items():
            self.nonfinite[name] = self.nonfinite.get(name, 0) + count
        return groups

    def _write(self, batch: Batch, results: list[torch.Tensor]) -> None:
        chosen = [job for job, _ in self._jobs(batch)]
        buffers: dict[int, int] = {}
        jobs: list[Job] = []
        for place, job in enumerate(writing(chosen)):
            number, offset, code = job[5]
            target = (len(results) + buffers.setdefault(number, len(buffers)), offset, code)
            jobs.append((*job[:5], target, None, [(place, 0, job[7][0][2])]))
        opened = [self.work.buffers[number] for number in buffers]
        found = self._native(jobs, [*map(_memory, results), *opened], written=True)
        self.saturated.update(found["saturated"])
        for name, count in found["nonfinite_inputs"].items():
            if not self.work.allow_nonfinite and name not in self.nonfinite:
                raise ValueError(
                    f"method {self.work.method.name!r}: tensor {name!r}: {count} values of the result are NaN or "
                    "infinite although every input is finite; allow_nonfinite keeps them"
                )
        self.state["tensors_done"] += len(jobs)

    def _native(
        self, jobs: Sequence[Job], buffers: Sequence[Buffer], *, read: bool = False, written: bool = False
    ) -> dict[str, Any]:
        counted = [name for name, wanted in (("bytes_read", read), ("bytes_written", written)) if wanted]
        before = {name: self.state[name] for name in counted}

        def observe(state: Mapping[str, Any]) -> None:
            if self.stop.is_set():
                raise _StoppedError
            self.state.update({name: before[name] + state[name] for name in counted})

        try:
            found: dict[str, Any] = native().execute(
                "passthrough",
                jobs,
                COPY,
                buffers,
                threads=self.work.threads,
                memory_limit=self.plan.call_limit,
                allow_nonfinite=self.work.allow_nonfinite,
                workspace=self.workspace,
                observer=observe,
            )
        except ValueError as error:
            raise ValueError(str(error).replace("'passthrough'", repr(self.work.method.name))) from error
        observe(found)
        self.last = found
        return found


def _empty(shape: tuple[int, ...], code: str) -> torch.Tensor:
    """A tensor to be filled. Its memory goes back to the system with it, where malloc would keep some for later."""
    import torch

    dtype = getattr(torch, str(DTYPES[code].torch_name))
    nbytes = prod(shape) * DTYPES[code].itemsize_bits // 8
    if nbytes < _PAGES:
        return torch.empty(shape, dtype=dtype)
    memory = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a system without huge pages takes small ones
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=dtype).reshape(shape)


def _memory(tensor: torch.Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.numel() * tensor.element_size()

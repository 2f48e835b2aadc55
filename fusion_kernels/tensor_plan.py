"""Plans a merge that works on whole tensors: in which order, in how much memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fusion_kernels._native import native
from fusion_kernels.dtypes import DTYPES
from fusion_kernels.execution import Work
from fusion_kernels.limits import available_memory, format_bytes
from fusion_kernels.tensor_schedule import BATCH_BYTES, Footprint, cut, schedule

if TYPE_CHECKING:
    from fusion_kernels.jobs import Job

__all__ = ["COPY", "TensorPlan", "computed_in", "reading", "writing"]

COPY: list[dict[str, Any]] = [{"scale": [1.0]}]  # parameters with which the engine's passthrough copies
_LEAST_WORKSPACE = 1 << 19


class TensorPlan:
    """The order of steps and the memory they take.

    merged, others: jobs that the method makes, by number, and those that are copied. total: the most bytes alive at
    one time, the tensors and what the engine reads and writes with; what the method allocates on the way is its own
    affair. workspace: bytes of the engine's largest call; call_limit: the memory limit of each.

    Raises ValueError naming the tensor that needs more than the limit somebody stated, or more than there is.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.merged = [index for index, job in enumerate(work.jobs) if job[0] == "merge"]
        self.others = [job for job in work.jobs if job[0] != "merge"]
        footprints = [_footprint(work.jobs[index]) for index in self.merged]
        largest = max(range(len(footprints)), key=lambda index: footprints[index].total, default=None)
        limit = work.memory_limit
        self.batches = cut(footprints, most=min(BATCH_BYTES, limit // 8) if limit else BATCH_BYTES)
        self.call_limit = 0
        if limit:
            room = limit - (footprints[largest].total if largest is not None else 0)
            share = min(limit // 16, room // 2) if work.limit_stated else limit // 16
            self.call_limit = max(share, _LEAST_WORKSPACE)
        # Reading and writing go on at the same time, each with buffers of its own.
        self.workspace = self._largest_call()
        calls = 2 * self.workspace
        self.steps, tensors = schedule(self.batches, max(limit - calls, 1) if limit else None)
        self.total = tensors + calls
        if largest is not None and limit:
            self._check(self.merged[largest], footprints[largest].total + calls)

    def _largest_call(self) -> int:
        """Workspace of the engine's largest call."""
        sizes = [self._workspace(self.others)] if self.others else [0]
        for batch in self.batches:
            chosen = [self.work.jobs[index] for index in self.merged[batch.first : batch.last]]
            sizes += [self._workspace(reading(chosen)), self._workspace(writing(chosen))]
        return max(sizes)

    def _workspace(self, jobs: Sequence[Job]) -> int:
        # Nothing is read, so one buffer stands for all.
        nowhere = [(*job[:5], (0, 0, job[5][2]), None, [(0, 0, ref[2]) for ref in job[7]]) for job in jobs]
        return int(
            native().workspace_bytes(
                "passthrough", nowhere, COPY, [(0, 2**62)], threads=self.work.threads, memory_limit=self.call_limit
            )
        )

    def _check(self, largest: int, needed: int) -> None:
        job, shape, limit = self.work.jobs[largest], self.work.shapes[largest], self.work.memory_limit
        inputs = len(job[7]) + (job[6] is not None)
        what = (
            f"method {self.work.method.name!r} works on whole tensors, and tensor {job[1]!r} of shape {list(shape)} "
            f"takes {format_bytes(needed)} ({inputs} inputs and the result in {DTYPES[computed_in(job)].torch_name})"
        )
        if self.work.limit_stated:
            if needed > limit:
                enough = f"{-(-needed // 10**6)}MB"
                raise ValueError(f"memory_limit is {format_bytes(limit)}; {what}; give {enough!r} or more")
        elif needed > (available := available_memory()):
            raise ValueError(f"{what}, and {format_bytes(available)} of memory are available")


def computed_in(job: Job) -> str:
    return "F64" if job[5][2] == "F64" else "F32"


def _footprint(job: Job) -> Footprint:
    nbytes = job[2] * job[3] * DTYPES[computed_in(job)].itemsize_bits // 8
    return Footprint(nbytes * (len(job[7]) + (job[6] is not None)), nbytes)


def reading(jobs: Sequence[Job]) -> list[Job]:
    """One job for each input, the base first, whose place in memory is still to be said."""
    return [
        (*job[:4], 0, (0, 0, computed_in(job)), None, [source])
        for job in jobs
        for source in ([job[6]] if job[6] is not None else []) + job[7]
    ]


def writing(jobs: Sequence[Job]) -> list[Job]:
    """One job for each result, whose place in memory is still to be said."""
    return [(*job[:4], 0, job[5], None, [(0, 0, computed_in(job))]) for job in jobs]

"""Runs a merge's jobs by the engine or, for a method written in Python, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusion_kernels import jobs

if TYPE_CHECKING:
    from fusion_kernels.parameters import MethodInfo, Resolved
    from fusion_kernels.sources import Buffer

__all__ = ["Observer", "Work", "execute", "memory_bytes", "workspace_bytes"]

Observer = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Work:
    """Everything a merge is run on.

    shapes: of the output tensors, job by job. models: names of the merged models.
    memory_limit: bytes, 0 for none; limit_stated: whether somebody asked for this limit, rather than for some limit.
    """

    method: MethodInfo
    resolved: Resolved
    jobs: Sequence[jobs.Job]
    shapes: Sequence[tuple[int, ...]]
    buffers: Sequence[Buffer]
    models: tuple[str, ...]
    seed: int = 0
    threads: int = 0
    memory_limit: int = 0
    limit_stated: bool = False
    allow_nonfinite: bool = False
    devices: tuple[int, ...] = ()  # GPUs that share the tensors; none: the processor merges
    device_memory_limit: int = 0  # bytes of each GPU's memory; 0: most of what is free


def execute(work: Work, *, observer: Observer | None = None, workspace: Any = None) -> dict[str, Any]:
    """Fill the outputs; returns what was read, written and found, as the engine reports it."""
    if work.method.kind == "matrix":
        from fusion_kernels import tensorwise

        if work.devices:
            raise NotImplementedError(f"{work.method.name} is written in Python and is not run on a GPU by the engine")
        return tensorwise.execute(work, observer=observer, workspace=workspace)
    from fusion_kernels._native import native

    result: dict[str, Any] = native().execute(
        work.method.name,
        work.jobs,
        [jobs.parameter_set(work.resolved)],
        work.buffers,
        threads=work.threads,
        memory_limit=work.memory_limit,
        allow_nonfinite=work.allow_nonfinite,
        seed=work.seed,
        workspace=workspace,
        observer=observer,
        devices=list(work.devices),
        device_memory_limit=work.device_memory_limit,
    )
    return result


def memory_bytes(work: Work) -> int:
    """Bytes that `execute` will allocate; nothing is read, so any address serves as a buffer's.

    Raises ValueError where the memory limit is below what the merge needs.
    """
    if work.method.kind == "matrix":
        from fusion_kernels import tensorwise

        return tensorwise.memory_bytes(work)
    return workspace_bytes(work)


def workspace_bytes(work: Work) -> int:
    """Bytes of the `workspace` that `execute` takes; a method in Python allocates its tensors beside it."""
    if work.method.kind == "matrix":
        from fusion_kernels import tensorwise

        return tensorwise.workspace_bytes(work)
    from fusion_kernels._native import native

    return int(
        native().workspace_bytes(
            work.method.name,
            work.jobs,
            [jobs.parameter_set(work.resolved)],
            work.buffers,
            threads=work.threads,
            memory_limit=work.memory_limit,
            devices=list(work.devices),
            device_memory_limit=work.device_memory_limit,
        )
    )

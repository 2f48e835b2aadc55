"""Merges torch tensors where they are: in a GPU's memory, on torch's current stream."""

from __future__ import annotations

from typing import Any

from fusion_kernels import jobs
from fusion_kernels.execution import Work
from fusion_kernels.limits import format_bytes

__all__ = ["execute", "lent", "workspace_bytes"]


def workspace_bytes(work: Work) -> int:
    """Bytes of the GPU's memory that `execute` works in. Raises DeviceError where this build has no GPU kernels."""
    from fusion_kernels._native import native

    return int(native().device_workspace_bytes(*_call(work)))


def lent(workspace: Any, device: str) -> tuple[int, int]:
    """Address and bytes of a workspace that a caller gives.

    Raises ValueError for what is not a contiguous torch tensor on `device`.
    """
    import torch

    expected = f"workspace: a contiguous torch tensor on {device} is expected, got"
    if not isinstance(workspace, torch.Tensor):
        raise ValueError(f"{expected} a {type(workspace).__name__}")
    if str(workspace.device) != device:
        raise ValueError(f"{expected} one on {workspace.device}")
    if not workspace.is_contiguous():
        raise ValueError(f"{expected} one with strides {tuple(workspace.stride())}")
    return workspace.data_ptr(), workspace.numel() * workspace.element_size()


def execute(work: Work, device: str, workspace: Any = None) -> None:
    """Enqueue the merge on torch's current stream of `device`; the buffers of `work` are addresses there.

    Raises DeviceError where this build has no GPU kernels and where the GPU fails, ValueError for a workspace that
    does not do.
    """
    import torch

    from fusion_kernels._native import native

    needed = workspace_bytes(work)
    if workspace is None:
        try:
            workspace = torch.empty(needed, dtype=torch.uint8, device=device)
        except torch.OutOfMemoryError as error:
            raise native().DeviceError(
                f"{device} has no room for the {format_bytes(needed)} this merge works in; free memory there, give "
                f"workspace=, or merge on the CPU. torch says: {error}"
            ) from error
    start, size = lent(workspace, device)
    address = -(-start // 16) * 16
    if size - (address - start) < needed:
        raise ValueError(f"workspace has {size} bytes, this call needs {needed} ({format_bytes(needed)})")
    native().merge_on_device(
        *_call(work),
        device=torch.device(device).index or 0,
        stream=torch.cuda.current_stream(device).cuda_stream,
        workspace=address,
        seed=work.seed,
    )


def _call(work: Work) -> tuple[Any, ...]:
    if work.method.kind == "matrix":
        raise NotImplementedError(f"{work.method.name} is written in Python and is not run on a GPU by the engine")
    return work.method.name, work.jobs, [jobs.parameter_set(work.resolved)], work.buffers

"""A GPU as a backend of the operations: enqueued on torch's current stream, in memory that torch allocates there.

The host waits for nothing: numbers that lie on the GPU are read there, and memory to work in goes back to torch's
allocator, which keeps it for what the same stream does later. So operations can be captured in a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fusion_kernels._native import native
from fusion_kernels.ops._engine import Backend, given, merge_call

__all__ = ["Gpu"]


class Gpu(Backend):
    """Computes later, in the order of the stream."""

    def numbers(self, values: Tensor) -> Any:
        return values.tolist() if self.is_known(values) else values.data_ptr()

    def run(self, operation: str, *arguments: Any, on: Tensor) -> None:
        held: list[Tensor] = []  # what the operation works in, until it is enqueued

        def allocate(size: int) -> int:
            held.append(self.new(on, (size,), torch.uint8))
            return held[0].data_ptr()

        number, stream = self.queue(on)
        getattr(native().device_ops, operation)(*arguments, device=number, stream=stream, allocate=allocate)

    def merge(
        self, method: str, parameters: Mapping[str, Any], tensors: Sequence[Tensor], base: Tensor | None, out: Tensor
    ) -> None:
        call = merge_call(method, parameters, tensors, base, out)
        workspace = self.new(out, (native().device_workspace_bytes(*call),), torch.uint8)
        number, stream = self.queue(out)
        native().merge_on_device(*call, device=number, stream=stream, workspace=workspace.data_ptr())

    def linear_combination(self, tensors: Sequence[Tensor], base: Tensor | None, factors: Tensor, out: Tensor) -> None:
        models, start = [given(tensor) for tensor in tensors], None if base is None else given(base)
        self.run("linear_combination", models, start, self.numbers(factors), out.numel(), given(out), on=out)

    def queue(self, on: Tensor) -> tuple[int, int]:
        """The number of the GPU that a tensor is on, and torch's current stream there."""
        stream = torch.cuda.current_stream(on.device)
        return stream.device_index, stream.cuda_stream

    def is_known(self, values: Tensor) -> bool:
        """Whether the host may read values without waiting for a GPU."""
        return values.device.type == "cpu"

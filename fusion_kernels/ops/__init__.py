"""Single operations of model merging on torch tensors, as the engine's methods carry them out.

    import torch
    from fusion_kernels import ops
    merged = ops.linear_combination([a, b], [0.3, 0.7])

Each is a function on tensors that are already in memory, registered with torch (``torch.ops.fusion_kernels``), so that
it can be compiled and exported. Results are new tensors and the same bits as those of the methods, on the CPU and on a
GPU, whatever the instruction set and the number of threads, which is ``torch.get_num_threads()``.

Tensors are float64, float32, float16, bfloat16, float8_e4m3fn or float8_e5m2, in any mix, all on the CPU or all on one
CUDA device. One that is not contiguous is copied first. Arithmetic is float32, or float64 where the result is float64,
and rounded once. What cannot be computed is a ValueError that names the argument, tensors on several devices with it; a
device that this build has no kernels for, or that has too little memory left, is a ``fusion_kernels.DeviceError``.

On a GPU every operation is enqueued on torch's current stream, works in memory of torch's allocator, and returns
without waiting: none needs the host to see a value, so all can be captured in a CUDA graph. Weights and coefficients
are read where they are, from the tensor on the GPU or from the list of numbers.
"""

from __future__ import annotations

try:
    import torch as torch
except ImportError as error:
    raise ImportError(
        "fusion_kernels.ops works on torch tensors, and torch is not installed; install fusion_kernels[torch], "
        "or use fusion_kernels.merge_tensors, which takes numpy arrays"
    ) from error

from fusion_kernels.ops._combination import linear_combination as linear_combination
from fusion_kernels.ops._combination import trimmed_mean as trimmed_mean
from fusion_kernels.ops._consensus import disjoint_mean as disjoint_mean
from fusion_kernels.ops._consensus import elect_sign as elect_sign
from fusion_kernels.ops._products import gram as gram
from fusion_kernels.ops._products import norms as norms
from fusion_kernels.ops._sparsification import magnitude_threshold as magnitude_threshold
from fusion_kernels.ops._sparsification import sparsify_magnitude as sparsify_magnitude
from fusion_kernels.ops._sparsification import sparsify_random as sparsify_random

__all__ = [
    "disjoint_mean",
    "elect_sign",
    "gram",
    "linear_combination",
    "magnitude_threshold",
    "norms",
    "sparsify_magnitude",
    "sparsify_random",
    "trimmed_mean",
]

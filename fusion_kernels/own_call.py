"""Calls a merge method written in Python on one tensor and checks what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fusion_kernels.dtypes import DTYPES
from fusion_kernels.errors import quoted
from fusion_kernels.own_methods import MergeInfo, OwnMethod

if TYPE_CHECKING:
    import torch

    from fusion_kernels.execution import Work

__all__ = ["call_method"]

# Errors keep these classes, which callers of merge() tell apart; a method's other errors are a ValueError.
_KEPT = (NotImplementedError, OSError, MemoryError)


def call_method(
    work: Work, name: str, shape: tuple[int, ...], dtype: str, tensors: list[torch.Tensor], base: torch.Tensor | None
) -> torch.Tensor:
    """The merged tensor: on the CPU, contiguous, in the dtype computed in. `dtype` is the output's code.

    Raises ValueError naming method and tensor for what is no such tensor, and what the method raises with these names.
    """
    import torch

    method = cast(OwnMethod, work.method)
    keywords = dict(method.keywords)
    values = {keywords[key]: value for key, value in work.resolved.values.items()}
    info = MergeInfo(name, shape, getattr(torch, str(DTYPES[dtype].torch_name)), work.seed, work.models)
    try:
        with torch.no_grad():
            result = method.function(tensors, base, info=info, **values)
    except Exception as error:
        raise _named(error, f"method {method.name!r}: tensor {name!r}") from error
    computed_in = torch.float64 if dtype == "F64" else torch.float32
    return _checked(result, shape, computed_in, f"method {method.name!r}: tensor {name!r}")


def _named(error: Exception, where: str) -> Exception:
    """The same error, its text saying where it came from."""
    kind = next((kept for kept in _KEPT if isinstance(error, kept)), ValueError)
    told = isinstance(error, kind) and str(error)
    return kind(f"{where}: {error}" if told else f"{where}: {type(error).__name__}: {error}".rstrip(": "))


def _checked(result: Any, shape: tuple[int, ...], dtype: torch.dtype, where: str) -> torch.Tensor:
    import torch

    if not isinstance(result, torch.Tensor):
        what = "nothing (None)" if result is None else f"a {type(result).__name__}"
        raise ValueError(f"{where}: the method must return one torch tensor, got {what}")
    if tuple(result.shape) != shape:
        raise ValueError(f"{where}: the result must have the inputs' shape {list(shape)}, got {list(result.shape)}")
    if not result.is_floating_point() or result.layout is not torch.strided or result.is_meta:
        raise ValueError(
            f"{where}: the result must be a dense floating-point tensor, got {quoted(str(result.dtype))} in layout "
            f"{result.layout} on {result.device}"
        )
    return result.detach().to("cpu", dtype).resolve_neg().contiguous()

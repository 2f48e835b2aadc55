"""Turns a Python function into a merge method: its signature becomes the method's parameters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from fusion_kernels.errors import listing, quoted, suggest
from fusion_kernels.method_info import BaseRole, MethodInfo, register, registry

if TYPE_CHECKING:
    import torch

__all__ = ["MergeInfo", "OwnMethod", "PerModel", "merge_method"]

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

_ROLES: dict[str, BaseRole] = {"required": "required", "optional": "optional", "none": "ignored"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class PerModel(Generic[T]):
    """Marks a parameter that has a value for each merged model: ``weight: PerModel[float] = 1.0``.

    The method gets a tuple with one value per tensor, in the order of the tensors. A default is one value for all.
    """


@dataclass(frozen=True)
class MergeInfo:
    """What a method is told about the tensor it makes.

    dtype: of the output; the method computes in float32, or in float64 where this is float64.
    models: names of the merged models, in the order of the tensors.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    seed: int
    models: tuple[str, ...]

    def generator(self) -> torch.Generator:
        """A CPU generator of random numbers that depend on the seed and the tensor's name alone.

        So they are the same whatever else is merged and in whatever order. Every call gives one at its start.
        """
        import torch

        digest = hashlib.sha256(f"{self.seed}/{self.name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def _no_function(*_: Any, **__: Any) -> Any:
    raise NotImplementedError


@dataclass(frozen=True)
class OwnMethod(MethodInfo):
    """A method written in Python. ``keywords`` are its parameters' names in the function, by their names elsewhere."""

    function: Callable[..., Any] = field(default=_no_function, repr=False)
    keywords: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def merge_method(
    name: str,
    *,
    base: Literal["required", "optional", "none"] = "none",
    min_models: int = 1,
    max_models: int | None = None,
) -> Callable[[Function], Function]:
    """Make a function a merge method of that name, for merge(), merge_tensors(), recipes and the command line.

    The function is ``f(tensors, base, *, info, weight: PerModel[float] = 1.0, density: float = 0.2)``:

    tensors: a list of torch tensors on the CPU, one for each merged model, float32 (float64 where the output is F64),
        in the shape they have in the models. They are copies: the method may change them.
    base: the base's tensor, likewise, or None where there is no base.
    info: a MergeInfo.

    It returns one floating-point tensor of the same shape, in that dtype, which is rounded once to the output's dtype.
    The other arguments are the method's parameters: float, int, bool, Literal["a", "b"], or PerModel of one of these;
    without a default they are required. The docstring's first line is the summary, its lines "name: text" describe
    parameters. The function itself is returned unchanged.

    name: letters, digits, "_" and "-"; not that of another method.
    base: "required", "optional" or "none". A base that is given is never one of the merged models.
    min_models, max_models: how many merged models it takes, the base not counted.

    Raises ValueError where the signature cannot be that of a method, naming the argument.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        how = "; write @merge_method('name') above it" if callable(name) else ""
        raise ValueError(f"merge_method: a name of letters, digits, '_' and '-' is expected, got {quoted(name)}{how}")
    if base not in _ROLES:
        raise ValueError(f"{name}: base is one of {listing(_ROLES)}, got {quoted(base)}.{suggest(base, _ROLES)}")
    _check_counts(name, min_models, max_models)

    def decorate(function: Function) -> Function:
        from fusion_kernels.own_signature import read_signature

        signature = read_signature(name, function)
        info = OwnMethod(
            name=name,
            kind="matrix",
            summary=signature.summary,
            formula="",
            paper={},
            base=_ROLES[base],
            min_models=min_models,
            max_models=max_models,
            parameters=signature.parameters,
            doc=signature.doc,
            function=function,
            keywords=signature.keywords,
        )
        _check_name(info)
        register(info)
        return function

    return decorate


def _check_counts(name: str, least: int, most: int | None) -> None:
    if type(least) is not int or least < 1:
        raise ValueError(f"{name}: min_models is a whole number of at least 1, got {quoted(least)}")
    if most is not None and (type(most) is not int or most < least):
        raise ValueError(f"{name}: max_models is None or a whole number of at least {least}, got {quoted(most)}")


def _check_name(method: OwnMethod) -> None:
    """Refuse the name of another method; the same function, loaded again, takes its own place."""
    other = registry().get(method.name)
    if not isinstance(other, OwnMethod):
        return  # the engine's own are register()'s to refuse
    new, old = method.function, other.function
    same_place = new.__module__ == old.__module__ or _file(new) == _file(old)
    if not same_place or new.__qualname__ != old.__qualname__:
        raise ValueError(
            f"{method.name!r} is already a method: {old.__qualname__} of {_file(old)}; choose another name for "
            f"{new.__qualname__} of {_file(new)}"
        )


def _file(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return str(code.co_filename) if code is not None else str(getattr(function, "__module__", "?"))

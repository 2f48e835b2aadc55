"""What a measurement is about: a method's kernels or an operation, on tensors prepared for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from fusion_kernels.bench.checks import Checks
from fusion_kernels.bench.copying import DeviceCopy, HostCopy
from fusion_kernels.bench.machine import last_level_cache
from fusion_kernels.bench.method_calls import DeviceCall, HostCall, tensors_of
from fusion_kernels.bench.methods import base_is_apart, merged_count, settings
from fusion_kernels.bench.operations import OPERATIONS, OperationCall
from fusion_kernels.bench.settings import EMULATED_ELEMENTS, FOLD_ONLY, PREFIX, QUICK_CACHE, SELECT, Point, Settings
from fusion_kernels.bench.tensor_sets import ROTATION, TORCH_DTYPES, Pool, TensorSet, sets_for
from fusion_kernels.bench.torch_expressions import EXPRESSIONS

__all__ = ["Laboratory", "MethodSubject", "OperationSubject", "Subject"]

IN_CACHE = 4  # tensors in cache fill a quarter of it
DEVICE_CACHE = 64 << 20  # bytes; no GPU these kernels run on has a larger one


class Call(Protocol):
    """Runs once; the bytes it read and wrote. `touched`: of all tensors, each once."""

    tensors: int
    elements: int
    touched: int

    def __call__(self) -> int: ...
    def poison(self) -> None: ...


@dataclass
class Laboratory:
    """What several points share: tensors, the copy, and the results they must agree in."""

    settings: Settings
    pools: dict[tuple[str, int, int], Pool] = field(default_factory=dict)
    copies: dict[int, HostCopy | DeviceCopy] = field(default_factory=dict)
    checks: Checks = field(default_factory=Checks)

    @property
    def cache_bytes(self) -> int:
        """The last-level cache; what stands for it in a quick run."""
        if self.settings.quick or not self.settings.measures:
            return QUICK_CACHE
        return last_level_cache() if self.settings.kind == "cpu" else DEVICE_CACHE

    def elements(self, point: Point) -> int:
        if point.size:
            return point.size
        return EMULATED_ELEMENTS if not self.settings.measures else -(-self.cache_bytes // _itemsize(point.dtype))

    def pool(self, dtype: str, elements: int, models: int) -> Pool:
        key = dtype, elements, models
        if key not in self.pools:
            kept = {} if self.settings.kind == "cpu" else self.pools  # a GPU's memory holds one pool at a time
            for old in [k for k in kept if k != key]:
                del self.pools[old]
            self.pools[key] = Pool(dtype, elements, models, self.settings.device)
        return self.pools[key]

    def sets(self, point: Point, used: int) -> list[TensorSet]:
        pool = self.pool(point.dtype, self.elements(point), point.models)
        return sets_for(pool, used, self.cache_bytes) if self.settings.measures else pool.take(2)

    def small_sets(self, point: Point, used: int) -> list[TensorSet]:
        """Two sets a thread, in a quarter of the cache."""
        count = 2 * point.threads
        fitting = self.cache_bytes // IN_CACHE // count // (used * _itemsize(point.dtype))
        return self.pool(point.dtype, fitting, point.models).take(count)

    def copy(self, threads: int) -> HostCopy | DeviceCopy | None:
        """None on an emulated GPU, where a copy's time would mean nothing either."""
        if not self.settings.measures:
            return None
        if threads not in self.copies:
            size = ROTATION * self.cache_bytes // 2
            on_host = self.settings.kind == "cpu"
            self.copies[threads] = HostCopy(size, threads) if on_host else DeviceCopy(size, self.settings.device)
        return self.copies[threads]


class MethodSubject:
    """A method of the engine, or a half of ties.

    `call` is what is timed, `small` the same in cache, `fold` what is taken off; `torch` is the same in torch.
    """

    def __init__(self, lab: Laboratory, point: Point) -> None:
        self._lab, self._point = lab, point
        self.method = "ties" if point.entry in (SELECT, FOLD_ONLY) else point.entry
        self.models = merged_count(self.method, point.models)
        self.base = base_is_apart(self.method)
        self.parameters = settings(self.method, self.models)
        if point.entry == FOLD_ONLY:
            self.parameters["density"] = [1.0] * self.models
        used = self.models + self.base + 1
        self.sets = lab.sets(point, used)
        self.call = self._call(self.sets)
        self.fold = self._call(self.sets, density=1.0) if point.entry == SELECT else None
        self.small: Call | None = None
        if point.threads and point.entry != SELECT:
            small = lab.small_sets(point, used)
            elements = sum(tensors.output.numel() for tensors in small)
            self.small = self._call(small, repeats=max(1, self.call.elements // (4 * elements)))
        expression = EXPRESSIONS.get(self.method) if point.entry != SELECT else None
        self.torch = None if expression is None else _stored(expression)
        self.call.poison()

    def _call(self, sets: list[TensorSet], *, repeats: int = 1, density: float | None = None) -> HostCall | DeviceCall:
        point, parameters = self._point, dict(self.parameters)
        if density is not None:
            parameters["density"] = [density] * self.models
        if self._lab.settings.kind != "cpu":
            return DeviceCall(self.method, parameters, sets, point.dtype, self._lab.settings.device)
        return HostCall(
            self.method, parameters, sets, point.dtype,
            threads=point.threads, instruction_set=point.instruction_set, repeats=repeats,
        )  # fmt: skip

    def torch_arguments(self, which: int) -> tuple[Any, ...]:
        """What `torch` is called with for a set."""
        return (*tensors_of(self.method, self.sets[which]), self.parameters)

    def check(self) -> dict[str, Any]:
        return self._lab.checks.method(self._point, self.method, self.parameters, self.call)


class OperationSubject:
    """A function of fusion_kernels.ops; as above."""

    fold: Call | None = None

    def __init__(self, lab: Laboratory, point: Point) -> None:
        self._point = point
        self.method = point.entry.removeprefix(PREFIX)
        self.models, self.base = point.models, False
        self.parameters: dict[str, Any] = {}
        itemsize = _itemsize(point.dtype)
        used = min(OPERATIONS[self.method].moved(point.models, itemsize) // itemsize, point.models + 1)
        self.sets = lab.sets(point, used)
        self.call = OperationCall(self.method, self.sets)
        self.call()  # says where this build has no operations on the device
        self.small: Call | None = None
        if point.threads:
            small = lab.small_sets(point, used)
            elements = sum(tensors.output.numel() for tensors in small)
            self.small = OperationCall(self.method, small, max(1, self.call.elements // (4 * elements)))
        self.torch: Callable[..., torch.Tensor] | None = self.call.operation.torch

    def torch_arguments(self, which: int) -> tuple[Any, ...]:
        return self.call.torch_arguments(which)

    def check(self) -> dict[str, Any]:
        wrong = self.call.wrong()
        assert not wrong, f"{self._point}: {', '.join(wrong)}"
        return {"compared_with_torch": True}


def _stored(expression: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The expression with its result in the models' dtype."""

    def run(base: torch.Tensor | None, models: list[torch.Tensor], parameters: dict[str, Any]) -> torch.Tensor:
        return expression(base, models, parameters).to(models[0].dtype)

    return run


def _itemsize(dtype: str) -> int:
    return TORCH_DTYPES[dtype].itemsize


Subject = MethodSubject | OperationSubject

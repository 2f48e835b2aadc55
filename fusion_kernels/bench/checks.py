"""Holds what was written while the clock ran to the bits of the reference build, and that to torch's result."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from fusion_kernels.bench.method_calls import DeviceCall, HostCall, tensors_of
from fusion_kernels.bench.methods import METHODS, merged_count, settings
from fusion_kernels.bench.settings import Point
from fusion_kernels.bench.tensor_sets import TensorSet
from fusion_kernels.bench.torch_expressions import EXPRESSIONS

__all__ = ["Checks", "differs_from_torch"]

REFERENCE = "scalar"  # the instruction set that computes one element after the other
SAMPLE = (24, 65)
# Of a float32 result, in which the order of operations differs; and of what such differences leave where terms cancel.
RELATIVE, ABSOLUTE = 2e-5, 2e-7

# A further comparison, by whoever has one: (method, dtype, instruction set, models) -> elements compared.
Further = Callable[[str, str, str, int], int]


class Checks:
    """The results of one run so far, by what must agree. `further` is asked for every method beside."""

    further: Further | None = None

    def __init__(self) -> None:
        self._expected: dict[tuple[str, str, int, int], list[int]] = {}

    def method(
        self, point: Point, method: str, parameters: dict[str, Any], call: HostCall | DeviceCall
    ) -> dict[str, Any]:
        """What was compared. Raises AssertionError, naming the point, where anything differs."""
        difference = differs_from_torch(method, point.models)
        assert not difference, f"{point}: {difference}"
        compared: dict[str, Any] = {"compared_with_torch": method in EXPRESSIONS}
        if isinstance(call, DeviceCall):
            return compared | {"elements": self._on_device(point, method, parameters, call)}
        compared["checksums"] = [f"{value:08x}" for value in self._on_host(point, method, parameters, call)]
        if self.further is not None:
            compared["oracle_elements"] = self.further(method, point.dtype, point.instruction_set, point.models)
        return compared

    def _on_host(self, point: Point, method: str, parameters: dict[str, Any], call: HostCall) -> list[int]:
        """The checksums of the sets' outputs: those of every instruction set and number of threads."""
        found = call.checksums()
        key = str(parameters), point.dtype, point.models, call.elements // call.tensors
        if key not in self._expected:
            copies = [tensors.on_host() for tensors in call.sets]
            reference = HostCall(method, parameters, copies, point.dtype, instruction_set=REFERENCE)
            reference()
            self._expected[key] = reference.checksums()
        assert found == self._expected[key], f"{point}: the result is not the reference build's"
        return found

    def _on_device(self, point: Point, method: str, parameters: dict[str, Any], call: DeviceCall) -> int:
        """The number of elements that are the processor's, which is all."""
        call.fetch()
        copies = [tensors.on_host() for tensors in call.sets]
        HostCall(method, parameters, copies, point.dtype)()
        for tensors, expected in zip(call.sets, copies, strict=True):
            assert tensors.equals(expected), f"{point}: the result is not the processor's"
        return call.elements


@cache
def differs_from_torch(method: str, models: int) -> str:
    """Where the reference build's result is not what the same method written in torch gives; empty where it is.

    On a small float32 tensor without equals. Draws are torch's own, so a method that draws keeps everything.
    """
    if method not in EXPRESSIONS:
        return ""
    parameters = settings(method, merged_count(method, models))
    if method in METHODS and METHODS[method].draws:
        parameters["density"] = [1.0] * len(parameters["density"])
    tensors = TensorSet.drawn("F32", SAMPLE, models, seed=7)
    base, inputs = tensors_of(method, tensors)
    HostCall(method, parameters, [tensors], "F32", instruction_set=REFERENCE)()
    expected = EXPRESSIONS[method](base, inputs, parameters)
    close = torch.isclose(tensors.output, expected, rtol=RELATIVE, atol=ABSOLUTE)
    return (
        "" if bool(close.all()) else f"{method} differs from the same written in torch in {int((~close).sum())} places"
    )

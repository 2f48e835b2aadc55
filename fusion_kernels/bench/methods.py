"""The methods as the benchmarks run them: of how many models, with which parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from fusion_kernels._native import native

__all__ = ["METHODS", "Method", "base_is_apart", "merged_count", "registered", "settings"]


@dataclass(frozen=True)
class Method:
    """A method as the benchmarks run it. `models` of the fine-tunes are merged; None is all of them.

    `draws` says that the result depends on random numbers, of which another program's are others; `peer` that mergekit
    has it.
    """

    name: str
    per_model: dict[str, float]
    shared: dict[str, float]
    reads_base: bool
    models: int | None = None
    draws: bool = False
    peer: bool = True


@cache
def registered() -> dict[str, dict[str, Any]]:
    """The engine's description of each of its methods, by name."""
    return {method["name"]: method for method in native().methods()}


_HALF = {"weight": 1.0, "density": 0.5}
_TABLE = (
    Method("linear", {"weight": 1.0}, {}, reads_base=False),
    Method("task_arithmetic", {"weight": 0.4}, {}, reads_base=True),
    Method("slerp", {}, {"t": 0.5}, reads_base=True, models=1),
    Method("ties", {"weight": 1.0, "density": 0.2}, {}, reads_base=True),
    Method("dare_linear", {"weight": 0.4, "density": 0.5}, {}, reads_base=True, draws=True),
    Method("dare_ties", _HALF, {}, reads_base=True, draws=True),
    Method("breadcrumbs", {"weight": 0.4, "density": 0.5, "gamma": 0.01}, {}, reads_base=True),
    Method("breadcrumbs_ties", {**_HALF, "gamma": 0.01}, {}, reads_base=True),
    Method("della", {**_HALF, "epsilon": 0.15}, {}, reads_base=True, draws=True),
    Method("della_linear", {"weight": 0.4, "density": 0.5, "epsilon": 0.15}, {}, reads_base=True, draws=True),
    Method("nuslerp", {"weight": 1.0}, {}, reads_base=True, models=2),
    Method("multislerp", {"weight": 1.0}, {}, reads_base=True),
    # All ten iterations: how many the default tolerance takes depends on how far apart the fine-tunes are, and random
    # ones as close as these are done after one or two.
    Method("karcher", {}, {"max_iter": 10, "tol": 0.0}, reads_base=False),
    Method("model_stock", {}, {}, reads_base=True),
    Method("trimmed_mean", {}, {"trim": 0.34}, reads_base=False, peer=False),  # one of three at either end
    Method("median", {}, {}, reads_base=False, peer=False),
    Method("passthrough", {}, {}, reads_base=False, models=1),
)
# What this build of the engine has; a method that is missing above is not merged from disk.
METHODS = {method.name: method for method in _TABLE if method.name in registered()}


def settings(name: str, models: int) -> dict[str, Any]:
    """Every parameter of a method for `models` merged models: as in the table, else the engine's default.

    A method that the table lacks gets, for a parameter without default, what a preset gives, the middle of its range,
    or 1.
    """
    known = METHODS.get(name)
    given = {**known.per_model, **known.shared} if known else {}
    values: dict[str, Any] = {}
    for parameter in registered()[name]["parameters"]:
        value = given.get(parameter["name"], parameter["default"])
        if value is None:
            bounds = parameter["minimum"], parameter["maximum"]
            middle = 1.0 if None in bounds else sum(bounds) / 2
            value = next(iter(parameter["presets"].values()), middle)
        values[parameter["name"]] = [value] * models if parameter["per_model"] else value
    return values


def merged_count(name: str, models: int) -> int:
    """The number of tensors a method merges when there are `models` fine-tunes; the base counts where it is merged."""
    limits = registered()[name]
    models = max(models, limits["min_models"])
    return min(models, limits["max_models"] or models)


def base_is_apart(name: str) -> bool:
    """Whether the method reads a base that is not one of the merged models; an optional one is given."""
    return registered()[name]["base"] in ("required", "optional")

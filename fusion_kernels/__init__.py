"""Merge neural-network checkpoints: several fine-tunes of one model become one, without training.

    import fusion_kernels
    fusion_kernels.merge(["math", "code"], base="base", method="ties", weight=1, density=0.2, output="merged")

Names are loaded when first used; importing this package loads neither the engine nor numpy nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fusion_kernels._version import __version__ as __version__

if TYPE_CHECKING:
    from fusion_kernels import ops as ops
    from fusion_kernels.catalogue import describe as describe
    from fusion_kernels.catalogue import methods as methods
    from fusion_kernels.hardware import devices as devices
    from fusion_kernels.merging import merge as merge
    from fusion_kernels.merging import plan as plan
    from fusion_kernels.own_methods import MergeInfo as MergeInfo
    from fusion_kernels.own_methods import PerModel as PerModel
    from fusion_kernels.own_methods import merge_method as merge_method
    from fusion_kernels.planning import Plan as Plan
    from fusion_kernels.recipe import Recipe as Recipe
    from fusion_kernels.report import MergeReport as MergeReport
    from fusion_kernels.tensors import merge_tensors as merge_tensors

    DeviceError: type[RuntimeError]

# No module may be called what it defines: importing it would put the module in the name's place.
_HOMES = {
    "DeviceError": "errors",
    "MergeInfo": "own_methods",
    "MergeReport": "report",
    "PerModel": "own_methods",
    "Plan": "planning",
    "Recipe": "recipe",
    "describe": "catalogue",
    "devices": "hardware",
    "merge": "merging",
    "merge_method": "own_methods",
    "merge_tensors": "tensors",
    "methods": "catalogue",
    "plan": "merging",
}
__all__ = [*_HOMES, "__version__"]  # not ops, which loads torch


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "ops":
        return import_module("fusion_kernels.ops")
    if name not in _HOMES:
        raise AttributeError(f"module 'fusion_kernels' has no attribute {name!r}")
    value = getattr(import_module(f"fusion_kernels.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "ops"])

"""Compare merging methods: a method merges the models of a modelpool, a taskpool evaluates the result.

    fusion-stack method=task_arithmetic modelpool=... taskpool=...

Names are loaded when first used; importing this package loads neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fusion_kernels._version import __version__ as __version__

if TYPE_CHECKING:
    from fusion_stack.checkpoint import MergedCheckpoint as MergedCheckpoint
    from fusion_stack.method.base import BaseAlgorithm as BaseAlgorithm
    from fusion_stack.method.base import BaseMethod as BaseMethod
    from fusion_stack.method.base import BaseModelFusionAlgorithm as BaseModelFusionAlgorithm
    from fusion_stack.modelpool.base import BaseModelPool as BaseModelPool
    from fusion_stack.serialization import BaseYAMLSerializable as BaseYAMLSerializable
    from fusion_stack.serialization import auto_register_config as auto_register_config
    from fusion_stack.serialization import instantiate as instantiate
    from fusion_stack.taskpool.base import BaseTaskPool as BaseTaskPool

_HOMES = {
    "BaseAlgorithm": "method.base",
    "BaseMethod": "method.base",
    "BaseModelFusionAlgorithm": "method.base",
    "BaseModelPool": "modelpool.base",
    "BaseTaskPool": "taskpool.base",
    "BaseYAMLSerializable": "serialization",
    "MergedCheckpoint": "checkpoint",
    "auto_register_config": "serialization",
    "instantiate": "serialization",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    from fusion_stack.lazy import load

    return load(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return sorted(__all__)

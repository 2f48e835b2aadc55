"""Merging methods: `method/<name>/<variant>.py` holds a class, `config/method/<name>/<variant>.yaml` its defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_stack.method.base import BaseAlgorithm as BaseAlgorithm
    from fusion_stack.method.base import BaseMethod as BaseMethod
    from fusion_stack.method.base import BaseModelFusionAlgorithm as BaseModelFusionAlgorithm
    from fusion_stack.method.dummy import DummyAlgorithm as DummyAlgorithm
    from fusion_stack.method.engine import EngineMethod as EngineMethod

_HOMES = {
    "BaseAlgorithm": "base",
    "BaseMethod": "base",
    "BaseModelFusionAlgorithm": "base",
    "DummyAlgorithm": "dummy",
    "EngineMethod": "engine",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    from fusion_stack.lazy import load

    return load(__name__, _HOMES, name)

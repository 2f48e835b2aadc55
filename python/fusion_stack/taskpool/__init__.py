"""Taskpools: what a model is evaluated on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_stack.taskpool.base import BaseTaskPool as BaseTaskPool
    from fusion_stack.taskpool.dummy import DummyTaskPool as DummyTaskPool

_HOMES = {
    "BaseTaskPool": "base",
    "DummyTaskPool": "dummy",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    from fusion_stack.lazy import load

    return load(__name__, _HOMES, name)

"""Programs: what one call of the command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_stack.programs.model_fusion import ModelFusionProgram as ModelFusionProgram

_HOMES = {
    "ModelFusionProgram": "model_fusion",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    from fusion_stack.lazy import load

    return load(__name__, _HOMES, name)

"""What every taskpool is: a class with `evaluate(model)`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from fusion_stack.hardware import Hardware
from fusion_stack.serialization import BaseYAMLSerializable

if TYPE_CHECKING:
    from fusion_stack.programs.model_fusion import ModelFusionProgram


class BaseTaskPool(BaseYAMLSerializable, ABC):
    """Base class of the taskpools.

    reads_checkpoints: whether `evaluate` takes a `MergedCheckpoint` as it is; otherwise the program loads it first.
    _program: the running program, None where the taskpool is called from Python.
    """

    _program: ModelFusionProgram | None = None
    _config_key: ClassVar[str | None] = "taskpool"
    reads_checkpoints: ClassVar[bool] = False

    @property
    def hardware(self) -> Hardware:
        """Where to evaluate, and in which precision: the program's, or what a machine offers by default."""
        return Hardware() if self._program is None else self._program.hardware

    @property
    def fast_dev_run(self) -> bool:
        """Whether one batch of every task is enough, as `fast_dev_run=true` asks."""
        return self._program is not None and self._program.fast_dev_run

    @abstractmethod
    def evaluate(self, model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Evaluates a torch.nn.Module (or a `MergedCheckpoint`, where `reads_checkpoints`) on every task.

        Returns {task: {metric: value}}, with {"average": {metric: mean over the tasks}} where tasks share a metric.
        A task whose data cannot be had is reported as {task: {"error": message}} while the others go on.
        """

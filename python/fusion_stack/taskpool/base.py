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
    takes_tasks: whether `evaluate` takes `tasks=[name, ...]`, to evaluate each single model on its own task alone.
    _program: the running program, None where the taskpool is called from Python.
    """

    _program: ModelFusionProgram | None = None
    _config_key: ClassVar[str | None] = "taskpool"
    reads_checkpoints: ClassVar[bool] = False
    takes_tasks: ClassVar[bool] = False

    @property
    def hardware(self) -> Hardware:
        """Where to evaluate, and in which precision: the program's, or what a machine offers by default."""
        return Hardware() if self._program is None else self._program.hardware

    @property
    def fast_dev_run(self) -> bool:
        """Whether one batch of every task is enough, as `fast_dev_run=true` asks."""
        return self._program is not None and self._program.fast_dev_run

    def data_hashes(self) -> dict[str, str]:
        """{task: hash of its data}, for the report; called after `evaluate`."""
        return {}

    def keep_items(self, task: str, correct: Any) -> None:
        """Keeps which items of a task were answered right (booleans, in the data's order), for paired tests of runs."""
        if self._program is not None:
            import numpy

            self._program.items[task] = numpy.asarray(correct, dtype=bool)

    @abstractmethod
    def evaluate(self, model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Evaluates a torch.nn.Module (or a `MergedCheckpoint`, where `reads_checkpoints`) on every task.

        Returns {task: {metric: value}}, with {"average": {metric: mean over the tasks}} where tasks share a metric.
        A task whose data cannot be had is reported as {task: {"error": message}} while the others go on.
        """

"""What every merging method is: a class with `run(modelpool)`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from fusion_stack.serialization import BaseYAMLSerializable

if TYPE_CHECKING:
    from fusion_stack.modelpool.base import BaseModelPool
    from fusion_stack.programs.model_fusion import ModelFusionProgram


class BaseAlgorithm(BaseYAMLSerializable, ABC):
    """Base class of the methods.

        class Mine(BaseAlgorithm):
            _config_mapping = BaseAlgorithm._config_mapping | {"strength": "hyperparam_1"}

            def __init__(self, hyperparam_1, **kwargs):
                self.strength = hyperparam_1
                super().__init__(**kwargs)

            def run(self, modelpool): ...

    _program: the running program, None where the method is called from Python.
    merges: whether it makes a model of several, for the log.
    loads_torch: whether `run` computes with torch, whose generators the program then seeds.
    """

    _program: ModelFusionProgram | None = None
    _config_key: ClassVar[str | None] = "method"
    merges: ClassVar[bool] = True
    loads_torch: ClassVar[bool] = True

    def on_run_start(self) -> None:
        """Called before `run`."""

    @abstractmethod
    def run(self, modelpool: BaseModelPool) -> Any:
        """Merges the pool's models.

        Returns a torch.nn.Module, a `MergedCheckpoint` (a folder, for methods that never hold a model in memory), a
        dictionary {name: model} or a modelpool for several, or None for a method that leaves no model.
        """

    def on_run_end(self) -> None:
        """Called after `run` has returned."""


BaseMethod = BaseAlgorithm
BaseModelFusionAlgorithm = BaseAlgorithm

"""Evaluates nothing: counts parameters and bytes, to try a merge without data."""

from __future__ import annotations

from typing import Any, ClassVar

from fusion_stack.checkpoint import MergedCheckpoint
from fusion_stack.serialization import auto_register_config
from fusion_stack.taskpool.base import BaseTaskPool


@auto_register_config
class DummyTaskPool(BaseTaskPool):
    """Reports the number of parameters and their bytes.

    model_save_path: folder to save the evaluated model to, None for none.
    """

    reads_checkpoints: ClassVar[bool] = True
    model_save_path: str | None

    def __init__(self, model_save_path: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def evaluate(self, model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """`model`: a MergedCheckpoint, of which headers are read alone, or a torch.nn.Module.

        Returns {"model_info": {trainable_params, all_params, trainable_percentage, bytes, name}}; of a checkpoint every
        parameter counts as trainable.
        """
        if self.model_save_path is not None:
            from fusion_stack.modelpool.base import BaseModelPool

            pool = None if self._program is None else self._program.modelpool
            (pool or BaseModelPool({})).save_model(model, self.model_save_path)
        if isinstance(model, MergedCheckpoint):
            every = trainable = model.num_parameters
            size, name = model.num_bytes, model.path.name
        else:
            parameters = list(model.parameters())
            every = sum(one.numel() for one in parameters)
            trainable = sum(one.numel() for one in parameters if one.requires_grad)
            size = sum(one.numel() * one.element_size() for one in parameters)
            name = type(model).__name__
        info = {
            "trainable_params": trainable,
            "all_params": every,
            "trainable_percentage": trainable / every if every else 0.0,
            "bytes": size,
            "name": name,
        }
        return {"model_info": info}

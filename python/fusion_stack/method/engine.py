"""Methods of the engine: merges files by streaming them, modules in memory, with no model instantiated."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import fusion_kernels
from fusion_stack.checkpoint import MergedCheckpoint
from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.modelpool.base import BaseModelPool


class EngineMethod(BaseAlgorithm):
    """One method of fusion_kernels on a modelpool; defaults are those of the preset "fusionbench".

    engine_method: a name of fusion_kernels.methods(). The other arguments are its parameters.
    """

    _config_mapping = BaseAlgorithm._config_mapping | {"engine_method": "engine_method"}

    def __init__(self, engine_method: str, **parameters: Any) -> None:
        self.engine_method = engine_method
        self.parameters = parameters
        super().__init__()

    def run(self, modelpool: Any) -> Any:
        """Returns a MergedCheckpoint, or a torch.nn.Module where the pool holds modules."""
        pool = BaseModelPool.of(modelpool)
        models = {name: pool.source(name) for name in pool.model_names}
        base = pool.source("_pretrained_") if pool.has_pretrained else None
        options: dict[str, Any] = {"method": self.engine_method, "base": base, "preset": "fusionbench"}
        if pool.has_instance_models:
            merged = copy.deepcopy(pool.load_pretrained_or_first_model())
            merged.load_state_dict(fusion_kernels.merge(models, **options, **self.parameters))
            return merged
        keep = None
        output = None if self._program is None else self._program.merged_model_path
        if output is None:
            keep = tempfile.TemporaryDirectory(prefix="fusion-stack-")
            output = Path(keep.name) / "merged"
        report = fusion_kernels.merge(models, output=output, **options, **self.parameters)
        return MergedCheckpoint(output, pool, report=report, keep=keep)

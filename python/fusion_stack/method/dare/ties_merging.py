"""DARE, then TIES: drop elements of each task vector at random, then trim over the model, elect and merge.

Yu et al. 2024, arXiv:2311.03099; Yadav et al. 2023, arXiv:2306.01708.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar

from fusion_stack.lazy import is_module
from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.method.engine.merge import EngineMethod
from fusion_stack.modelpool.base import BaseModelPool

_NEXT_SEED = 1_000_003  # models draw from seeds of their own


class DareTiesMerging(BaseAlgorithm):
    """Two merges by the engine: each model alone by `dare_linear`, to a temporary folder, then all by `ties`.

    sparsity_ratio, rescale, only_on_linear_weights: of the random dropping; see the engine's `dare_linear`.
    scaling_factor, threshold, merge_func, remove_keys: of TIES. None for `threshold` does not trim.

    The temporary models take as much disk as the models of the pool, in float32 so that the second step sees what the
    first computed.
    """

    loads_torch: ClassVar[bool] = False  # the engine draws by itself
    _config_mapping = BaseAlgorithm._config_mapping | {"dare": "dare", "ties": "ties"}

    def __init__(
        self,
        *,
        sparsity_ratio: float = 0.5,
        only_on_linear_weights: bool = False,
        rescale: bool = True,
        scaling_factor: float = 0.5,
        threshold: float | None = 20,
        remove_keys: Any = (),
        merge_func: str = "sum",
        **kwargs: Any,
    ) -> None:
        self.dare: dict[str, Any] = {
            "sparsity_ratio": sparsity_ratio,
            "only_on_linear_weights": only_on_linear_weights,
            "rescale": rescale,
            "scaling_factor": 1.0,
        }
        self.ties: dict[str, Any] = {
            "scaling_factor": scaling_factor,
            "threshold": 100 if threshold is None else threshold,
            "remove_keys": remove_keys,
            "merge_func": merge_func,
        }
        super().__init__(**kwargs)

    def run(self, modelpool: Any) -> Any:
        """Returns what EngineMethod.run returns."""
        pool = BaseModelPool.of(modelpool)
        pool.require_pretrained()
        second = EngineMethod("ties", **self.ties)
        second._program = self._program
        with tempfile.TemporaryDirectory(prefix="fusion-stack-") as folder:
            thinned: dict[str, Any] = {"_pretrained_": pool.get_model_config("_pretrained_", return_copy=False)}
            for number, name in enumerate(pool.model_names):
                thinned[name] = self._thinned(pool, name, number, Path(folder))
            return second.run(BaseModelPool.like(pool, thinned))

    def _thinned(self, pool: BaseModelPool, name: str, number: int, folder: Path) -> Any:
        seed = 0 if self._program is None else self._program.seed or 0
        first = EngineMethod(
            "dare_linear",
            model_save_path=str(folder / str(number)),
            seed=(seed + 1) * _NEXT_SEED + number,
            dtype=None if pool.has_instance_models else "float32",
            **self.dare,
        )
        first._program = self._program
        one = {key: pool.get_model_config(key, return_copy=False) for key in ("_pretrained_", name)}
        merged = first.run(BaseModelPool.like(pool, one))
        return merged if is_module(merged) else str(merged.path)

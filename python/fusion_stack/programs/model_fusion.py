"""One run: merge the models of the modelpool by the method, save the result, evaluate it on the taskpool."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_stack.checkpoint import MergedCheckpoint
from fusion_stack.hardware import Hardware
from fusion_stack.lazy import is_module
from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.serialization import instantiate
from fusion_stack.taskpool.base import BaseTaskPool

log = logging.getLogger(__name__)


class ModelFusionProgram:
    """The default program.

    method, modelpool, taskpool: configurations with `_target_`; the taskpool may be None.
    path: folders; `path.log_dir` is the run's. `{log_dir}` in a save path stands for it.
    merged_model_save_path: where the merged model goes; false saves none.
    report_save_path: what the taskpool reported goes there too; None or false for nowhere.
    """

    def __init__(
        self,
        method: Any,
        modelpool: Any,
        taskpool: Any = None,
        *,
        path: Mapping[str, Any],
        fabric: Mapping[str, Any] | None = None,
        seed: int | None = None,
        fast_dev_run: bool = False,
        merged_model_save_path: str | bool | None = None,
        merged_model_save_kwargs: Mapping[str, Any] | None = None,
        report_save_path: str | bool | None = None,
    ) -> None:
        self.hardware = Hardware.of(fabric)
        self.seed, self.fast_dev_run = seed, fast_dev_run
        self.log_dir = Path(path["log_dir"])
        self.path = path
        self.merged_model_path = self._resolved(merged_model_save_path)
        self.merged_model_save_kwargs = dict(merged_model_save_kwargs or {})
        self.report_path = self._resolved(report_save_path)
        self.modelpool: BaseModelPool = self._built(modelpool)
        self.method: BaseAlgorithm = self._built(method)
        self.taskpool: BaseTaskPool | None = None if taskpool is None else self._built(taskpool)

    def run(self) -> Any:
        """Returns the taskpool's report, None where there is no taskpool or no model."""
        if self.seed is not None:
            from fusion_stack.seeding import seed_everything

            seed_everything(self.seed)
        names = self.modelpool.model_names
        log.info("merging %d models by %s: %s", len(names), type(self.method).__name__, ", ".join(names))
        started = time.perf_counter()
        self.method.on_run_start()
        merged = self.method.run(self.modelpool)
        self.method.on_run_end()
        log.info("merged in %.2f s", time.perf_counter() - started)
        if merged is None:
            return None
        self._save(merged)
        report = None if self.taskpool is None else self._evaluated(merged, self.taskpool)
        if self.report_path is not None:
            self.report_path.parent.mkdir(parents=True, exist_ok=True)
            self.report_path.write_text(json.dumps(report, indent=2) + "\n")
        return report

    def _built(self, config: Any) -> Any:
        made = instantiate(config)
        if hasattr(made, "_program"):
            made._program = self
        return made

    def _resolved(self, path: str | bool | None) -> Path | None:
        return None if path is None or isinstance(path, bool) else Path(path.replace("{log_dir}", str(self.log_dir)))

    def _save(self, merged: Any) -> None:
        if self.merged_model_path is None:
            return
        several = merged if isinstance(merged, Mapping) else {"": merged}
        for name, model in several.items():
            if is_module(model) or isinstance(model, MergedCheckpoint):
                self.modelpool.save_model(model, self.merged_model_path / name, **self.merged_model_save_kwargs)
        log.info("saved the merged model in %s", self.merged_model_path)

    def _evaluated(self, merged: Any, taskpool: BaseTaskPool) -> Any:
        if isinstance(merged, MergedCheckpoint) and not taskpool.reads_checkpoints:
            merged = merged.load()
        if is_module(merged) or isinstance(merged, MergedCheckpoint):
            return taskpool.evaluate(merged)
        if isinstance(merged, Mapping):
            return {name: self._evaluated(model, taskpool) for name, model in merged.items()}
        if isinstance(merged, BaseModelPool):
            return {name: self._evaluated(model, taskpool) for name, model in merged.named_models()}
        return [self._evaluated(model, taskpool) for model in merged]

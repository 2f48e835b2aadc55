"""One run: merge the models of the modelpool by the method, save the result, evaluate it on the taskpool."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_kernels.errors import listing
from fusion_stack.checkpoint import MergedCheckpoint
from fusion_stack.hardware import Hardware
from fusion_stack.lazy import is_module
from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.programs.context import RunContext
from fusion_stack.programs.saving import SaveOptions
from fusion_stack.report.metrics import accuracies
from fusion_stack.report.provenance import Cost, model_hashes, versions
from fusion_stack.report.run_folder import write
from fusion_stack.serialization import instantiate
from fusion_stack.taskpool.base import BaseTaskPool

log = logging.getLogger(__name__)


class ModelFusionProgram:
    """The default program.

    method, modelpool, taskpool: configurations with `_target_`; the taskpool may be None.
    path: folders; `path.log_dir` is the run's. `{log_dir}` in a save path stands for it.
    fabric: devices and precision, see Hardware.
    merged_model_save_path: where the merged model goes; None is merged_model in the run's folder unless the method has
        a `model_save_path` of its own, false saves nothing.
    merged_model_save_kwargs: how it is saved, see SaveOptions.
    report_save_path: what the taskpool reported goes there too; None or false for nowhere.
    hash_models: whether the report tells the SHA-256 of every model's weights, for which they are read once.
    coefficient_chosen_by: what the report says of how the method's coefficients were chosen, such as "validation";
        None says whether they are the configuration's or were given.
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
        hash_models: bool = True,
        coefficient_chosen_by: str | None = None,
    ) -> None:
        self.cost = Cost()
        self.context = RunContext()
        self.hardware = Hardware.of(fabric)
        self.seed, self.fast_dev_run = seed, fast_dev_run
        self.path, self.log_dir = path, Path(path["log_dir"])
        self.saves = merged_model_save_path is not False
        self.saves_where = self._resolved(merged_model_save_path)
        self.report_path = self._resolved(report_save_path)
        self.hash_models, self.coefficient_chosen_by = hash_models, coefficient_chosen_by
        self.modelpool: BaseModelPool = self._built(modelpool)
        self.save_options = SaveOptions.of(merged_model_save_kwargs, self.modelpool)
        self.method: BaseAlgorithm = self._built(method)
        self.taskpool: BaseTaskPool | None = None if taskpool is None else self._built(taskpool)
        self.items: dict[str, Any] = {}

    @property
    def merged_model_path(self) -> Path | None:
        """Where the merged model goes, None where it is not to be saved."""
        return (self.saves_where or self.log_dir / "merged_model") if self.saves else None

    @property
    def engine_options(self) -> dict[str, Any]:
        """What fusion_kernels.merge is told of how its result is saved: dtype, max_shard_size."""
        return self.save_options.of_the_engine if self.saves else {}

    def plan(self) -> str:
        """What `run` would do: the models, and what the merge would need where the method can tell."""
        names = ", ".join(self.modelpool.all_model_names)
        lines = [f"{type(self.method).__name__} on {names}", f"result: {self.merged_model_path or 'not saved'}"]
        plan = getattr(self.method, "plan", None)
        if plan is not None:
            lines += [str(one) for one in plan(self.modelpool)]
        return "\n".join(lines)

    def run(self) -> Any:
        """Returns the taskpool's report, None where there is no taskpool or no model."""
        names, method = self.modelpool.model_names, self.context.name("method")
        if self.method.merges:
            log.info("merging %d models by %s: %s", len(names), method, ", ".join(names))
        else:
            log.info("method %s merges nothing; the modelpool has %s", method, listing(names, limit=20) or "no models")
        self._seed(torch=self.method.loads_torch)
        self.method.on_run_start()
        merged = self.method.run(self.modelpool)
        self.method.on_run_end()
        if self.method.merges:
            log.info("merged after %.2f s", self.cost.so_far()["seconds"])
        saved = None if merged is None else self._save(merged)
        metrics = None
        if merged is not None and self.taskpool is not None:
            self._seed(torch=not self.taskpool.reads_checkpoints)
            metrics = self._evaluated(merged, self.taskpool)
        self._report(metrics, saved)
        return metrics

    def _seed(self, *, torch: bool) -> None:
        if self.seed is not None:
            from fusion_stack.seeding import seed_everything

            seed_everything(self.seed, torch=torch)

    def _built(self, config: Any) -> Any:
        made = instantiate(config)
        if hasattr(made, "_program"):
            made._program = self
        return made

    def _resolved(self, path: str | bool | None) -> Path | None:
        return None if path is None or isinstance(path, bool) else Path(path.replace("{log_dir}", str(self.log_dir)))

    def _save(self, merged: Any) -> Path | None:
        """Saves what is a model; returns where, None where nothing was saved."""
        in_place = isinstance(merged, MergedCheckpoint) and merged.lasting and self.saves_where is None
        folder = merged.path if in_place else self.merged_model_path
        if folder is None or isinstance(merged, BaseModelPool):
            return None
        several = merged if isinstance(merged, Mapping) else {"": merged}
        for name, model in several.items():
            if is_module(model) or isinstance(model, MergedCheckpoint):
                self.save_options.save(self.modelpool, model, folder / name)
        log.info("saved the merged model in %s", folder)
        return folder

    def _evaluated(self, merged: Any, taskpool: BaseTaskPool, **narrowed: Any) -> Any:
        if isinstance(merged, MergedCheckpoint) and not taskpool.reads_checkpoints:
            merged = merged.load()
        if is_module(merged) or isinstance(merged, MergedCheckpoint):
            return taskpool.evaluate(merged, **narrowed)
        if isinstance(merged, Mapping):
            return {name: self._evaluated(model, taskpool) for name, model in merged.items()}
        if isinstance(merged, BaseModelPool):
            return self._each(merged, taskpool)
        return [self._evaluated(model, taskpool) for model in merged]

    def _each(self, pool: BaseModelPool, taskpool: BaseTaskPool) -> dict[str, Any]:
        """Every model on the task of its name; where none has such a task, every model on all tasks."""
        names = pool.model_names
        tasks = getattr(taskpool, "task_names", names) if taskpool.takes_tasks else []
        own = [name for name in names if name in tasks]
        if own and (others := [name for name in names if name not in own]):
            log.info("not evaluated, for no task has their name: %s", listing(others))
        return {
            name: self._evaluated(pool.load_model(name), taskpool, **({"tasks": [name]} if own else {}))
            for name in own or names
        }

    def _report(self, metrics: Any, saved: Path | None) -> None:
        pool, tasks = self.modelpool, self.taskpool
        report = {
            "metrics": metrics,
            "method": {
                "name": self.context.name("method"),
                "config": self.context.config("method"),
                "coefficient_chosen_by": self.coefficient_chosen_by or self.context.coefficient_chosen_by,
            },
            "modelpool": {"name": self.context.name("modelpool"), "models": pool.model_names},
            "taskpool": {"name": self.context.name("taskpool")},
            "seed": self.seed,
            "fast_dev_run": self.fast_dev_run,
            "merged_model": None if saved is None else str(saved),
            "command": self.context.command,
            "config": self.context.config(),
            "versions": versions(),
            "hashes": {
                "models": model_hashes(pool) if self.hash_models else {},
                "data": {} if tasks is None else tasks.data_hashes(),
            },
            "cost": self.cost.so_far(),
        }
        write(self.log_dir, report, self.items)
        if scores := accuracies(metrics):
            mean = sum(scores.values()) / len(scores)
            each = ", ".join(f"{task} {score:.3f}" for task, score in scores.items())
            log.info("scores: %s; mean %.3f", each, mean)
        if self.report_path is not None:
            self.report_path.parent.mkdir(parents=True, exist_ok=True)
            self.report_path.write_text(json.dumps(metrics, indent=2, default=str) + "\n")
        log.info("report in %s", self.log_dir / "report.md")

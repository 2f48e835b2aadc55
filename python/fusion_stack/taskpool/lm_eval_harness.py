"""The tasks of EleutherAI's lm-eval on causal language models: `LMEvalHarnessTaskPool`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion_kernels.errors import listing, suggest
from fusion_stack.serialization import auto_register_config
from fusion_stack.taskpool.base import BaseTaskPool
from fusion_stack.taskpool.dataset_pool import average, model_info
from fusion_stack.tasks.pretrained import loaded, tokenizer_from
from fusion_stack.tasks.progress import progress

log = logging.getLogger(__name__)


@auto_register_config
class LMEvalHarnessTaskPool(BaseTaskPool):
    """Runs lm-eval (https://github.com/EleutherAI/lm-evaluation-harness) on the model in memory.

    Metrics are reported under lm-eval's names; those of the filter "none" without it.
    """

    tasks: str | Sequence[str]
    tokenizer: Any
    batch_size: int | str
    num_fewshot: int | None
    limit: int | float | None
    include_path: str | None
    apply_chat_template: bool
    output_path: str | None
    log_samples: bool
    verbosity: str | None
    metadata: Mapping[str, Any] | None

    def __init__(
        self,
        tasks: str | Sequence[str],
        *,
        tokenizer: Any = None,
        batch_size: int | str = 1,
        num_fewshot: int | None = None,
        limit: int | float | None = None,
        include_path: str | None = None,
        apply_chat_template: bool = False,
        output_path: str | None = None,
        log_samples: bool = False,
        verbosity: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """`tasks`: lm-eval's names of tasks or groups, a list or joined by commas.

        tokenizer: a path or hub id, a mapping with `_target_`, or the object; None for the modelpool's, or the model's.
        limit: items of each task. include_path: folder with task definitions of one's own.
        output_path: folder for lm-eval's full results, one JSON file a task, with the samples where log_samples; None
            for lm_eval_results in the run's folder. Other parameters are lm-eval's.
        """
        super().__init__(**kwargs)

    def evaluate(self, model: Any, name: str | None = None, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """{"model_info", task: {metric: value} or {"error": message}, "average"}.

        Raises ImportError where lm-eval is not installed, ValueError for a task it does not know.
        """
        try:
            from lm_eval.models.huggingface import HFLM
            from lm_eval.tasks import TaskManager
        except ImportError as error:
            raise ImportError(
                f"LMEvalHarnessTaskPool needs lm-eval ({error}): pip install 'fusion_kernels[lm-eval]'"
            ) from error
        device, dtype = self.hardware.torch_device, self.hardware.weights_dtype
        model = model.to(device=device, dtype=dtype).eval()
        manager = TaskManager(include_path=self.include_path)
        names = self._names(manager)
        wrapped = HFLM(pretrained=model, tokenizer=self._tokenizer(model), batch_size=self.batch_size, backend="causal")
        report: dict[str, Any] = {"model_info": model_info(model, name)}
        for task in progress(names, "lm-eval", unit="task"):
            try:
                with self.hardware.autocast():
                    report[task] = self._evaluated(wrapped, manager, task)
            except OSError as error:
                log.error("task %r: its data cannot be loaded: %s", task, error)
                report[task] = {"error": f"task {task!r}: its data cannot be loaded: {error}"}
        measured = [{key: value for key, value in report[task].items() if "_stderr" not in key} for task in names]
        report["average"] = average(measured, ("acc",))
        return report

    def _names(self, manager: Any) -> list[str]:
        names = [one.strip() for one in self.tasks.split(",")] if isinstance(self.tasks, str) else list(self.tasks)
        for name in names:
            if name not in manager.all_tasks:
                raise ValueError(
                    f"lm-eval has no task {name!r}; `lm-eval ls tasks` lists {len(manager.all_tasks)}."
                    f"{suggest(name, manager.all_tasks)}"
                )
        if not names:
            raise ValueError(f"taskpool.tasks is empty; lm-eval has {listing(manager.all_tasks, limit=5)}")
        return names

    def _tokenizer(self, model: Any) -> Any:
        pool = None if self._program is None else self._program.modelpool
        if self.tokenizer is not None:
            return loaded(self.tokenizer, tokenizer_from, "tokenizer")
        load = getattr(pool, "load_tokenizer", None)
        if load is None and not model.config.name_or_path:
            raise ValueError("neither the modelpool nor the model has a tokenizer; name one: taskpool.tokenizer=PATH")
        return tokenizer_from(model.config.name_or_path) if load is None else load()

    def _evaluated(self, wrapped: Any, manager: Any, task: str) -> dict[str, float]:
        from lm_eval import simple_evaluate
        from lm_eval.utils import handle_non_serializable

        seed = 0 if self._program is None or self._program.seed is None else self._program.seed
        results = simple_evaluate(
            model=wrapped,
            tasks=[task],
            task_manager=manager,
            num_fewshot=self.num_fewshot,
            limit=2 if self.fast_dev_run else self.limit,
            apply_chat_template=self.apply_chat_template,
            log_samples=self.log_samples,
            verbosity=self.verbosity,
            metadata=None if self.metadata is None else dict(self.metadata),
            random_seed=seed,
            numpy_random_seed=seed,
            torch_random_seed=seed,
            fewshot_random_seed=seed,
            bootstrap_iters=0 if self.fast_dev_run else 100000,
        )
        folder = self._folder()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{task}.json").write_text(json.dumps(results, indent=2, default=handle_non_serializable))
        metrics = {**results.get("groups", {}), **results["results"]}[task]
        return {
            key.removesuffix(",none"): float(value)
            for key, value in metrics.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in ("alias", "sample_len")
        }

    def _folder(self) -> Path | None:
        if self.output_path is not None:
            return Path(self.output_path)
        return None if self._program is None else self._program.log_dir / "lm_eval_results"

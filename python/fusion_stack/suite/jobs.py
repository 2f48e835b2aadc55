"""What the suite's worker processes do: train one model, answer with one model, or make one row of the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from fusion_stack.suite.family import Encoded, Family
from fusion_stack.suite.models import Trained
from fusion_stack.suite.results import packed
from fusion_stack.suite.rows import MergeRow, method_of
from fusion_stack.suite.settings import CommonSettings
from fusion_stack.suite.statistics import accuracy, mean
from fusion_stack.suite.workers import progress_of

Items = Mapping[str, Encoded]


def train(
    index: int, family: Family, base: Path, target: Path, data: list[Encoded], settings: CommonSettings, bf16: bool
) -> None:
    """Job: one fine-tune; progress is steps done."""
    messages: Any = import_module("transformers.utils.logging")
    messages.disable_progress_bar()  # of writing one file
    family.finetune(base, target, data, settings, bf16=bf16, progress=progress_of(index))


def answer(index: int, family: Family, folder: Path, test: Items, bf16: bool) -> tuple[dict[str, list[bool]], float]:
    """Job: hits of one model folder, and CPU-seconds; progress is items answered."""
    started = time.process_time()
    pool = family.pool(folder)
    model = pool.load_pretrained_model().eval()
    hits = family.evaluate(pool, model, test, autocast=_bf16(bf16), progress=progress_of(index))
    return hits, time.process_time() - started


def merge_and_answer(
    index: int,
    family: Family,
    row: MergeRow,
    trained: Trained,
    validation: Items,
    test: Items,
    seed: int,
    bf16: bool,
) -> dict[str, Any]:
    """Job: the row's record. Its coefficient is chosen on validation items; progress is items answered."""
    started = time.process_time()
    pool = family.pool(trained.base, trained.models)
    how: Any = {"autocast": _bf16(bf16), "progress": progress_of(index)}
    choices = row.choices()
    tried: dict[float, float] = {}
    if row.coefficient is not None:
        for value, overrides in choices:
            assert value is not None
            hits = family.evaluate(pool, _merged(overrides, pool, seed)[0], validation, **how)
            tried[value] = mean([accuracy(one) for one in hits.values()])
        choices = [max(choices, key=lambda choice: tried[choice[0] or 0.0])]
    (value, overrides), *_ = choices
    model, seconds = _merged(overrides, pool, seed)
    hits = family.evaluate(pool, model, test, **how)
    record = record_of(row.name, row.label, row.setting, "merge", hits, time.process_time() - started)
    record |= {"command": " ".join(overrides), "merge_seconds": round(seconds, 3)}
    if row.coefficient is not None:
        chosen = {
            "key": row.coefficient,
            "value": value,
            "validation": {f"{k:g}": round(v, 2) for k, v in tried.items()},
        }
        record["coefficient"] = chosen
    return record


def record_of(
    name: str, label: str, setting: str, kind: str, hits: Mapping[str, list[bool]], cpu_seconds: float = 0.0
) -> dict[str, Any]:
    """A row as it is kept: names, accuracy in % for people, hits for the arithmetic."""
    return {
        "name": name,
        "label": label,
        "setting": setting,
        "kind": kind,
        "accuracy": {task: round(accuracy(each), 2) for task, each in hits.items()},
        "hits": {task: packed(each) for task, each in hits.items()},
        "cpu_seconds": round(cpu_seconds, 1),
    }


def answers_needed(row: MergeRow, validation: Items, test: Items) -> int:
    """How many items `merge_and_answer` will report."""
    return len(row.candidates) * count(validation) + count(test)


def count(items: Items) -> int:
    """Items of all tasks together."""
    return sum(len(one.classes) for one in items.values())


def _bf16(enabled: bool) -> Callable[[], Any]:
    import torch

    return lambda: torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def _merged(overrides: tuple[str, ...], pool: Any, seed: int) -> tuple[Any, float]:
    """The merged model in evaluation mode, and the seconds its merge took, from disk to disk."""
    method = method_of([*overrides, f"seed={seed}"])
    started = time.perf_counter()
    merged = method.run(pool)
    seconds = time.perf_counter() - started
    load: Callable[[], Any] | None = getattr(merged, "load", None)
    return (load() if load is not None else merged.eval()), seconds

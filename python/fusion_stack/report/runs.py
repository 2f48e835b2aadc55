"""Reads finished runs from their folders."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion_stack.report.metrics import accuracies
from fusion_stack.report.run_folder import ITEMS, JSON

log = logging.getLogger(__name__)
INDIVIDUAL = "individual"
_COEFFICIENTS = ("scaling_factor", "lambda", "weights", "weight", "t", "extrapolation_factor", "alpha")


@dataclass(frozen=True)
class Run:
    """One run. scores: {task: score}, between 0 and 1. coefficient: such as "scaling_factor 0.3", "" for none."""

    folder: Path
    method: str
    coefficient: str
    chosen_by: str
    seed: int | None
    scores: Mapping[str, float]

    @property
    def average(self) -> float:
        """Mean of the scores over the tasks."""
        return sum(self.scores.values()) / len(self.scores)

    def items(self) -> dict[str, Any]:
        """{task: booleans, whether each item was answered right}; empty where the run did not keep them."""
        path = self.folder / ITEMS
        if not path.exists():
            return {}
        import numpy

        with numpy.load(path) as kept:
            return {task: kept[task] for task in kept.files}


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """The runs in the given folders, each a run's or one that holds runs, however deep, in the order of their paths.

    Runs without scores are left out, and named in the log. Raises ValueError for a path without runs, for a report that
    cannot be read, and where no run has scores.
    """
    found: list[Run] = []
    for path in paths:
        reports = [path] if path.is_file() else sorted(path.rglob(JSON))
        if not reports:
            raise ValueError(f"{path}: no {JSON} here; name a run's folder, or one that holds runs")
        found += [_read(report) for report in reports]
    scored, others = [run for run in found if run.scores], [run for run in found if not run.scores]
    if others and not scored:
        where = others[0].folder / JSON
        raise ValueError(f"{where}: no scores by task; was its taskpool a dummy, or did all of its tasks fail?")
    for run in others:
        log.warning("left out, for it has no scores by task: %s", run.folder)
    return scored


def _read(path: Path) -> Run:
    try:
        report = json.loads(path.read_text())
        method, metrics = report["method"], report["metrics"]
        config = method["config"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a run's report: {error}") from error
    given = [f"{key} {_number(config[key])}" for key in _COEFFICIENTS if config.get(key) is not None]
    chosen = str(method.get("coefficient_chosen_by", "")) if given else ""
    return Run(path.parent, method["name"], ", ".join(given), chosen, report.get("seed"), accuracies(metrics))


def _number(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_number, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)

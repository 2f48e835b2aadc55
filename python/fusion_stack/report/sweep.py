"""The table of a sweep, made when its last job is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fusion_stack.report.formats import markdown
from fusion_stack.report.runs import Run, read_runs
from fusion_stack.report.statistics import compared
from fusion_stack.report.table import tabulate

TABLE = "table.md"


def tabulated(folders: Sequence[Path]) -> str:
    """Writes table.md beside the jobs' folders and returns it; nothing where fewer than two jobs have scores."""
    runs = [run for folder in folders for run in _scored(folder)]
    if len(runs) < 2:
        return ""
    table = tabulate(runs)
    text = markdown(table, compared({row.label: row.runs for row in table.rows}))
    (Path(os.path.commonpath([folder.resolve() for folder in folders])) / TABLE).write_text(text)
    return text


def _scored(folder: Path) -> list[Run]:
    try:
        return read_runs([folder])
    except ValueError:  # the job failed, or its taskpool has no scores
        return []

"""Brings runs together: one row a method and coefficient, one column a task, means over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan

from fusion_stack.report.runs import INDIVIDUAL, Run
from fusion_stack.report.statistics import mean_and_error

Estimate = tuple[float, float]  # mean, standard error; NaN where there is none


@dataclass(frozen=True)
class Row:
    """A method. scores: {task: estimate}; average and normalised (÷ individual models, mean over tasks): estimates."""

    method: str
    coefficient: str
    chosen_by: str
    scores: Mapping[str, Estimate]
    average: Estimate
    normalised: Estimate
    runs: tuple[Run, ...] = ()
    published: bool = False

    @property
    def label(self) -> str:
        """The method with its coefficient, which tells rows of a sweep apart."""
        return f"{self.method} ({self.coefficient})" if self.coefficient else self.method


@dataclass(frozen=True)
class Table:
    """tasks: the columns. rows: in the order in which the runs were given. notes: what a reader should know."""

    tasks: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = field(default=())


def tabulate(runs: Sequence[Run]) -> Table:
    """Groups runs of equal method and coefficient, whatever their seed."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.method, run.coefficient), []).append(run)
    tasks = tuple(dict.fromkeys(task for run in runs for task in run.scores))
    individual = [run for run in runs if run.method == INDIVIDUAL]
    rows = tuple(_row(group, individual) for group in groups.values())
    notes = []
    for row in rows:
        missing = [task for task in tasks if task not in row.scores]
        if missing:
            notes.append(f"{row.label} lacks {', '.join(missing)}: its average is over fewer tasks.")
        seeds = [run.seed for run in row.runs]
        if len(set(seeds)) < len(seeds):
            notes.append(f"{row.label} has several runs of one seed: they count as one measurement each.")
    return Table(tasks, rows, tuple(notes))


def _row(runs: Sequence[Run], individual: Sequence[Run]) -> Row:
    tasks = [task for task in runs[0].scores if all(task in run.scores for run in runs)]
    scores = {task: mean_and_error([run.scores[task] for run in runs]) for task in tasks}
    normalised = [one for run in runs if (one := _normalised(run, individual)) is not None]
    return Row(
        method=runs[0].method,
        coefficient=runs[0].coefficient,
        chosen_by=" / ".join(dict.fromkeys(run.chosen_by for run in runs)),
        scores=scores,
        average=mean_and_error([run.average for run in runs]),
        normalised=mean_and_error(normalised) if len(normalised) == len(runs) else (nan, nan),
        runs=tuple(runs),
    )


def _normalised(run: Run, individual: Sequence[Run]) -> float | None:
    """Mean over tasks of score ÷ the individual model's, of the same seed where there is one."""
    reference = [one for one in individual if one.seed == run.seed] or individual
    if not reference:
        return None
    scores = {task: sum(one.scores[task] for one in reference) / len(reference) for task in reference[0].scores}
    shares = [score / scores[task] for task, score in run.scores.items() if scores.get(task)]
    return sum(shares) / len(shares) if len(shares) == len(run.scores) else None

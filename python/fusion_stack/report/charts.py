"""Draws scores by task: bars for a few runs, a radar for the shape of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Scores = Mapping[str, Mapping[str, float]]


def bar_chart(scores: Scores, path: Path) -> None:
    """`scores`: {method: {task: score between 0 and 1}}. Writes a picture in the format the path's ending names."""
    figure, axes = _figure(polar=False)
    tasks = _tasks(scores)
    width = 0.8 / len(scores)
    for number, (name, by_task) in enumerate(scores.items()):
        places = [index - 0.4 + width * (number + 0.5) for index in range(len(tasks))]
        bars = axes.bar(places, [100 * by_task.get(task, float("nan")) for task in tasks], width, label=name)
        if len(scores) == 1:  # several would overlap
            axes.bar_label(bars, fmt="%.1f")
    axes.set_xticks(range(len(tasks)), tasks, rotation=30, ha="right")
    axes.set_ylabel("score, %")
    axes.set_ylim(0, 100)
    axes.spines[["top", "right"]].set_visible(False)
    _finish(figure, axes, path)


def radar_chart(scores: Scores, path: Path) -> None:
    """Like `bar_chart`, with an axis for each task. Raises ValueError for fewer than three tasks."""
    from math import pi

    tasks = _tasks(scores)
    if len(tasks) < 3:
        raise ValueError(f"a radar chart needs at least 3 tasks, here are {len(tasks)}; a bar chart shows them")
    figure, axes = _figure(polar=True)
    angles = [2 * pi * index / len(tasks) for index in range(len(tasks))]
    for name, by_task in scores.items():
        values = [100 * by_task.get(task, float("nan")) for task in tasks]
        axes.plot([*angles, angles[0]], [*values, values[0]], label=name, linewidth=1.5)
    axes.set_xticks(angles, tasks)
    axes.set_ylim(0, 100)
    _finish(figure, axes, path)


def _tasks(scores: Scores) -> list[str]:
    return list(dict.fromkeys(task for by_task in scores.values() for task in by_task))


def _figure(*, polar: bool) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6) if polar else (9, 4.5), layout="constrained")
    return figure, figure.add_subplot(projection="polar" if polar else None)


def _finish(figure: Any, axes: Any, path: Path) -> None:
    labels = axes.get_legend_handles_labels()[1]
    if len(labels) == 1:
        axes.set_title(labels[0])
    else:
        axes.legend(loc="center left", bbox_to_anchor=(1.08, 0.5), frameon=False)
    figure.savefig(path, dpi=150)

"""The table as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fusion_stack.suite.results import Row, row_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT = "#1f2933", "#7b8794"
COLOURS = {"average": "#9cc3dd", "task arithmetic": "#6fbdb4", "TIES": "#f2a65a"}
REFERENCE = "#d5dae0"


def save_chart(rows: Sequence[Row], tasks: Mapping[str, str], path: Path, *, footnote: str) -> None:
    """Writes a PNG (about 1800 × 800 pixels): bars of the averages, then one narrow panel per task."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = [row for row in rows if row.name != "majority"]
    figure = Figure(
        figsize=(12, 0.52 * len(shown) + 1.9),
        dpi=150,
        facecolor="white",
        layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08),
    )
    grid = figure.add_gridspec(1, 1 + len(tasks), width_ratios=[2.3, *[1.0] * len(tasks)])
    first = figure.add_subplot(grid[0, 0])
    _panel(first, shown, [row.average for row in shown], f"average of the {len(tasks)} tasks", bold=True)
    errors = [row.standard_error or 0 for row in shown]
    places = range(len(shown))
    first.errorbar([r.average for r in shown], places, xerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
    first.set_yticks(list(places), [_name(row) for row in shown], fontsize=10, color=INK)
    for number, (task, title) in enumerate(tasks.items()):
        axes = figure.add_subplot(grid[0, number + 1], sharey=first)
        _panel(axes, shown, [row.accuracies[task] for row in shown], title)
        axes.tick_params(axis="y", labelleft=False)
    first.invert_yaxis()
    figure.suptitle(
        f"One model for {len(tasks)} tasks: test accuracy of merged fine-tunes (%)",
        x=0.008, ha="left", fontsize=14, fontweight="bold", color=INK,
    )  # fmt: skip
    figure.supxlabel(footnote, x=0.008, ha="left", fontsize=8.5, color=FAINT)
    figure.savefig(path)


def _panel(axes: Axes, rows: Sequence[Row], values: Sequence[float], title: str, *, bold: bool = False) -> None:
    axes.barh(range(len(rows)), values, height=0.66, color=[COLOURS.get(row.label, REFERENCE) for row in rows])
    for name, style in (("zero_shot", (0, (1, 2))), ("individual", (0, (4, 3)))):
        axes.axvline(values[rows.index(row_of(rows, name))], color=FAINT, linewidth=0.9, linestyle=style, zorder=0)
    for place, value in enumerate(values):
        axes.text(
            1.5, place, f"{value:.1f}", va="center", fontsize=9, color=INK, fontweight="bold" if bold else "normal"
        )
    axes.set_title(title, loc="left", fontsize=10.5, color=INK, fontweight="bold" if bold else "normal")
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 25, 50, 75])
    axes.tick_params(length=0, labelsize=8, labelcolor=FAINT)
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)


def _name(row: Row) -> str:
    return f"{row.label}\n{row.full_setting}" if row.full_setting else row.label

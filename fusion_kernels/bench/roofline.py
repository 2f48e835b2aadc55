"""Draws what was measured of kernels: each kernel under its roofs, and its share of the copy beside torch's.

The roofline is measured, not modelled: to the right goes what a kernel moves when its tensors are in cache, where only
its arithmetic holds it back, upwards what it moves when they are in memory. Above the slanted roof lie methods that
have something to find out about each tensor first: tensors that fit in cache are small, and pay for it more often.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_kernels.bench.tables import best_rows, device_name, kind_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]

COLOURS = {"cuda": "#1b3a6b", "avx512": "#1b3a6b", "avx2": "#2a78b8", "base": "#58b09c", "scalar": "#a9b0b8"}
TORCH = "#e07a3f"
CONTENDERS = {"torch": (TORCH, "D"), "torch_compile": (TORCH, "s")}
ROOF = "#30343a"
QUIET = "#8a9099"
PANEL = 6.4  # inches
ROOFS = 4.4
DOTS = 150  # per inch


def draw(results: Iterable[dict[str, Any]], folder: Path) -> list[Path]:
    """A picture for each device and number of threads in `folder`; the paths, none where nothing was measured."""
    drawn: list[Path] = []
    results = list(results)
    for name in dict.fromkeys(device_name(result) for result in results):
        found = [result for result in results if device_name(result) == name]
        rows = [row for result in found for row in result["rows"] if "share_of_copy" in row]
        for threads in sorted({row["threads"] for row in rows}):
            some = [row for row in rows if row["threads"] == threads]
            path = folder / (f"kernels-{threads}.png" if threads else f"kernels-{kind_of(found[0])}.png")
            drawn.append(_figure(some, _title(found[0], threads), path))
    return drawn


def _title(result: dict[str, Any], threads: int) -> str:
    machine = result["machine"]
    on = "a GPU" if threads == 0 else "one core" if threads == 1 else f"{threads} threads"
    device = machine["processor"] if kind_of(result) == "cpu" else device_name(result)
    return f"Merge kernels on {on}: {device}, fusion_kernels {machine['fusion_kernels']}, {machine['date']}"


def _figure(rows: list[Row], title: str, path: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    style: dict[Any, Any] = {
        "font.family": "sans-serif", "font.size": 9, "axes.edgecolor": QUIET, "axes.labelcolor": ROOF,
        "xtick.color": QUIET, "ytick.color": ROOF, "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    panels = sorted({_panel(row) for row in rows})
    cached = all("in_cache_gigabytes_per_second" in row for row in rows)
    heights = ([ROOFS] if cached else []) + [0.9 + 0.27 * len(best_rows(rows))]
    path.parent.mkdir(parents=True, exist_ok=True)
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(
            len(heights), len(panels), squeeze=False, figsize=(PANEL * len(panels), sum(heights) + 1.0),
            gridspec_kw={"height_ratios": heights}, layout="constrained",
        )  # fmt: skip
        for column, panel in enumerate(panels):
            some = [row for row in rows if _panel(row) == panel]
            if cached:
                _roofs(axes[0, column], some)
            axes[0, column].set_title(_named(panel, panels), loc="left", fontweight="bold", color=ROOF)
            _shares(axes[-1, column], some, legend=column == 0)
        figure.suptitle(title, fontsize=11 if len(panels) > 1 else 9, fontweight="bold", color=ROOF)
        figure.savefig(path, dpi=DOTS, facecolor="white")
        pyplot.close(figure)
    return path


def _panel(row: Row) -> tuple[str, int, int]:
    return row["dtype"], row["of"]["models"], row["of"]["size"]


def _named(panel: tuple[str, int, int], panels: list[tuple[str, int, int]]) -> str:
    dtype, models, size = panel
    alone = sum(other[0] == dtype for other in panels) == 1
    return dtype if alone else f"{dtype}, K = {models}, {size:,} elements"


def _roofs(axes: Axes, rows: list[Row]) -> None:
    """Memory against cache, both in GB/s, with the two roofs and a name for each kernel of the best instruction set."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    copy = max(row["copy_gigabytes_per_second"]["median"] for row in rows)
    points = [(_in_cache(row), _rate(row), row) for row in rows]
    low = 0.7 * min(min(x, y) for x, y, _ in points)
    right = 1.6 * max(copy, *(x for x, _, _ in points))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, right)
    axes.set_ylim(low, 1.5 * copy)
    axes.plot([low, copy, right], [low, copy, copy], color=ROOF, linewidth=1.4, zorder=1)
    axes.fill_between([low, copy, right], [low, copy, copy], low, color=ROOF, alpha=0.035, linewidth=0)
    axes.annotate(
        f"copy {copy:.1f} GB/s", (low, copy), (4, 4), textcoords="offset points", color=ROOF, fontweight="bold"
    )
    axes.plot([low, copy], [copy, copy], color=ROOF, linewidth=0.7, linestyle=(0, (2, 3)), zorder=1)
    for x, y, row in points:
        colour = COLOURS.get(row["instruction_set"], QUIET)
        axes.plot(x, y, "o", color=colour, markersize=6, markeredgecolor="white", markeredgewidth=0.6, zorder=3)
    best = [next(iter(by_isa.values())) for by_isa in best_rows(rows).values()]
    _names(axes, [(_in_cache(row), _rate(row), row["entry"]) for row in best])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("GB/s with the tensors in cache: what its arithmetic allows")
    axes.set_ylabel("GB/s from memory")


def _names(axes: Axes, points: list[tuple[float, float, str]]) -> None:
    """Names in a column right of the panel, in the order of the points' heights, each with a line to its point."""
    points = sorted(points, key=lambda point: (point[1], -point[0]))
    places = axes.transAxes.inverted()
    heights = [float(places.transform(axes.transData.transform((x, y)))[1]) for x, y, _ in points]
    step = min(0.054, 1.0 / max(1, len(points) - 1))
    spread = [min(heights[0], 1.0 - step * (len(points) - 1))] if points else []
    for number, height in enumerate(heights[1:], 1):
        spread.append(min(max(height, spread[-1] + step), 1.0 - step * (len(points) - 1 - number)))
    for (x, y, name), height in zip(points, spread, strict=True):
        axes.annotate(
            name, (x, y), (1.02, height), textcoords="axes fraction", va="center", fontsize=8, color=ROOF,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.5, "alpha": 0.6, "relpos": (0, 0.5)},
        )  # fmt: skip


def _shares(axes: Axes, rows: list[Row], *, legend: bool) -> None:
    """A line for each method: the share of the copy that every instruction set and torch reach."""
    methods = best_rows(rows)
    labels: dict[str, Any] = {}
    for place, by_isa in enumerate(methods.values()):
        best = next(iter(by_isa.values()))
        shares = {isa: 100 * row["share_of_copy"]["median"] for isa, row in by_isa.items()}
        for name in CONTENDERS:
            if (ratio := best.get(f"{name}_over_ours")) is not None:
                shares[name] = 100 * best["share_of_copy"]["median"] / ratio["median"]
        axes.plot([min(shares.values()), max(shares.values())], [place, place], color="#dfe3e8", linewidth=2, zorder=1)
        for name, share in shares.items():
            colour, marker = CONTENDERS.get(name, (COLOURS.get(name, QUIET), "o"))
            (labels[name],) = axes.plot(
                share, place, marker, color=colour, markersize=5 if name in CONTENDERS else 7,
                markeredgecolor="white", markeredgewidth=0.6, linestyle="none", zorder=3,
            )  # fmt: skip
        if "torch" in shares:
            ratio = best["torch_over_ours"]["median"]
            axes.annotate(
                f"×{ratio:.0f}" if ratio >= 10 else f"×{ratio:.1f}", (max(shares.values()), place), (8, 0),
                textcoords="offset points", va="center", fontsize=8, color=TORCH,
            )  # fmt: skip
    axes.axvline(100, color=ROOF, linewidth=1.2, zorder=1)
    axes.set_yticks(range(len(methods)), list(methods))
    axes.set_ylim(len(methods) - 0.4, -0.6)
    axes.set_xlim(0, max(112.0, axes.get_xlim()[1]))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#eceff2", zorder=0)
    axes.set_xlabel("% of copy; × how many times as long torch takes")
    if legend:
        order = [name for name in (*COLOURS, *CONTENDERS) if name in labels]
        names = [name.replace("_", ".") for name in order]
        axes.legend(
            [labels[name] for name in order], names, loc="lower right", ncols=len(order), frameon=False, fontsize=8,
            bbox_to_anchor=(1.0, 1.0), columnspacing=1.0, handletextpad=0.2,
        )  # fmt: skip


def _rate(row: Row) -> float:
    return float(row["gigabytes_per_second"]["median"])


def _in_cache(row: Row) -> float:
    return float(row["in_cache_gigabytes_per_second"]["median"])

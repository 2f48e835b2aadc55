"""How tables, times and machines are written in the benchmarks' pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


def times(ratio: dict[str, float] | None) -> str:
    """A ratio as its smallest and its median over the rounds."""
    if ratio is None:
        return "start-up only"
    return " / ".join(f"{ratio[key]:.2f}" if ratio[key] < 10 else f"{ratio[key]:.0f}" for key in ("min", "median"))


def megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def machine_line(machine: dict[str, Any]) -> str:
    """One line on what a result was measured with."""
    return (
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"{machine['kernel']}; instruction sets {', '.join(machine['instruction_sets'])}; Python {machine['python']}, "
        f"fusion_kernels {machine['fusion_kernels']}; {machine['date']}"
    )


def unique(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


METHOD_ORDER = (
    "linear", "task_arithmetic", "ties", "ties-fold-only", "dare_linear", "dare_ties", "breadcrumbs",
    "breadcrumbs_ties", "della", "della_linear", "trimmed_mean", "median", "slerp", "nuslerp", "multislerp", "karcher",
    "model_stock", "passthrough",
)  # fmt: skip


def in_order(names: Iterable[str]) -> list[str]:
    """Methods in the order of the tables; those not foreseen follow by name."""
    return sorted(names, key=lambda name: (_place(name), name))


def _place(name: str) -> int:
    return METHOD_ORDER.index(name) if name in METHOD_ORDER else len(METHOD_ORDER)

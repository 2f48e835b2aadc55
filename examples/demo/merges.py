"""The merges the demo compares, each with every setting written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Merge:
    """One call of fusion_kernels.merge()."""

    name: str  # its folder
    label: str  # its row in the table
    setting: str
    method: str
    parameters: Mapping[str, float | bool]
    uses_base: bool = True


MERGES = (
    Merge("average", "average", "equal weights", "linear", {"weight": 1.0}, uses_base=False),
    Merge("task_arithmetic_0.3", "task arithmetic", "λ 0.3", "task_arithmetic", {"weight": 1.0, "lambda": 0.3}),
    Merge("task_arithmetic_0.6", "task arithmetic", "λ 0.6", "task_arithmetic", {"weight": 1.0, "lambda": 0.6}),
    Merge(
        "ties_sum_0.3",
        "TIES",
        "density 0.2, sum, λ 0.3",
        "ties",
        {"weight": 1.0, "density": 0.2, "normalize": False, "lambda": 0.3},
    ),
    Merge(
        "ties_mean_1.0",
        "TIES",
        "density 0.2, mean, λ 1.0",
        "ties",
        {"weight": 1.0, "density": 0.2, "normalize": True, "lambda": 1.0},
    ),
)


@dataclass(frozen=True)
class Merged:
    """What one merge wrote and what it cost."""

    merge: Merge
    folder: Path
    seconds: float
    gb_per_second: float


def run(merge: Merge, base: Path, models: Mapping[str, Path], output: Path) -> Merged:
    """Merges model folders on disk into `output`/NAME. Raises what fusion_kernels.merge() raises."""
    import fusion_kernels

    report = fusion_kernels.merge(
        dict(models),
        method=merge.method,
        base=base if merge.uses_base else None,
        output=output / merge.name,
        parameters=dict(merge.parameters),
        overwrite=True,
    )
    return Merged(merge, output / merge.name, report.seconds, report.gb_per_second)

"""What the GPU's kernels are meant to reach on an H100, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fusion_kernels.bench.wording import table

__all__ = ["aims_table"]

FOLDS = ("linear", "task_arithmetic", "passthrough", "median", "trimmed_mean", "ties-fold-only", "dare_ties")
FOLD_AIM = 85  # % of a copy
SELECT_AIM = 60  # % of a copy, of the pass over the deltas
TIES_AIM = 2.5  # times one pass over its bytes at a copy's speed; K = 3, bf16
TIES_SIZE = 10**9  # parameters

Row = dict[str, Any]


def aims_table(rows: Iterable[Row]) -> str:
    """A line for each aim: of the largest tensors measured in bf16. Empty where none of it was measured."""
    rows = [row for row in rows if row["dtype"] == "BF16" and not row.get("emulated")]
    lines = []
    largest = {row["entry"]: row for row in sorted(rows, key=_size)}
    for entry in FOLDS:
        if (row := largest.get(entry)) is not None:
            share = 100 * row["share_of_copy"]["median"]
            lines.append(_line(f"fold, {entry}", row, f"≥ {FOLD_AIM} % of copy", f"{share:.0f} %", share >= FOLD_AIM))
    if (row := largest.get("select")) is not None and "selected_share_of_copy" in row:
        share = 100 * row["selected_share_of_copy"]["median"]
        lines.append(_line("select", row, f"≥ {SELECT_AIM} % of copy", f"{share:.0f} %", share >= SELECT_AIM))
    if (row := largest.get("ties")) is not None and row["models"] == 3:
        passes = 1 / row["share_of_copy"]["median"]
        wanted = f"≤ {TIES_AIM} passes over its bytes, of {TIES_SIZE:,} elements"
        lines.append(_line("ties, thresholds and fold", row, wanted, f"{passes:.2f}", passes <= TIES_AIM))
    return table(["pass", "elements", "aim on an H100", "measured", "reached"], lines) if lines else ""


def _size(row: Row) -> int:
    return int(row["elements"] // row["tensors"])


def _line(what: str, row: Row, wanted: str, measured: str, reached: bool) -> list[str]:
    return [what, f"{_size(row):,}", wanted, measured, "yes" if reached else "no"]

"""Figures that others published, to stand beside ours."""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import Any

import yaml

from fusion_kernels.errors import listing, suggest
from fusion_stack.report.table import Row, Table

_FOLDER = Path(__file__).parent / "reference"


def names() -> list[str]:
    """Of the tables there are."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def beside(table: Table, reference: str) -> Table:
    """The table with the reference's rows behind its own, and where they come from among its notes.

    Raises ValueError for an unknown name.
    """
    if reference not in names():
        raise ValueError(
            f"no published table {reference!r}; there are {listing(names())}.{suggest(reference, names())}"
        )
    read: dict[str, Any] = yaml.safe_load((_FOLDER / f"{reference}.yaml").read_text(encoding="utf-8"))
    tasks = tuple(dict.fromkeys([*table.tasks, *read["tasks"]]))
    rows = []
    individual = next((row["scores"] for row in read["rows"] if row["method"] == "individual"), None)
    for row in read["rows"]:
        scores = {task: (score / 100, nan) for task, score in zip(read["tasks"], row["scores"], strict=True)}
        shares = [] if individual is None else [a / b for a, b in zip(row["scores"], individual, strict=True)]
        rows.append(
            Row(
                method=row["method"],
                coefficient=row.get("coefficient", ""),
                chosen_by="",
                scores=scores,
                average=(sum(row["scores"]) / len(row["scores"]) / 100, nan),
                normalised=(sum(shares) / len(shares) if shares else nan, nan),
                published=True,
            )
        )
    return Table(tasks, (*table.rows, *rows), (*table.notes, f"Published: {read['source']}"))

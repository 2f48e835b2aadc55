"""The results of one profile for people: on the terminal, and as a page with a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_stack.suite.chart import save_chart
from fusion_stack.suite.family import family_of
from fusion_stack.suite.page import family_name, page, seeds_of, test_items_of, titles_of
from fusion_stack.suite.results import summarized
from fusion_stack.suite.table import findings, terminal_table

if TYPE_CHECKING:
    from rich.console import Console

Records = Sequence[Mapping[str, Any]]


def show(console: Console, records: Records) -> None:
    """Prints the table of records that differ in their seed alone, and what it shows."""
    rows = summarized(records)
    console.print()
    console.print(terminal_table(rows, titles_of(records), width=console.width))
    for finding in findings(rows, test_items_of(records), len(records)):
        console.print(f"• {finding}", highlight=False)


def write(records: Records, folder: Path) -> list[Path]:
    """Writes PROFILE.md and PROFILE.png into the folder."""
    profile = records[0]["profile"]
    paths = [folder / f"{profile}.md", folder / f"{profile}.png"]
    paths[0].write_text(page(records, picture=paths[1].name), encoding="utf-8")
    per_task = sorted({task["test_items"] for record in records for task in record["tasks"]})
    items = str(per_task[0]) if len(per_task) == 1 else f"{per_task[0]} to {per_task[-1]}"
    model = family_of(family_name(records)).model
    footnote = (
        f"{model}, {seeds_of(records)}, {items} test items per task; whiskers: one standard error. "
        "Dotted line: untrained base. Dashed line: individual fine-tunes."
    )
    save_chart(summarized(records), titles_of(records), paths[1], footnote=footnote)
    return paths

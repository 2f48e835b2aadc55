"""The table (methods × tasks), for a terminal or for Markdown, and what it shows in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fusion_stack.suite.results import Row, best_merge, row_of

if TYPE_CHECKING:
    from rich.table import Table

NOTHING = "–"
ROOM_FOR_A_TASK = 9  # columns of a terminal
ROOM_BESIDE = 56


def cells(row: Row, tasks: Mapping[str, str], *, errors: bool = True) -> list[str]:
    """A row's texts after its title: accuracy per task, average ± standard error, normalised average, merge seconds."""
    average = f"{row.average:.1f}"
    if errors and row.standard_error is not None:
        average += f" ± {row.standard_error:.1f}"
    normalized = NOTHING if row.normalized is None else f"{row.normalized:.1f}"
    seconds = NOTHING if row.merge_seconds is None else f"{row.merge_seconds:.2f}"
    return [*(f"{row.accuracies[task]:.1f}" for task in tasks), average, normalized, seconds]


def heads(tasks: Mapping[str, str]) -> list[str]:
    """Titles of the columns after the first. `tasks` is {name: title}."""
    return [*tasks.values(), "mean", "norm.", "merge s"]


def terminal_table(rows: Sequence[Row], tasks: Mapping[str, str], *, width: int) -> Table:
    """The table for a terminal of `width` columns; the best merge stands out.

    80 columns suffice for four tasks: settings stand below their methods, and standard errors below the table. Where
    the width does not suffice for the tasks, averages alone are shown, and said to be.
    """
    from rich import box
    from rich.table import Table

    shown = tasks if width >= ROOM_BESIDE - 12 + ROOM_FOR_A_TASK * len(tasks) else {}
    errors = not shown or width >= ROOM_BESIDE + ROOM_FOR_A_TASK * len(tasks)
    table = Table(box=box.SIMPLE_HEAD, title="test accuracy in %", show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    for head in heads(shown):
        table.add_column(head.replace(" ", "\n"), justify="right", vertical="top", no_wrap=True)
    if not shown:
        enough = ROOM_BESIDE + ROOM_FOR_A_TASK * len(tasks)
        table.caption = f"means of {len(tasks)} tasks; {enough} columns of a terminal show each task"
    elif not errors:
        largest = max(row.standard_error or 0 for row in rows)
        table.caption = f"one standard error of a mean is {largest:.1f} points or less"
    best = best_merge(rows)
    for before, row in zip([None, *rows[:-1]], rows, strict=True):
        if before is not None and before.kind != row.kind:
            table.add_section()
        style = "bold green" if row is best else "dim" if row.name == "majority" else ""
        setting = row.full_setting
        name = f"{row.label}\n[not bold dim]{setting}[/]" if setting else row.label
        table.add_row(name, *cells(row, shown, errors=errors), style=style)
    return table


def markdown_table(rows: Sequence[Row], tasks: Mapping[str, str]) -> str:
    """The table as GitHub's Markdown; the best merge's average in bold."""
    best = best_merge(rows)
    lines = [f"| method | {' | '.join(heads(tasks))} |", "|---|" + "---:|" * len(heads(tasks))]
    for row in rows:
        texts = cells(row, tasks)
        if row is best:
            texts[len(tasks)] = f"**{texts[len(tasks)]}**"
        lines.append(f"| {row.title} | {' | '.join(texts)} |")
    return "\n".join(lines)


def findings(rows: Sequence[Row], test_items: int, seeds: int) -> list[str]:
    """What the table shows, in sentences that hold whatever the numbers turn out to be.

    test_items: of all tasks together, in one seed.
    """
    best, zero, own = best_merge(rows), row_of(rows, "zero_shot"), row_of(rows, "individual")
    plain = next((f"plain average {row.average:.1f} %, " for row in rows if row.name == "average"), "")
    tasks, start = len(own.accuracies), "zero-shot" if zero.label == "zero-shot base" else zero.label
    said = [
        f"One merged model does all {tasks} tasks: {start} {zero.average:.1f} %, {plain}best merge "
        f"{best.average:.1f} % ({best.title}), {tasks} separate fine-tunes {own.average:.1f} %."
    ]
    if best.gain is not None and best.gain_error is not None:
        clear = "more" if best.gain > 2 * best.gain_error else "no more"
        said.append(
            f"It leads the plain average by {best.gain:.1f} ± {best.gain_error:.1f} points on the same items, {clear} "
            "than two standard errors. The best row was picked on these very items, which flatters it a little."
        )
    origin = "from the test items alone; another seed would move the numbers further"
    said.append(
        f"{'One seed' if seeds == 1 else f'{seeds} seeds'}, {test_items} test items in {tasks} tasks. ± is one "
        f"standard error {origin if seeds == 1 else f'over the {seeds} seeds'}. Smaller differences are not "
        "established, and whether task arithmetic or TIES comes first depends on their settings."
    )
    return said

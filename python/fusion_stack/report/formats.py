"""Writes a table as Markdown, LaTeX or CSV. Scores are per cent, ± one standard error over seeds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from math import isnan

from fusion_stack.report.statistics import Comparison
from fusion_stack.report.table import Estimate, Row, Table


def markdown(table: Table, comparisons: Sequence[Comparison] = ()) -> str:
    """The best average in bold."""
    head, rows = _cells(table, "±")
    best = _best(table)
    rows = [["**" + cell + "**" if row == best and cell else cell for cell in line] for row, line in enumerate(rows)]
    lines = ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]
    lines += ["", *table.notes] if table.notes else []
    if comparisons:
        lines += ["", "| comparison | difference | p (Holm) | test | pairs |", "|---|---|---|---|---|"]
        lines += [
            f"| {one.first} − {one.second} | {100 * one.difference:+.2f} "
            f"| {one.p_value:.2g} | {one.test} | {one.pairs} |"
            for one in comparisons
        ]
    return "\n".join(lines) + "\n"


def latex(table: Table, comparisons: Sequence[Comparison] = ()) -> str:
    """For the package booktabs; notes and comparisons as comments."""
    head, rows = _cells(table, r"$\pm$")
    best = _best(table)
    body = [
        " & ".join(r"\textbf{" + _escaped(cell) + "}" if row == best and cell else _escaped(cell) for cell in line)
        for row, line in enumerate(rows)
    ]
    lines = [rf"\begin{{tabular}}{{lll{'r' * (len(head) - 3)}}}", r"\toprule"]
    lines += [" & ".join(map(_escaped, head)) + r" \\", r"\midrule", *(line + r" \\" for line in body)]
    lines += [r"\bottomrule", r"\end{tabular}", *(f"% {note}" for note in table.notes)]
    lines += [
        f"% {one.first} - {one.second}: {100 * one.difference:+.2f}, p = {one.p_value:.2g}" for one in comparisons
    ]
    return "\n".join(lines) + "\n"


def comma_separated(table: Table, comparisons: Sequence[Comparison] = ()) -> str:
    """Full precision, as fractions; a column of standard errors beside each. Comparisons are left out."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = [*table.tasks, "average", "normalised"]
    writer.writerow(
        ["method", "coefficient", "chosen by", "seeds", "published"]
        + [name for column in columns for name in (column, f"{column} standard error")]
    )
    for row in table.rows:
        estimates = [*(row.scores.get(task, _NONE) for task in table.tasks), row.average, row.normalised]
        numbers = ["" if isnan(value) else repr(value) for estimate in estimates for value in estimate]
        seeds = "" if row.published else len(row.runs)
        writer.writerow([row.method, row.coefficient, row.chosen_by, seeds, row.published, *numbers])
    return file.getvalue()


FORMATS: dict[str, Callable[[Table, Sequence[Comparison]], str]] = {
    "markdown": markdown,
    "latex": latex,
    "csv": comma_separated,
}
_NONE: Estimate = (float("nan"), float("nan"))


def _cells(table: Table, plus_minus: str) -> tuple[list[str], list[list[str]]]:
    head = ["method", "coefficient", "chosen by", *table.tasks, "average", "÷ individual"]
    return head, [_line(row, table.tasks, plus_minus) for row in table.rows]


def _line(row: Row, tasks: Sequence[str], plus_minus: str) -> list[str]:
    name = f"{row.method} (published)" if row.published else row.method
    estimates = [*(row.scores.get(task, _NONE) for task in tasks), row.average, row.normalised]
    return [name, row.coefficient, row.chosen_by, *(_shown(one, plus_minus) for one in estimates)]


def _shown(estimate: Estimate, plus_minus: str) -> str:
    mean, error = estimate
    if isnan(mean):
        return ""
    return f"{100 * mean:.1f}" if isnan(error) else f"{100 * mean:.1f} {plus_minus} {100 * error:.1f}"


def _best(table: Table) -> int:
    """The row of the best average among our merges; individual models are no merge."""
    merges = [index for index, row in enumerate(table.rows) if not row.published and row.method != "individual"]
    return max(merges, key=lambda index: table.rows[index].average[0], default=-1)


def _escaped(text: str) -> str:
    return text.replace("÷", r"$\div$").replace("_", r"\_").replace("%", r"\%").replace("&", r"\&")

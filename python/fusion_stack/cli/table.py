"""The command `fusion-stack-table`: a table and charts of any set of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from fusion_stack.report.formats import FORMATS
from fusion_stack.report.published import beside, names
from fusion_stack.report.runs import read_runs
from fusion_stack.report.statistics import compared
from fusion_stack.report.table import tabulate


def main() -> None:
    """Runs the command."""
    typer.run(table)


def table(
    runs: Annotated[list[Path], typer.Argument(help="folders of runs, or folders that hold some, however deep")],
    format: Annotated[str, typer.Option(help=f"one of {', '.join(FORMATS)}")] = "markdown",
    output: Annotated[Optional[Path], typer.Option(help="file for the table instead of the terminal")] = None,  # noqa: UP045
    chart: Annotated[Optional[Path], typer.Option(help="file for a bar chart: .png, .svg, .pdf")] = None,  # noqa: UP045
    radar: Annotated[Optional[Path], typer.Option(help="file for a radar chart, of 3 tasks or more")] = None,  # noqa: UP045
    reference: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help=f"published figures to put beside: {', '.join(names())}"),
    ] = None,
    tests: Annotated[bool, typer.Option(help="paired tests between methods")] = True,
) -> None:
    """Make the table of tasks and methods from finished runs.

    Rows are methods and coefficients, with means ± standard errors over seeds; "÷ individual" divides by the runs of
    method=individual among them. Paired tests compare runs of equal seed.

    fusion-stack-table outputs/multirun --chart bars.png --reference clip-vit-base-patch32_TA8
    """
    if format not in FORMATS:
        _stop(f"--format {format!r} is not known; choose one of {', '.join(FORMATS)}")
    try:
        made = tabulate(read_runs(runs))
        comparisons = compared({row.label: row.runs for row in made.rows}) if tests else []
        scores = {row.label: {task: mean for task, (mean, _) in row.scores.items()} for row in made.rows}
        if reference is not None:
            made = beside(made, reference)
        text = FORMATS[format](made, comparisons)
        if chart is not None or radar is not None:
            from fusion_stack.report.charts import bar_chart, radar_chart

            if chart is not None:
                bar_chart(scores, chart)
            if radar is not None:
                radar_chart(scores, radar)
    except (ValueError, OSError) as error:
        _stop(str(error))
    if output is not None:
        output.write_text(text)
    else:
        typer.echo(text, nl=False)


def _stop(message: str) -> None:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)

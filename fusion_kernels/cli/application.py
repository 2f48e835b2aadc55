"""Declares the commands."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from fusion_kernels.cli import output
from fusion_kernels.cli.arguments import Arguments, UsageError, for_merge, recipe_text
from fusion_kernels.cli.bench import bench
from fusion_kernels.cli.options import Load, complete_method, load_files, with_merge_arguments

INTERRUPTED = 130  # what some versions of typer turn Ctrl-C into, without a word

application = typer.Typer(
    name="fusion-kernels",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: half the start-up, and it greps
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Json = Annotated[bool, typer.Option("--json", help="Print result or error as JSON.")]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")]


def run(words: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code."""
    words = list(sys.argv[1:] if words is None else words)
    # A merge ended by its scheduler cleans up as one ended by Ctrl-C does.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = int(application(args=words, prog_name="fusion-kernels", standalone_mode=False) or 0)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        return code
    except (Exception, KeyboardInterrupt) as error:
        if "--traceback" in words or os.environ.get("FUSION_KERNELS_TRACEBACK"):
            raise
        return output.print_error(error, json="--json" in words)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _version(wanted: bool) -> None:
    if wanted:
        from fusion_kernels import __version__

        print(f"fusion-kernels {__version__}")
        raise typer.Exit


@application.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Merge neural-network checkpoints at disk speed, in memory that does not grow with the model.

    Examples:

    \b
    fusion-kernels merge recipe.yml OUT
    fusion-kernels merge A B C --base X --method ties -p density=0.5 -p weight=1 -o OUT
    fusion-kernels plan recipe.yml OUT
    fusion-kernels methods ties
    """


@application.command()
@with_merge_arguments
def merge(arguments: Arguments, *, json: bool, print_recipe: bool, progress: bool) -> int:
    """Merge models as a recipe says, or as the options say.

    Models are folders, .safetensors files or hub ids; NAME=SOURCE names one.

    Examples:

    \b
    fusion-kernels merge recipe.yml OUT
    fusion-kernels merge A B --method linear -p weight=0.7,0.3 -o OUT
    fusion-kernels merge math=A code=B --base X --method task_arithmetic \\
                         -p weight.math=0.6 -p weight.code=0.4 -o OUT
    fusion-kernels merge A B C --base X --method ties --preset paper -p scope=tensor -o OUT
    """
    if print_recipe:
        print(recipe_text(arguments), end="")
        return 0
    models, options = for_merge(arguments)
    if options.get("output") is None:
        raise UsageError("say where the result goes: -o OUT (or RECIPE OUT)")
    import fusion_kernels

    if not progress or json:
        report = fusion_kernels.merge(models, **options)
    else:
        from fusion_kernels.progress import terminal_progress

        with terminal_progress() as observer:
            report = fusion_kernels.merge(models, progress=observer, **options)
    output.print_report(report, json=json)
    return 0


@application.command()
@with_merge_arguments
def plan(arguments: Arguments, *, json: bool, print_recipe: bool, progress: bool) -> int:
    """Say what a merge would need and whether it can work.

    Takes the arguments of merge, reads headers alone and writes nothing. Exit code 1 if the merge would fail.

    Examples:

    \b
    fusion-kernels plan recipe.yml OUT
    fusion-kernels plan A B --base X --method ties -p weight=1 --memory-limit 256MiB
    """
    if print_recipe:
        print(recipe_text(arguments), end="")
        return 0
    models, options = for_merge(arguments)
    import fusion_kernels

    planned = fusion_kernels.plan(models, **options)
    output.print_plan(planned, json=json)
    return 0 if planned.ok else 1


@application.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="One method.", autocompletion=complete_method)] = None,
    load: Load = None,
    json: Json = False,
    traceback: Traceback = False,
) -> int:
    """List the methods, or describe one.

    Examples:

    \b
    fusion-kernels methods
    fusion-kernels methods ties
    fusion-kernels methods --load my.py
    """
    from fusion_kernels.cli import catalogue

    load_files(load)
    catalogue.print_methods(name, json=json)
    return 0


application.command(name="bench")(bench)


@application.command()
def devices(json: Json = False, traceback: Traceback = False) -> int:
    """List what this machine can merge on."""
    from fusion_kernels.cli import catalogue

    catalogue.print_devices(json=json)
    return 0

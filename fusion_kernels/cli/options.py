"""Declares the arguments that `merge` and `plan` share, each an argument of merge() under its own name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from fusion_kernels.cli.arguments import Arguments

Load = Annotated[
    list[str] | None,
    typer.Option("--load", metavar="FILE.py", help="Python that registers methods of your own; repeatable."),
]


def load_files(paths: list[str] | None) -> None:
    """Run the files given with --load."""
    if paths:
        from fusion_kernels.method_discovery import load_file

        for path in paths:
            load_file(path)


def complete_method(incomplete: str) -> list[str]:
    from fusion_kernels import methods

    return [method.name for method in methods() if method.name.startswith(incomplete)]


def with_merge_arguments(run: Callable[..., int]) -> Callable[..., int]:
    """Give the command `run(arguments, *, json, print_recipe, progress)` the options of merge()."""

    def command(
        sources: Annotated[
            list[str] | None, typer.Argument(metavar="RECIPE [OUT] | MODELS", show_default=False)
        ] = None,
        method: Annotated[
            str | None, typer.Option(help="How to merge; `methods` lists them.", autocompletion=complete_method)
        ] = None,
        base: Annotated[str | None, typer.Option(help="The model the others were fine-tuned from.")] = None,
        parameters: Annotated[
            list[str] | None,
            typer.Option(
                "-p",
                "--parameters",
                metavar="NAME=VALUE",
                help="For all models (density=0.5), one each (weight=0.3,0.7), for one (weight.A=0.3).",
            ),
        ] = None,
        preset: Annotated[
            Literal["mergekit", "paper", "fusionbench"] | None,
            typer.Option(help="Whose defaults to follow. [default: mergekit]"),
        ] = None,
        dtype: Annotated[str | None, typer.Option(help="Of the result. [default: what the inputs promote to]")] = None,
        seed: Annotated[int | None, typer.Option(help="For methods that draw. [default: 0]")] = None,
        allow_nonfinite: Annotated[
            bool | None, typer.Option("--allow-nonfinite", help="Keep NaN and Inf that the merge itself makes.")
        ] = None,
        on_unequal_integers: Annotated[
            Literal["error", "base"] | None, typer.Option(help="Integer tensors that differ. [default: error]")
        ] = None,
        load: Load = None,
        output: Annotated[str | None, typer.Option("-o", "--output", help="A folder, or one file.")] = None,
        max_shard_size: Annotated[str | None, typer.Option(help="Largest file. [default: 5GB]")] = None,
        overwrite: Annotated[bool | None, typer.Option("--overwrite", help="Replace files that exist.")] = None,
        durable: Annotated[bool | None, typer.Option("--durable", help="Force to disk before publishing.")] = None,
        model_card: Annotated[
            bool | None,
            typer.Option("--model-card/--no-model-card", help="Write README.md. [default: yes]", show_default=False),
        ] = None,
        device: Annotated[str | None, typer.Option(help="`devices` lists them. [default: auto]")] = None,
        threads: Annotated[
            int | None, typer.Option(min=1, help="At most so many. [default: every core this process may use]")
        ] = None,
        memory_limit: Annotated[
            str | None,
            typer.Option(help="Like 256MiB. [default: a quarter of what is free]"),
        ] = None,
        device_memory_limit: Annotated[
            str | None,
            typer.Option(help="The same, of each GPU. [default: seven eighths of what is free there]"),
        ] = None,
        print_recipe: Annotated[
            bool, typer.Option("--print-recipe", help="Print this merge as a recipe; do nothing else.")
        ] = False,
        progress: Annotated[
            bool, typer.Option("--progress/--no-progress", help="Say how far it is. [default: yes]", show_default=False)
        ] = True,
        json: Annotated[bool, typer.Option("--json", help="Print result or error as JSON.")] = False,
        traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")] = False,
    ) -> int:
        load_files(load)
        options = {
            "method": method,
            "base": base,
            "preset": preset,
            "dtype": dtype,
            "seed": seed,
            "allow_nonfinite": allow_nonfinite,
            "on_unequal_integers": on_unequal_integers,
            "max_shard_size": max_shard_size,
            "overwrite": overwrite,
            "durable": durable,
            "model_card": model_card,
            "device": device,
            "threads": threads,
            "memory_limit": memory_limit,
            "device_memory_limit": device_memory_limit,
        }
        typed = Arguments(
            sources=tuple(sources or ()),
            output=output,
            parameters=tuple(parameters or ()),
            options={name: value for name, value in options.items() if value is not None},
        )
        return run(typed, json=json, print_recipe=print_recipe, progress=progress)

    command.__name__, command.__doc__ = run.__name__, run.__doc__
    return command

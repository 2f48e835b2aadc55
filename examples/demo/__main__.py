"""Command line of the demo: `make demo`, or `python -m examples.demo` from the root of the repository."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from examples.demo import report
from examples.demo.cache import cache_folder
from examples.demo.fetch import UnavailableError, WrongBytesError
from examples.demo.merges import MERGES
from examples.demo.model import has_fast_bf16
from examples.demo.pipeline import Pipeline
from examples.demo.results import build_rows
from examples.demo.settings import Settings
from examples.demo.splits import TooFewSamplesError
from examples.demo.table import findings, terminal_table
from examples.demo.tasks import PREFERRED, SUBSTITUTES, TASKS
from examples.demo.workers import ONE_THREAD, Workers, usable_cores

if TYPE_CHECKING:
    from rich.console import Console

NARROWEST = 100  # columns where no terminal says how many it has


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 something could not be had or done, 130 interrupted."""
    from rich.console import Console

    options = parse(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, NARROWEST))
    try:
        check_packages()
        run(console, options)
    except (
        UnavailableError,
        WrongBytesError,
        TooFewSamplesError,
        OSError,
        ValueError,
        NotImplementedError,
        ImportError,
    ) as error:
        console.print(f"[bold red]error[/] {error}", highlight=False)
        return 1
    except BrokenProcessPool:
        console.print("[bold red]error[/] a worker process died, perhaps for lack of memory; try --workers 1")
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; finished fine-tunes are kept, nothing half-written is")
        return 130
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    usual, count = Settings(), len(PREFERRED)
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("build/demo"), help="folder for results (default %(default)s)"
    )
    parser.add_argument(
        "--tasks",
        type=lambda text: text.split(","),
        help=f"comma-separated, of {', '.join(TASKS)} (default: first {count})",
    )
    parser.add_argument("--test-items", type=int, default=usual.test_items, help="per task (default %(default)s)")
    parser.add_argument("--steps", type=int, default=usual.steps, help="of each fine-tune (default %(default)s)")
    parser.add_argument("--seed", type=int, default=usual.seed, help="of items and fine-tunes (default %(default)s)")
    parser.add_argument("--workers", type=int, default=min(4, usable_cores()), help="processes (default: one per core)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.tasks or [] if name not in TASKS]
    if unknown:
        parser.error(f"unknown task {unknown[0]!r}; there are {', '.join(TASKS)}")
    if min(options.test_items, options.steps, options.workers) < 1:
        parser.error("--test-items, --steps and --workers must be at least 1")
    if options.tasks is not None and len(set(options.tasks)) < 2:
        parser.error("a merge needs at least two different tasks")
    return options


def check_packages() -> None:
    """Raises ImportError now rather than after the fine-tunes if the engine or a package is missing."""
    missing = [name for name in ("torch", "transformers", "safetensors", "matplotlib") if find_spec(name) is None]
    if missing:
        raise ImportError(f"{', '.join(missing)} is not installed here; `make demo` installs everything it needs")
    import fusion_kernels

    fusion_kernels.methods()


def run(console: Console, options: argparse.Namespace) -> None:
    """The whole demo. Raises what its steps raise."""
    started = time.perf_counter()
    settings = replace(Settings(), seed=options.seed, steps=options.steps, test_items=options.test_items)
    preferred = PREFERRED if options.tasks is None else [TASKS[name] for name in dict.fromkeys(options.tasks)]
    substitutes = SUBSTITUTES if options.tasks is None else ()
    bf16 = has_fast_bf16()
    console.print(
        f"[bold]{len(preferred)} real fine-tunes of one real model, merged {len(MERGES)} ways.[/] About two minutes on "
        "two cores the first time; later runs keep the fine-tunes.\n"
    )
    # Everything is on disk before a model is loaded: no library may look for anything on a network. One thread here as
    # in the workers: heads must not depend on the number of cores.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", **ONE_THREAD)
    with Workers(options.workers) as workers:
        pipeline = Pipeline(console, settings, cache_folder(), workers, bf16=bf16)
        base, prepared, encoded = pipeline.prepare(preferred, substitutes)
        models = pipeline.finetune(base, prepared, [training for training, _ in encoded])
        merged = pipeline.merge(base, models, options.output / "merged")
        tests = {each.task.name: test for each, (_, test) in zip(prepared, encoded, strict=True)}
        everything = [(folder, tests) for folder in (base, *(done.folder for done in merged))]
        own = [(models[task], {task: test}) for task, test in tests.items()]
        zero_shot, *answers = pipeline.evaluate(everything + own)
    rows = build_rows(
        majority={each.task.name: each.split.majority() for each in prepared},
        zero_shot=zero_shot,
        individual={task: hits for one in answers[len(merged) :] for task, hits in one.items()},
        merged=[
            (done.merge.name, done.merge.label, done.merge.setting, done.seconds, hits)
            for done, hits in zip(merged, answers, strict=False)
        ],
    )
    seconds = pipeline.seconds | {"total": time.perf_counter() - started}
    record = report.as_record(rows, prepared, settings, seconds, report.machine(options.workers, bf16=bf16))
    paths = report.write(record, rows, options.output)

    console.print()
    console.print(terminal_table(rows, {each.task.name: each.task.title for each in prepared}, width=console.width))
    for finding in findings(rows, settings.test_items):
        console.print(f"• {finding}", highlight=False)
    console.print(f"\nDone in {seconds['total']:.0f} s. Look at:")
    for path, what in zip(paths, ("every number", "the page", "the picture"), strict=True):
        console.print(f"  {path}  [dim]{what}[/]", highlight=False)
    console.print(f"  {options.output / 'merged'}  [dim]{len(merged)} models, each with its recipe[/]", highlight=False)
    console.print(f"  {cache_folder()}  [dim]downloads and fine-tunes; delete it to start over[/]", highlight=False)


if __name__ == "__main__":
    sys.exit(main())

"""What the suite's commands share: console, workers, one pipeline a seed, and errors people can read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer

from fusion_stack.suite.cache import cache_folder
from fusion_stack.suite.fetch import UnavailableError, WrongBytesError
from fusion_stack.suite.settings import Profile, profile_of
from fusion_stack.suite.workers import ONE_THREAD, Workers

if TYPE_CHECKING:
    from rich.console import Console

    from fusion_stack.suite.pipeline import Pipeline

INCOMPLETE = 2  # exit status: fewer tasks than asked for, the others went on
NARROWEST = 100  # columns where no terminal says how many it has


@dataclass
class Session:
    """One call of a command. count: worker processes. bf16: whether models compute in it."""

    console: Console
    profile: Profile
    seeds: tuple[int, ...]
    workers: Workers
    count: int
    bf16: bool
    done: list[Pipeline] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status once every pipeline is done."""
        return INCOMPLETE if any(pipeline.lacks_tasks for pipeline in self.done) else 0

    def pipelines(self) -> Iterator[Pipeline]:
        """One a seed."""
        from fusion_stack.suite.pipeline import Pipeline

        for seed in self.seeds:
            if len(self.seeds) > 1:
                self.console.rule(f"seed {seed}")
            self.done.append(Pipeline(self.console, self.profile, seed, cache_folder(), self.workers, bf16=self.bf16))
            yield self.done[-1]


@contextmanager
def session(profile: str, seeds: Sequence[int] | None, tasks: str | None, workers: int) -> Iterator[Session]:
    """The session for a command's options. Ends the program as `readable_errors` does."""
    with readable_errors(new_console()) as console:
        from fusion_stack.suite.encoder import has_fast_bf16
        from fusion_stack.suite.family import family_of
        from fusion_stack.suite.tasks import known

        chosen = profile_of(profile)
        family = family_of(chosen.family)
        if tasks is not None:
            free = [task.name for task in family.tasks.values() if task.permissive]
            names = free if tasks == "permissive" else known(tasks.split(","), family.tasks)
            chosen = chosen.narrowed(names, tasks.replace(",", "-"))
        missing = [name for name in ("torch", "transformers", "matplotlib", "hydra") if find_spec(name) is None]
        if missing:
            raise ImportError(f"{', '.join(missing)} is not installed here: pip install 'fusion_kernels[stack]'")
        # Everything is on disk before a model is loaded: no library may look for anything on a network. One thread here
        # as in the workers: heads must not depend on the number of cores.
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        with environment(offline | ONE_THREAD), Workers(workers) as pool:
            bf16 = family.takes_bf16 and has_fast_bf16()
            yield Session(console, chosen, tuple(seeds or chosen.seeds), pool, workers, bf16)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables, for this process and its children, and puts back what there was."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def new_console() -> Console:
    """The terminal, or what stands in for one with room for the tables."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, NARROWEST))


@contextmanager
def readable_errors(console: Console) -> Iterator[Console]:
    """Ends the program with one line and status 1 where something expected goes wrong, 130 where it is interrupted."""
    try:
        yield console
    except (UnavailableError, WrongBytesError, OSError, ValueError, NotImplementedError, ImportError) as error:
        console.print(f"[bold red]error[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except BrokenProcessPool:
        console.print("[bold red]error[/] a worker process died, perhaps for lack of memory; try --workers 1")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("interrupted; finished fine-tunes are kept, nothing half-written is")
        raise typer.Exit(130) from None

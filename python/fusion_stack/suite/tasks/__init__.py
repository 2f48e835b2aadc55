"""The text tasks, one file each, in the order of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusion_kernels.errors import listing, quoted, suggest
from fusion_stack.suite.task import Task
from fusion_stack.suite.tasks import (
    bbc_news,
    election,
    newsgroups20,
    package_sections,
    reuters8,
    sentiment,
    spam,
    wordnet_verbs,
)

_FILES = (newsgroups20, reuters8, bbc_news, spam, wordnet_verbs, package_sections, election, sentiment)
TASKS = {file.TASK.name: file.TASK for file in _FILES}
PERMISSIVE = tuple(task.name for task in TASKS.values() if task.permissive)


def known(names: Sequence[str], tasks: Mapping[str, Task] = TASKS) -> list[str]:
    """The names, if all of them are tasks. Raises ValueError."""
    for name in names:
        if name not in tasks:
            raise ValueError(f"task {quoted(name)} is not known; there are {listing(tasks)}.{suggest(name, tasks)}")
    return list(names)

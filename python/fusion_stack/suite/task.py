"""A text-classification task: where its texts come from, and the words a model that never saw it is asked with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fusion_stack.suite.samples import Sample


@dataclass(frozen=True)
class Task:
    """A data set.

    origin: the package it is read from. terms: what its owners ask.
    permissive: whether those terms allow any use, so that the task belongs to the permissive subset.
    prompt: "a newswire story about {}"; classes: {label in the data: its description in the prompt}.
    read: cache folder -> (samples, official test samples or None); fetches what is not there and raises
        UnavailableError where it cannot be had.
    """

    name: str
    title: str
    origin: str
    terms: str
    prompt: str
    classes: Mapping[str, str]
    read: Callable[[Path], tuple[list[Sample], list[Sample] | None]]
    permissive: bool = False

    @property
    def labels(self) -> list[str]:
        return sorted(self.classes)

    @property
    def prompts(self) -> list[str]:
        """One description per class, in the order of `labels`."""
        return [self.prompt.format(self.classes[label]) for label in self.labels]

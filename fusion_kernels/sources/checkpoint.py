"""One model as its headers describe it: which tensors there are and where their bytes lie."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

Buffer = int | tuple[int, int]
"""What the engine reads from: an open file descriptor, or (address, number of bytes) in memory."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, safetensors dtype code, shape, and place of one tensor: `nbytes` bytes at `offset` of buffer `buffer`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    buffer: int
    offset: int
    nbytes: int

    @property
    def numel(self) -> int:
        """Number of elements: 1 for shape (), 0 where a dimension is 0."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells a file from a changed one: device, inode, size in bytes, modification time in ns."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass
class Checkpoint:
    """One model, headers only.

    label: what the user called it (label_given), or a name made from the source; every message uses it.
    source: printable origin, such as a path.
    tensors: by name, in the order of the files.
    files: the files behind the buffers, in order; empty for a model in memory.
    config: the parsed config.json; None where it is absent or empty.
    folder: the folder that holds config and tokenizer, if any.
    reference, revision: hub id and commit or branch, for a model from the hub.
    aliases: names whose tensor is another name's (tied weights in memory): {"lm_head.weight": "embed.weight"}.
    library: "torch" or "numpy" for a model in memory.
    notes: what a reader of the result should know about how this model was read.
    """

    label: str
    source: str
    tensors: dict[str, TensorInfo]
    files: list[Path] = field(default_factory=list)
    stamps: list[FileStamp] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)
    config: dict[str, Any] | None = None
    folder: Path | None = None
    reference: str | None = None
    revision: str | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    library: Literal["torch", "numpy"] | None = None
    notes: list[str] = field(default_factory=list)
    label_given: bool = False
    alive: list[Any] = field(default_factory=list, repr=False)  # owners of what `memory` points to
    _descriptors: list[int] = field(default_factory=list, repr=False)

    @property
    def buffers(self) -> Sequence[Path | tuple[int, int]]:
        """What open() makes buffers of: the files, or the pieces of memory. TensorInfo.buffer counts them from 0."""
        return self.files or self.memory

    @property
    def tied(self) -> bool | None:
        """config's tie_word_embeddings; None where the config does not say, or says both (outer and text config)."""
        config = self.config or {}
        inner = [config.get(key) for key in ("text_config", "llm_config", "language_config")]
        said = {part.get("tie_word_embeddings") for part in [config, *inner] if isinstance(part, dict)} - {None}
        return bool(said.pop()) if len(said) == 1 else None

    def open(self) -> list[Buffer]:
        """Opens the files and returns one buffer per file (or piece of memory); a second call returns the same.

        Raises OSError where a file is gone, or is not the one whose header was read.
        """
        if self.memory:
            return list(self.memory)
        if not self._descriptors:
            allow_open_files(len(self.files))
            try:
                for path, stamp in zip(self.files, self.stamps, strict=True):
                    descriptor = open_regular(path)
                    self._descriptors.append(descriptor)
                    if FileStamp.of(os.fstat(descriptor)) != stamp:
                        raise OSError(
                            f"{path}: the file of model '{self.label}' changed after its header was read; start again"
                        )
            except BaseException:
                self.close()
                raise
        return list(self._descriptors)

    def close(self) -> None:
        """Closes what open() opened. The memory of tensors stays alive as long as the Checkpoint does."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_regular(path: Path) -> int:
    """Opens a regular file for reading and returns its descriptor; pipes and devices are refused, not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path}: not a regular file; expected a safetensors file")
    return descriptor


def allow_open_files(count: int) -> None:
    """Raises the soft limit of open files so that `count` more fit; models of hundreds of shards pass the usual "
    "1024."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = len(os.listdir("/proc/self/fd")) + count + 64 if os.path.isdir("/proc/self/fd") else count + 512
    if soft == resource.RLIM_INFINITY or wanted <= soft:
        return
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise OSError(
            f"{count} more files must be opened, but this process may open {hard} in all; raise `ulimit -n` to {wanted}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

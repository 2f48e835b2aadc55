"""Says what a merge would do and need, and everything that would stop it, from headers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fusion_kernels.limits import format_bytes
from fusion_kernels.report import counted, show


@dataclass(frozen=True)
class Plan:
    """What `plan()` returns. All sizes are in bytes.

    problems: every reason why the merge would fail, each a sentence; empty if it can run.
    notes: what the result's reader should know (derived buffers, ignored keys).
    parameters: complete; per-model ones as {model: value}.
    dtypes: number of output tensors for each dtype code. files: those the merge writes, as far as headers tell.
    reads, writes: weights read and written. passes: how often a tensor is gone over at most: once, and once more for
    each thing to be measured first (its norms, the magnitude to cut at, what rescaling makes up for). What is read
    twice counts twice, although the smallest tensors are kept.
    ram: what the engine allocates, plus the result itself if it stays in memory.
    disk, disk_free: needed and free at the output; None for a result in memory.
    """

    method: str
    preset: str
    models: tuple[str, ...] = ()
    base: str | None = None
    output: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tensors: int = 0
    dtypes: Mapping[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    reads: int = 0
    writes: int = 0
    passes: int = 1
    ram: int = 0
    disk: int | None = None
    disk_free: int | None = None
    atomic: bool = True
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the merge would run, as far as headers can tell."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = asdict(self)
        for name in ("models", "files", "problems", "notes"):
            values[name] = list(values[name])
        return values | {"ok": self.ok}

    def __str__(self) -> str:
        base = f" on base {self.base}" if self.base is not None else ""
        counts = ", ".join(f"{count} {code}" for code, count in self.dtypes.items())
        rows = [
            ("merge", f"{counted(len(self.models), 'model')} by {self.method} (preset {self.preset}){base}"),
            ("models", ", ".join(self.models)),
            *((name, show(value)) for name, value in self.parameters.items()),
            ("output", self._output()),
            ("tensors", f"{self.tensors} ({counts})" if counts else str(self.tensors)),
            ("reads", format_bytes(self.reads) + (f" in {self.passes} passes" if self.passes > 1 else "")),
            ("writes", format_bytes(self.writes)),
            ("memory", format_bytes(self.ram)),
        ]
        if self.disk is not None and self.disk_free is not None:
            rows.append(("disk", f"{format_bytes(self.disk)} needed, {format_bytes(self.disk_free)} free"))
        rows += [("note", note) for note in self.notes]
        rows += [("problem", problem) for problem in self.problems]
        rows.append(("verdict", "ready to run" if self.ok else f"cannot run: {counted(len(self.problems), 'problem')}"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def _output(self) -> str:
        if self.output is None:
            return "tensors in memory"
        how = "appears by one rename" if self.atomic else "files renamed one by one: not atomic"
        return f"{self.output} ({counted(len(self.files), 'file')}; {how})"

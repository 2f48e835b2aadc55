"""Says what a merge did: files, bytes, speed, the parameters as used, notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fusion_kernels.limits import format_bytes


@dataclass(frozen=True)
class MergeReport:
    """What `merge(..., output=...)` returns.

    Bytes are those of weights; `seconds` is the whole call, from the first header to the published result.
    `dtype` is the output dtype asked for, None if each tensor kept the promoted dtype of its inputs.
    """

    output: Path
    files: tuple[str, ...]  # relative to `output`; the file itself for a single file
    tensors: int
    bytes_read: int
    bytes_written: int
    seconds: float
    method: str
    preset: str
    parameters: Mapping[str, Any]  # complete: per-model ones as {model: value}
    dtype: str | None
    notes: tuple[str, ...]
    atomic: bool  # whether the output appeared by one rename
    seed: int = 0
    threads: int = 0
    instruction_set: str = ""
    workspace_bytes: int = 0

    @property
    def gb_per_second(self) -> float:
        """Bytes read and written over the whole call's seconds, in 10^9 bytes per second."""
        return (self.bytes_read + self.bytes_written) / self.seconds / 1e9 if self.seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = asdict(self)
        values |= {"output": str(self.output), "files": list(self.files), "notes": list(self.notes)}
        return values | {"gb_per_second": self.gb_per_second}

    def __str__(self) -> str:
        lines = [
            f"{self.output}: {counted(self.tensors, 'tensor')} in {counted(len(self.files), 'file')}, "
            f"by {self.method} (preset {self.preset})",
            f"read {format_bytes(self.bytes_read)}, wrote {format_bytes(self.bytes_written)} in {self.seconds:.2f} s: "
            f"{self.gb_per_second:.2f} GB/s",
            *(f"{name}: {show(value)}" for name, value in self.parameters.items()),
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def counted(number: int, what: str) -> str:
    """A number with its noun: 1 file, 2 files."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def show(value: object) -> str:
    """A parameter as people write it: 0.5, true, weighted, `a 0.5, b 0.25`."""
    if isinstance(value, Mapping):
        shown = [f"{name} {show(entry)}" for name, entry in value.items()]
        return show(next(iter(value.values()))) if len(set(map(str, value.values()))) == 1 else ", ".join(shown)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)

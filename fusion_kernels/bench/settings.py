"""What to measure: the settings of a run, and the points they come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fusion_kernels._native import native
from fusion_kernels.bench.methods import registered
from fusion_kernels.hardware import devices

__all__ = ["FOLD_ONLY", "PREFIX", "SELECT", "Point", "Settings", "entries", "points"]

SELECT = "select"  # what finding the thresholds of ties costs: ties at density 0.2 less ties at density 1
FOLD_ONLY = "ties-fold-only"  # ties at density 1: nothing to select
PREFIX = "ops."  # how the entries begin that are functions of fusion_kernels.ops
QUICK_CACHE = 1 << 20  # bytes; with less, the engine would leave the threads aside, or read a tensor once
EMULATED_ELEMENTS = 1 << 13  # of each tensor: every thread of a kernel is a fiber


@dataclass(frozen=True)
class Settings:
    """What to measure, and where the results go."""

    device: str = "cpu"  # or "cuda", "cuda:1", "emulated"
    entries: tuple[str, ...] = ()  # of entries(); none is all
    dtypes: tuple[str, ...] = ("BF16", "F32")
    models: tuple[int, ...] = (3,)  # fine-tunes beside the base
    sizes: tuple[int, ...] = (0,)  # elements of each tensor; 0 is as many as fill the last-level cache
    instruction_sets: tuple[str, ...] = ()  # none is all of this machine's
    threads: tuple[int, ...] = ()  # none is one core, all cores
    rounds: int = 7
    torch_rounds: int = 7
    torch_budget: float = 200.0  # seconds at one point after which torch stops, two rounds done
    compile: bool = True  # compare with torch.compile too
    quick: bool = False  # tiny tensors, two rounds: does it run?
    out: Path = Path("fusion-kernels-bench")

    @property
    def kind(self) -> str:
        """cpu, cuda or emulated."""
        return self.device.partition(":")[0]

    @property
    def measures(self) -> bool:
        """Whether times mean something: on an emulated GPU they do not, and only results are checked."""
        return self.kind != "emulated"

    def all_instruction_sets(self) -> tuple[str, ...]:
        """Of the processor; a GPU is one of its own."""
        if self.kind != "cpu":
            return (self.kind,)
        return self.instruction_sets or tuple(native().instruction_sets())

    def all_threads(self) -> tuple[int, ...]:
        if self.kind != "cpu":
            return (0,)
        return self.threads or tuple(dict.fromkeys((1, devices()[0].threads)))


@dataclass(frozen=True)
class Point:
    """One thing to measure. `threads` is 0 on a GPU, `size` 0 where the cache says how large tensors are."""

    entry: str
    dtype: str
    threads: int
    instruction_set: str
    models: int
    size: int

    def __str__(self) -> str:
        threads = f"-{self.threads}" if self.threads else ""
        size = f"-{self.size}" if self.size else ""
        return f"{self.entry}-{self.dtype}-{self.instruction_set}{threads}-K{self.models}{size}"

    @property
    def is_operation(self) -> bool:
        return self.entry.startswith(PREFIX)


def entries() -> tuple[str, ...]:
    """Every method of the engine, the two halves of ties, and every operation on torch tensors."""
    from fusion_kernels.bench.operations import OPERATIONS

    halves = (FOLD_ONLY, SELECT) if "ties" in registered() else ()
    return (*registered(), *halves, *(f"{PREFIX}{name}" for name in OPERATIONS))


def points(chosen: Settings) -> list[Point]:
    """The fastest instruction set first: it is the one that torch is compared with.

    Operations run on the best one alone, which is what their callers get, and not on the emulated GPU, where torch has
    no tensors.
    """
    best = native().instruction_sets()[-1] if chosen.kind == "cpu" else chosen.kind

    def instruction_sets(entry: str) -> tuple[str, ...]:
        if entry.startswith(PREFIX):
            return (best,) if chosen.measures else ()
        return tuple(reversed(chosen.all_instruction_sets()))

    return [
        Point(entry, dtype, threads, instruction_set, models, size)
        for entry in chosen.entries or entries()
        for dtype in chosen.dtypes
        for models in chosen.models
        for size in chosen.sizes
        for threads in chosen.all_threads()
        for instruction_set in instruction_sets(entry)
    ]

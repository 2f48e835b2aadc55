"""Holds one merge with everything that headers decide about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fusion_kernels import companions, jobs, model_card
from fusion_kernels.dtypes import DTYPES
from fusion_kernels.execution import Work
from fusion_kernels.hardware import gpu_numbers
from fusion_kernels.layout import Layout, OutputTensor
from fusion_kernels.parameters import MethodInfo, Resolved
from fusion_kernels.planning import Plan
from fusion_kernels.publish import Target
from fusion_kernels.sources import Checkpoint

if TYPE_CHECKING:
    from fusion_kernels.matching import Matching
    from fusion_kernels.request import Request
    from fusion_kernels.sources import Buffer

# What a merge fails with because of its input, as opposed to a defect of ours.
FAILURES = (ValueError, NotImplementedError, OSError)
_MOST_SHOWN = 12  # problems in one message
_SMALL_FILES = 1 << 20  # allowance for config, card, recipe and directory entries


@dataclass
class Prepared:
    """One merge with all its decisions; what a problem left undecided keeps its empty default."""

    request: Request
    method: MethodInfo | None = None
    models: list[Checkpoint] = field(default_factory=list)  # the merged ones; a member base first
    base: Checkpoint | None = None
    inputs: jobs.Inputs | None = None
    resolved: Resolved | None = None
    matching: Matching | None = None
    outputs: list[OutputTensor] = field(default_factory=list)
    layout: Layout | None = None
    target: Target | None = None
    work: list[jobs.Job] = field(default_factory=list)
    memory_limit: int = 0
    device_memory_limit: int = 0
    reads: int = 0
    passes: int = 1
    ram: int = 0
    problems: list[Exception] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sources(self) -> list[Checkpoint]:
        """Each checkpoint once: the base, if any, first."""
        return ([self.base] if self.base is not None else []) + [one for one in self.models if one is not self.base]

    @property
    def parameters(self) -> dict[str, Any]:
        """The resolved parameters for people: per-model ones as {model: value}."""
        values = self.resolved.values if self.resolved is not None else {}
        labels = [model.label for model in self.models]
        return {
            name: dict(zip(labels, value, strict=True)) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @property
    def requested_dtype(self) -> str | None:
        """Torch's name of the output dtype asked for, if one was."""
        return DTYPES[self.request.dtype].torch_name if self.request.dtype is not None else None

    @property
    def output_dtype(self) -> str | None:
        """Torch's name of the dtype of all merged tensors; None where they differ. Copied buffers do not count."""
        if self.request.dtype is not None:
            return self.requested_dtype
        copied = {tensor.name for tensor in self.matching.tensors if tensor.kind != "merge"} if self.matching else set()
        codes = {tensor.dtype for tensor in self.outputs if tensor.name not in copied}
        return DTYPES[codes.pop()].torch_name if len(codes) == 1 else None

    def as_work(self, buffers: Sequence[Buffer]) -> Work:
        """What is run, on these buffers: those of the inputs, then those of the outputs."""
        assert self.method is not None
        assert self.resolved is not None
        request = self.request
        return Work(
            self.method,
            self.resolved,
            self.work,
            [tensor.shape for tensor in self.outputs],
            buffers,
            tuple(model.label for model in self.models),
            seed=request.seed,
            threads=request.threads or 0,
            memory_limit=self.memory_limit,
            limit_stated=request.memory_limit != "auto",
            allow_nonfinite=request.allow_nonfinite,
            devices=gpu_numbers(request.device),
            device_memory_limit=self.device_memory_limit,
        )

    def small_files(self) -> list[str]:
        """Names of everything but the weights, in the order of publishing."""
        if self.target is None or self.target.is_file:
            return []
        names = list(companions.find(self.sources))
        if companions.config_source(self.sources) is not None:
            names.append(companions.CONFIG)
        return [*names, *([model_card.CARD] if self.request.model_card else []), model_card.RECIPE]

    def files(self) -> list[str]:
        """Names of all files written, in the order of publishing: the weights, then their index, last."""
        return self.small_files() + (self.layout.files if self.layout is not None else [])

    def raise_problems(self) -> None:
        """Raise the one problem as what it is, several as one ValueError that lists them."""
        if len(self.problems) == 1:
            raise self.problems[0]
        if self.problems:
            listed = "; ".join(
                f"({number}) {problem}" for number, problem in enumerate(self.problems[:_MOST_SHOWN], start=1)
            )
            more = len(self.problems) - _MOST_SHOWN
            rest = f"; and {more} more, which plan() lists" if more > 0 else ""
            raise ValueError(f"{len(self.problems)} problems: {listed}{rest}")

    def attempt(self, step: Callable[[], object]) -> None:
        """Run one deciding step; what stops it becomes a problem."""
        try:
            step()
        except FAILURES as error:
            self.problems.append(error)

    def disk_needed(self) -> int:
        """Bytes to be free at the output, small files estimated from those of the inputs."""
        if self.layout is None or self.target is None:
            return 0
        small = 0
        if not self.target.is_file:
            small = _SMALL_FILES + sum(path.stat().st_size for path in companions.find(self.sources).values())
        return self.layout.nbytes + small

    def plan(self) -> Plan:
        """What plan() shows of this merge."""
        request, target, layout = self.request, self.target, self.layout
        return Plan(
            method=request.method,
            preset=request.preset,
            models=tuple(model.label for model in self.models),
            base=self.base.label if self.base is not None else None,
            output=str(target.path) if target is not None else None,
            parameters=self.parameters,
            tensors=len(self.outputs),
            dtypes=dict(sorted(Counter(tensor.dtype for tensor in self.outputs).items())),
            files=tuple(self.files()) if target is not None else (),
            reads=self.reads,
            writes=layout.total_size if layout is not None else 0,
            passes=self.passes,
            ram=self.ram,
            disk=self.disk_needed() if target is not None else None,
            disk_free=target.free_bytes() if target is not None else None,
            atomic=target.one_rename if target is not None else True,
            problems=tuple(map(str, self.problems)),
            notes=tuple(self.notes),
        )

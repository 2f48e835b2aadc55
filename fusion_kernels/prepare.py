"""Decides everything about one merge from headers alone and collects every reason why it would fail."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_kernels import companions, jobs, model_card
from fusion_kernels.dtypes import DTYPES
from fusion_kernels.errors import listing
from fusion_kernels.layout import Layout, OutputTensor, Place, lay_out
from fusion_kernels.limits import available_memory, format_bytes, memory_limit_bytes, parse_size
from fusion_kernels.parameters import MethodInfo, Resolved, get_method, resolve
from fusion_kernels.planning import Plan
from fusion_kernels.publish import Target
from fusion_kernels.sources import Buffer, Checkpoint, open_source

if TYPE_CHECKING:
    from fusion_kernels.matching import Matching
    from fusion_kernels.request import Request

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
    jobs: list[jobs.Job] = field(default_factory=list)
    memory_limit: int = 0
    reads: int = 0
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
        """Torch's name of the one dtype of all floating tensors written; None where they differ."""
        codes = {tensor.dtype for tensor in self.outputs if DTYPES[tensor.dtype].floating}
        return DTYPES[codes.pop()].torch_name if len(codes) == 1 else None

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


def prepare(request: Request) -> Prepared:
    """Open headers, match tensors, resolve parameters, lay out the output and check it, in that order."""
    prepared = Prepared(request, notes=list(request.notes))
    prepared.attempt(lambda: _find_method(prepared))
    _open(prepared)
    if not prepared.problems:
        _assign_roles(prepared)
    if not prepared.problems:
        prepared.attempt(lambda: _resolve(prepared))
        _match(prepared)
    prepared.attempt(lambda: _check_limits(prepared))
    if request.output is not None:
        prepared.target = Target(request.output)
    if prepared.outputs:
        prepared.attempt(lambda: _lay_out(prepared))
    if prepared.target is not None:
        _check_target(prepared)
    if prepared.jobs and not prepared.problems:
        prepared.attempt(lambda: _measure_workspace(prepared))
    return prepared


def plan_of(prepared: Prepared) -> Plan:
    """The plan to show for a prepared merge."""
    request, target, layout = prepared.request, prepared.target, prepared.layout
    method = prepared.method
    return Plan(
        method=request.method,
        preset=request.preset,
        models=tuple(model.label for model in prepared.models),
        base=prepared.base.label if prepared.base is not None else None,
        output=str(target.path) if target is not None else None,
        parameters=prepared.parameters,
        tensors=len(prepared.outputs),
        dtypes=dict(sorted(Counter(tensor.dtype for tensor in prepared.outputs).items())),
        files=tuple(prepared.files()) if target is not None else (),
        reads=prepared.reads,
        writes=layout.total_size if layout is not None else 0,
        passes=jobs.passes(prepared.resolved, method.kind)
        if method is not None and prepared.resolved is not None
        else 1,
        ram=prepared.ram,
        disk=_disk_needed(prepared) if target is not None else None,
        disk_free=target.free_bytes() if target is not None else None,
        atomic=target.one_rename if target is not None else True,
        problems=tuple(map(str, prepared.problems)),
        notes=tuple(prepared.notes),
    )


def _find_method(prepared: Prepared) -> None:
    prepared.method = get_method(prepared.request.method)


def _open(prepared: Prepared) -> None:
    """Open every source once, going on after one that fails."""
    request = prepared.request
    for label, source in request.models.items():
        prepared.attempt(lambda: prepared.models.append(open_source(source, label=label)))  # noqa: B023 - called at once
    if request.base is not None:
        prepared.base = next((model for model in prepared.models if model.label == request.base_label), None)
        if prepared.base is None and request.base_label not in request.models:
            prepared.attempt(lambda: setattr(prepared, "base", open_source(request.base, label=request.base_label)))
    for checkpoint in prepared.sources:
        prepared.notes.extend(checkpoint.notes)


def _assign_roles(prepared: Prepared) -> None:
    """Which models are merged, in which order, given what the method does with its base."""
    method, base = prepared.method, prepared.base
    assert method is not None
    if method.base != "ignored" and base is None:
        prepared.problems.append(ValueError(f"{method.name} needs a base model: give base= (base_model in a recipe)"))
        return
    if method.base == "required":
        prepared.models = [model for model in prepared.models if model is not base]
    elif method.base == "member" and base is not None:
        prepared.models = [base, *(model for model in prepared.models if model is not base)]
    count, counted = len(prepared.models), "including the base" if method.base == "member" else "besides the base"
    counted = f" {counted}" if method.base != "ignored" else ""
    names = f" ({listing(model.label for model in prepared.models)})" if count else ""
    if count < method.min_models:
        least = "exactly" if method.min_models == method.max_models else "at least"
        prepared.problems.append(
            ValueError(f"{method.name} needs {least} {_models(method.min_models)}{counted}, got {count}{names}")
        )
    elif method.max_models is not None and count > method.max_models:
        most = "exactly" if method.min_models == method.max_models else "at most"
        prepared.problems.append(
            ValueError(f"{method.name} takes {most} {_models(method.max_models)}{counted}, got {count}{names}")
        )
    checkpoints = prepared.sources
    prepared.inputs = jobs.Inputs(
        checkpoints,
        [next(i for i, one in enumerate(checkpoints) if one is model) for model in prepared.models],
        0 if base is not None else None,
    )


def _models(count: int) -> str:
    return f"{count} model" if count == 1 else f"{count} models"


def _resolve(prepared: Prepared) -> None:
    assert prepared.method is not None
    request = prepared.request
    names = [model.label for model in prepared.models]
    given = {name: _for_merged(request, names, value) for name, value in request.parameters.items()}
    prepared.resolved = resolve(prepared.method, preset=request.preset, model_names=names, given=given)
    prepared.notes.extend(prepared.resolved.notes)


def _for_merged(request: Request, names: Sequence[str], value: Any) -> Any:
    """A per-model value without the share of a base that is listed and not merged, keyed by label."""
    listed = list(request.models)
    skipped = [label for label in listed if label not in names]
    if isinstance(value, Mapping):
        by_source = {
            os.fspath(one): label for label, one in request.models.items() if isinstance(one, (str, os.PathLike))
        }
        labels = {
            key: by_source.get(os.fspath(key), key) if isinstance(key, (str, os.PathLike)) else key for key in value
        }
        return {labels[key]: one for key, one in value.items() if labels[key] not in skipped}
    if skipped and isinstance(value, Sequence) and not isinstance(value, str) and len(value) == len(listed):
        return [one for label, one in zip(listed, value, strict=True) if label not in skipped]
    return value


def _match(prepared: Prepared) -> None:
    from fusion_kernels.matching import match

    assert prepared.method is not None
    assert prepared.inputs is not None
    prepared.matching = matching = match(
        prepared.models,
        prepared.base,
        base_role=prepared.method.base,
        on_unequal_integers=prepared.request.on_unequal_integers,
    )
    prepared.notes.extend(matching.notes)
    prepared.problems.extend(map(ValueError, matching.problems))
    prepared.outputs, problems = jobs.output_tensors(matching.tensors, prepared.request.dtype)
    prepared.problems.extend(problems)
    prepared.reads = jobs.bytes_read(matching.tensors)


def _lay_out(prepared: Prepared) -> None:
    assert prepared.inputs is not None
    assert prepared.matching is not None
    request, target = prepared.request, prepared.target
    places: Sequence[Place]
    if target is None:
        places = [Place(index, 0) for index in range(len(prepared.outputs))]
    else:
        single = target.path.name if target.is_file else None
        size = parse_size(request.max_shard_size, what="max_shard_size")
        prepared.layout = lay_out(prepared.outputs, max_shard_size=size, single_file=single)
        places = prepared.layout.places
    if prepared.resolved is not None and not prepared.problems:
        # A scale of 1 leaves every value as it is: bytes can be copied.
        identity = request.method == "passthrough" and prepared.resolved.values.get("scale") == (1.0,)
        prepared.jobs = jobs.build(
            prepared.matching.tensors, prepared.outputs, places, prepared.inputs, identity=identity
        )


def _check_limits(prepared: Prepared) -> None:
    prepared.memory_limit = memory_limit_bytes(prepared.request.memory_limit)


def _check_target(prepared: Prepared) -> None:
    """Everything about the output that can be seen before writing: conflicts with inputs, room, permission."""
    target, request = prepared.target, prepared.request
    assert target is not None
    for checkpoint in prepared.sources:
        conflict = _overlap(target, checkpoint, prepared.files())
        if conflict:
            prepared.problems.append(ValueError(conflict))
    prepared.problems.extend(target.problems(overwrite=request.overwrite, writes=prepared.files()))
    needed, free = _disk_needed(prepared), target.free_bytes()
    if needed > free:
        prepared.problems.append(
            OSError(
                f"output {target.given}: the disk is too full: {format_bytes(needed)} ({needed} bytes) needed, {format_bytes(free)} "
                f"({free} bytes) free; make room or choose another disk"
            )
        )


def _overlap(target: Target, checkpoint: Checkpoint, writes: Sequence[str]) -> str | None:
    """Why writing to `target` would touch an input, if it would."""
    which = f"output {target.given}"
    folder = Path(os.path.realpath(checkpoint.folder)) if checkpoint.folder is not None else None
    if folder is not None and target.path == folder:
        return f"{which} is the folder of input model {checkpoint.label!r}; choose another folder"
    if folder is not None and folder in target.path.parents:
        return (
            f"{which} lies inside the folder of input model {checkpoint.label!r} ({folder}); choose a place outside it"
        )
    written = {target.path} if target.is_file else {target.path / name for name in writes}
    read = {path.absolute() for path in checkpoint.files} | {Path(os.path.realpath(path)) for path in checkpoint.files}
    clash = sorted(written & read)
    return f"{which} would replace {clash[0]}, a file of input model {checkpoint.label!r}" if clash else None


def _disk_needed(prepared: Prepared) -> int:
    if prepared.layout is None or prepared.target is None:
        return 0
    companion_bytes = 0
    if not prepared.target.is_file:
        companion_bytes = _SMALL_FILES + sum(path.stat().st_size for path in companions.find(prepared.sources).values())
    return prepared.layout.nbytes + companion_bytes


def _measure_workspace(prepared: Prepared) -> None:
    """Ask the engine what it will allocate; it also checks parameters and jobs once more."""
    from fusion_kernels._native import native

    assert prepared.resolved is not None
    # Nothing is read: a size stands for each file.
    placeholders: list[Buffer] = []
    for checkpoint in prepared.sources:
        placeholders += checkpoint.memory or [(0, stamp.size) for stamp in checkpoint.stamps]
    if prepared.layout is not None:
        placeholders += [(0, shard.size) for shard in prepared.layout.shards]
    else:
        placeholders += [(0, tensor.nbytes) for tensor in prepared.outputs]
    workspace = native().workspace_bytes(
        prepared.request.method,
        prepared.jobs,
        [jobs.parameter_set(prepared.resolved)],
        placeholders,
        threads=prepared.request.threads or 0,
        memory_limit=prepared.memory_limit,
    )
    in_memory = sum(tensor.nbytes for tensor in prepared.outputs) if prepared.target is None else 0
    prepared.ram = workspace + in_memory
    available = available_memory() if in_memory else 0
    if in_memory > available:
        prepared.problems.append(
            ValueError(
                f"the merged tensors take {format_bytes(in_memory)} of memory, {format_bytes(available)} are available; give output="
                " to write them to disk as they are made"
            )
        )

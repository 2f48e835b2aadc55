"""Decides everything about one merge from headers alone and collects every reason why it would fail."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from fusion_kernels import jobs
from fusion_kernels.collection import paused_collection
from fusion_kernels.destination import check_destination
from fusion_kernels.drawing import draw_notes
from fusion_kernels.errors import listing
from fusion_kernels.execution import memory_bytes
from fusion_kernels.layout import Place, lay_out
from fusion_kernels.limits import (
    available_memory,
    device_memory_limit_bytes,
    format_bytes,
    memory_limit_bytes,
    parse_size,
)
from fusion_kernels.parameters import get_method, resolve
from fusion_kernels.prepared import Prepared
from fusion_kernels.publish import Target
from fusion_kernels.report import counted
from fusion_kernels.request import Request
from fusion_kernels.sources import Buffer, Checkpoint, open_source


def prepare(request: Request) -> Prepared:
    """Open headers, match tensors, resolve parameters, lay out the output and check it, in that order."""
    with paused_collection():
        return _prepare(request)


def _prepare(request: Request) -> Prepared:
    prepared = Prepared(request, notes=list(request.notes))
    prepared.attempt(lambda: _find_method(prepared))
    _open(prepared)
    if not prepared.problems:
        _assign_roles(prepared)
    if not prepared.problems:
        prepared.attempt(lambda: _resolve(prepared))
        _match(prepared)
    prepared.attempt(lambda: _check_limits(prepared))
    prepared.attempt(lambda: _find_target(prepared))
    if prepared.outputs:
        prepared.attempt(lambda: _lay_out(prepared))
    if prepared.work:
        prepared.attempt(lambda: _measure_workspace(prepared))
    if prepared.target is not None:
        check_destination(prepared)
    return prepared


def _find_method(prepared: Prepared) -> None:
    prepared.method = get_method(prepared.request.method)


def _find_target(prepared: Prepared) -> None:
    output = prepared.request.output
    if output is not None:
        if not os.fspath(output).strip():
            raise ValueError("output is an empty text; name a folder, or a file ending in .safetensors")
        prepared.target = Target(output)


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
    if method.needs_base and base is None:
        prepared.problems.append(ValueError(f"{method.name} needs a base model: give base= (base_model in a recipe)"))
        return
    if method.sets_base_apart:
        prepared.models = [model for model in prepared.models if model is not base]
    elif method.base == "member" and base is not None:
        prepared.models = [base, *(model for model in prepared.models if model is not base)]
    if method.base == "ignored" and base is not None and not prepared.request.notes:  # a recipe has noted it itself
        merged = (
            "it is merged like the other models"
            if any(model is base for model in prepared.models)
            else "it is not merged"
        )
        prepared.notes.append(f"{method.name} has no use for a base: {merged}; config and tokenizer come from it")
    count, exactly = len(prepared.models), method.min_models == method.max_models
    which = " including the base" if method.base == "member" else ""
    if method.sets_base_apart and base is not None:
        which = " besides the base"
    got = f"got {count}" + (f" ({listing(model.label for model in prepared.models)})" if count else "")
    wrong = None
    if count < method.min_models:
        wrong = f"needs {'exactly' if exactly else 'at least'} {counted(method.min_models, 'model')}"
    elif method.max_models is not None and count > method.max_models:
        wrong = f"takes {'exactly' if exactly else 'at most'} {counted(method.max_models, 'model')}"
    if wrong is not None:
        prepared.problems.append(ValueError(f"{method.name} {wrong}{which}, {got}"))
    checkpoints = prepared.sources
    prepared.inputs = jobs.Inputs(
        checkpoints,
        [next(i for i, one in enumerate(checkpoints) if one is model) for model in prepared.models],
        0 if base is not None else None,
    )


def _resolve(prepared: Prepared) -> None:
    assert prepared.method is not None
    request = prepared.request
    names = [model.label for model in prepared.models]
    given = {name: _for_merged(request, names, value) for name, value in request.parameters.items()}
    prepared.resolved = resolve(prepared.method, preset=request.preset, model_names=names, given=given)
    prepared.notes.extend(prepared.resolved.notes)
    prepared.notes.extend(draw_notes(prepared.method, prepared.resolved, names, request.seed))


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
    if prepared.resolved is not None:
        prepared.reads, prepared.passes = jobs.reading(matching.tensors, prepared.resolved, prepared.method)


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
        prepared.work = jobs.build(
            prepared.matching.tensors, prepared.outputs, places, prepared.inputs, identity=identity
        )


def _check_limits(prepared: Prepared) -> None:
    prepared.memory_limit = memory_limit_bytes(prepared.request.memory_limit)
    prepared.device_memory_limit = device_memory_limit_bytes(prepared.request.device_memory_limit)


def _file_sizes(checkpoint: Checkpoint) -> list[int]:
    """Size in bytes of each file; of those still on the hub, what their headers describe."""
    if checkpoint.stamps:
        return [stamp.size for stamp in checkpoint.stamps]
    sizes = [0] * len(checkpoint.files)
    for tensor in checkpoint.tensors.values():
        sizes[tensor.buffer] = max(sizes[tensor.buffer], tensor.offset + tensor.nbytes)
    return sizes


def _measure_workspace(prepared: Prepared) -> None:
    """Ask what will be allocated; the engine also checks parameters and jobs once more."""
    # Nothing is read: a size stands for each file.
    placeholders: list[Buffer] = []
    for checkpoint in prepared.sources:
        placeholders += checkpoint.memory or [(0, size) for size in _file_sizes(checkpoint)]
    if prepared.layout is not None:
        placeholders += [(0, shard.size) for shard in prepared.layout.shards]
    else:
        placeholders += [(0, tensor.nbytes) for tensor in prepared.outputs]
    workspace = memory_bytes(prepared.as_work(placeholders))
    in_memory = sum(tensor.nbytes for tensor in prepared.outputs) if prepared.target is None else 0
    prepared.ram = workspace + in_memory
    available = available_memory() if in_memory else 0
    if in_memory > available:
        prepared.problems.append(
            ValueError(
                f"the merged tensors take {format_bytes(in_memory)} of memory, {format_bytes(available)} are "
                "available; give output= to write them to disk as they are made"
            )
        )

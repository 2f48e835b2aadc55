"""Runs a prepared merge: opens the inputs, lets the engine fill the output, publishes it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_kernels import companions, model_card
from fusion_kernels.dtypes import DTYPES
from fusion_kernels.errors import listing
from fusion_kernels.execution import execute
from fusion_kernels.layout import INDEX_FILE, Shard
from fusion_kernels.publish import Staging
from fusion_kernels.report import MergeReport, counted
from fusion_kernels.sources.checkpoint import allow_open_files

if TYPE_CHECKING:
    import torch

    from fusion_kernels.prepared import Prepared
    from fusion_kernels.progress import Progress
    from fusion_kernels.sources import Buffer

Observer = Callable[["Progress"], None]


@dataclass
class OutputFile:
    """One shard being written: a descriptor for the engine, its header already in place."""

    path: Path
    shard: Shard
    descriptor: int = -1

    def __enter__(self) -> int:
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            os.ftruncate(self.descriptor, self.shard.size)
            written = 0
            while written < len(self.shard.header):
                written += os.pwrite(self.descriptor, self.shard.header[written:], written)
        except BaseException as error:
            os.close(self.descriptor)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(self.path)
            raise
        return self.descriptor

    def __exit__(self, *error: object) -> None:
        os.close(self.descriptor)


def into_memory(prepared: Prepared) -> dict[str, torch.Tensor]:
    """Merge into new torch tensors on the CPU, in output order. Raises ImportError without torch."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "merging into memory returns torch tensors, and torch is not installed; give output= to merge on disk, "
            "or install fusion_kernels[torch]"
        ) from error
    merged = {
        tensor.name: torch.empty(tensor.shape, dtype=getattr(torch, str(DTYPES[tensor.dtype].torch_name)))
        for tensor in prepared.outputs
    }
    buffers: list[Buffer] = [(tensor.data_ptr(), tensor.nbytes) for tensor in merged.values()]
    with ExitStack() as stack:
        _execute(prepared, [*_open_inputs(prepared, stack), *buffers])
    assert prepared.matching is not None
    # Tied names share one tensor, as they do in a module's own state dict.
    return merged | {name: merged[kept] for name, kept in prepared.matching.tied.items() if kept in merged}


def into_files(prepared: Prepared, *, started: float) -> MergeReport:
    """Merge into the output folder or file and publish it; `started`: time.perf_counter() at the call's begin."""
    assert prepared.target is not None
    assert prepared.layout is not None
    request, target, layout = prepared.request, prepared.target, prepared.layout
    with ExitStack() as stack:
        buffers = _open_inputs(prepared, stack)
        files = prepared.files()  # a hub model's small files are known only now
        problems = target.problems(overwrite=request.overwrite, writes=files)
        if problems:
            raise problems[0]
        staging = stack.enter_context(Staging(target, durable=request.durable))
        _write_small_files(prepared, staging.folder)
        allow_open_files(len(layout.shards))
        with ExitStack() as outputs:
            for shard in layout.shards:
                buffers.append(outputs.enter_context(OutputFile(staging.folder / shard.file, shard)))
            result = _execute(prepared, buffers)
        atomic = staging.publish(files)
    notes = [*prepared.notes, *_result_notes(prepared, result)]
    if not atomic:
        notes.append(f"{target.given} already held files: ours were renamed into it one by one, which is not atomic")
    return MergeReport(
        output=target.path,
        files=tuple(files),
        tensors=len(prepared.outputs),
        bytes_read=result["bytes_read"],
        bytes_written=result["bytes_written"],
        seconds=time.perf_counter() - started,
        method=request.method,
        preset=request.preset,
        parameters=prepared.parameters,
        dtype=prepared.requested_dtype,
        notes=tuple(notes),
        atomic=atomic,
        seed=request.seed,
        threads=result["threads"],
        instruction_set=result["instruction_set"],
        workspace_bytes=result["workspace_bytes"],
    )


def _open_inputs(prepared: Prepared, stack: ExitStack) -> list[Buffer]:
    """All checkpoints' buffers in the order of `Inputs`; the stack closes them."""
    buffers: list[Buffer] = []
    for checkpoint in prepared.sources:
        stack.enter_context(checkpoint)
        buffers.extend(checkpoint.open())
    return buffers


def _execute(prepared: Prepared, buffers: list[Buffer]) -> dict[str, Any]:
    with _observer(prepared) as observer:
        result = execute(prepared.as_work(buffers), observer=observer)
        if observer is not None:
            observer({**result, "tensors_done": len(prepared.outputs), "tensor": prepared.outputs[-1].name})
    return result


@contextmanager
def _observer(prepared: Prepared) -> Iterator[Callable[[Mapping[str, Any]], None] | None]:
    """What the engine calls while it works, made from merge()'s `progress`."""
    wanted = prepared.request.progress
    if wanted is None or wanted is False:
        yield None
        return
    from fusion_kernels.progress import Progress, terminal_progress

    with ExitStack() as stack:
        show: Observer = stack.enter_context(terminal_progress()) if wanted is True else wanted
        started = time.perf_counter()
        total = prepared.reads + sum(tensor.nbytes for tensor in prepared.outputs)

        def observe(state: Mapping[str, Any]) -> None:
            done = state["bytes_read"] + state["bytes_written"]
            seconds = time.perf_counter() - started
            finished = state["tensors_done"] == len(prepared.outputs)
            expected = done if finished else max(total, done)
            show(Progress(done, expected, state["tensors_done"], len(prepared.outputs), state["tensor"], seconds))

        yield observe


def _write_small_files(prepared: Prepared, folder: Path) -> None:
    """Everything but the weights. These come first: what cannot be copied is found before hours of merging."""
    assert prepared.target is not None
    assert prepared.layout is not None
    assert prepared.matching is not None
    if prepared.target.is_file:
        return
    request = prepared.request
    for name, path in companions.find(prepared.sources).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    source = companions.config_source(prepared.sources)
    if source is not None:
        text = companions.config_text(
            source, dtype=prepared.output_dtype, add_dtype=request.dtype is not None, untied=prepared.matching.untied
        )
        (folder / companions.CONFIG).write_text(text, encoding="utf-8")
    recipe = model_card.recipe_text(prepared)
    (folder / model_card.RECIPE).write_text(recipe, encoding="utf-8")
    if request.model_card:
        text = model_card.card_text(prepared, recipe)
        (folder / model_card.CARD).write_text(text, encoding="utf-8")
    if prepared.layout.index is not None:
        (folder / INDEX_FILE).write_text(prepared.layout.index, encoding="utf-8")


def _result_notes(prepared: Prepared, result: dict[str, Any]) -> list[str]:
    """What only the data showed."""
    notes = []
    dtype_of = {tensor.name: tensor.dtype for tensor in prepared.outputs}
    for key, what in (
        ("saturated", "values exceeded the range of {dtype} and were stored as its largest"),
        ("nonfinite_inputs", "values of the inputs are NaN or infinite"),
    ):
        counts: dict[str, int] = {name: count for name, count in result.get(key, {}).items() if count}
        if counts:
            some = listing((f"{name} ({count})" for name, count in counts.items()), limit=5)
            dtypes = listing(sorted({dtype_of[name] for name in counts if name in dtype_of}))
            where = f"in {counted(len(counts), 'tensor')}: {some}"
            notes.append(f"{sum(counts.values())} {what.format(dtype=dtypes)}, {where}")
    return notes

"""Checks the place a merge writes to before anything is written: conflicts with inputs, room, permission."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fusion_kernels.limits import format_bytes
from fusion_kernels.prepared import Prepared
from fusion_kernels.publish import Target
from fusion_kernels.sources import Checkpoint


def check_destination(prepared: Prepared) -> None:
    """Add a problem for everything that would keep the output from being written or would touch an input."""
    target, request = prepared.target, prepared.request
    assert target is not None
    for checkpoint in prepared.sources:
        conflict = _overlap(target, checkpoint, prepared.files())
        if conflict:
            prepared.problems.append(ValueError(conflict))
    prepared.problems.extend(target.problems(overwrite=request.overwrite, writes=prepared.files()))
    needed, free = prepared.disk_needed(), target.free_bytes()
    if needed > free:
        prepared.problems.append(
            OSError(
                f"output {target.given}: the disk is too full: {format_bytes(needed)} ({needed} bytes) needed, "
                f"{format_bytes(free)} ({free} bytes) free; make room or choose another disk"
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

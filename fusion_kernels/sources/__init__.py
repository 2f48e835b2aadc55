"""Opens whatever names a model: a folder, a file, a hub id, tensors in memory."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion_kernels.errors import quoted
from fusion_kernels.labels import model_labels
from fusion_kernels.sources.checkpoint import Buffer, Checkpoint, TensorInfo

__all__ = ["Buffer", "Checkpoint", "TensorInfo", "open_source", "open_sources"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9_][\w.-]*)?(@[\w./-]+)?")


def open_source(source: Any, *, label: str | None = None) -> Checkpoint:
    """Reads the headers of one model and returns its Checkpoint; no weight is read.

    source: a folder in Hugging Face layout, a .safetensors file, a hub id (`org/name` or `org/name@revision`; a path
    that exists wins), a mapping of tensor names to torch tensors or numpy arrays, a torch.nn.Module, or a Checkpoint,
    which is returned as it is.
    label: what messages call this model; by default the folder, file or hub name.

    Raises ValueError for contents that are no valid checkpoint, FileNotFoundError or another OSError for what cannot be
    read or fetched, NotImplementedError for adapters and for tensors that are not in CPU memory.
    """
    if isinstance(source, Checkpoint):
        return source
    if isinstance(source, Mapping):
        from fusion_kernels.sources.memory import open_mapping

        checkpoint = open_mapping(source, label=label or "model in memory")
    elif callable(getattr(source, "state_dict", None)):
        from fusion_kernels.sources.memory import open_module

        checkpoint = open_module(source, label=label or type(source).__name__)
    elif isinstance(source, (str, os.PathLike)):
        checkpoint = _open_text(os.fspath(source), label)
    else:
        raise ValueError(
            f"a model cannot be opened from {quoted(source)} (a {type(source).__name__}); expected a folder, a "
            ".safetensors "
            "file, a hub id, a mapping of tensors or a torch.nn.Module"
        )
    checkpoint.label_given = label is not None
    return checkpoint


def open_sources(models: Sequence[Any] | Mapping[str, Any]) -> list[Checkpoint]:
    """Opens several models, each under a label of its own.

    models: a sequence of sources (Checkpoints among them are taken as they are), or {label: source}. Labels that were
    given stay; the others become the shortest ends of their paths that tell them apart. Raises what open_source raises.
    """
    if isinstance(models, Mapping):
        return [open_source(source, label=str(label)) for label, source in models.items()]
    checkpoints = [open_source(source) for source in models]
    taken = {checkpoint.label for checkpoint in checkpoints if checkpoint.label_given}
    others = [checkpoint for checkpoint in checkpoints if not checkpoint.label_given]
    labels = model_labels([checkpoint if checkpoint.memory else checkpoint.source for checkpoint in others])
    for checkpoint, label in zip(others, labels, strict=True):
        checkpoint.label = label if label not in taken else f"{label} ({checkpoint.source})"
    return checkpoints


def _open_text(text: str, label: str | None) -> Checkpoint:
    from fusion_kernels.sources.folder import open_file, open_folder

    if not text.strip():
        raise ValueError("a model was given as an empty text; expected a folder, a .safetensors file or a hub id")
    path = Path(text).expanduser()
    if path.is_dir():
        return open_folder(path, label=label or path.resolve().name)
    if path.exists():
        return open_file(path, label=label or path.stem)
    if "+" in text:
        raise NotImplementedError(
            f"{quoted(text)} asks for a LoRA adapter ('model+adapter'), which is not available yet; merge the adapter "
            "into "
            "its model first (peft: merge_and_unload) and give that folder"
        )
    if text.endswith(".safetensors") or not _HUB_ID.fullmatch(text):
        raise FileNotFoundError(f"no folder or file {quoted(text, limit=300)}, and it is no hub id (org/name) either")
    from fusion_kernels.sources.hub import open_hub

    return open_hub(text, label=label)

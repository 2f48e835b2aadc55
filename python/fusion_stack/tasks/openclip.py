"""OpenCLIP: classification heads from files, and text features from a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_stack.tasks import TaskError

if TYPE_CHECKING:
    import torch


def read_head(task: str, path: str | os.PathLike[str]) -> torch.Tensor:
    """The weight (classes, D) of a classification head: safetensors, a state dict, or a pickled linear layer.

    The published heads (head_MNIST.pt and others of https://github.com/mlfoundations/task_vectors) are pickles of a
    class that nobody else has. Of a pickle only tensors and a linear layer are built; whatever else it would call is
    refused. Raises TaskError.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise TaskError(f"task {task!r}: no classification head in {file}; null computes one from the class names")
    try:
        head = _load(file)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise TaskError(f"task {task!r}: {file} cannot be read as a classification head: {reason}") from error
    state = head if isinstance(head, dict) else head.__dict__["_parameters"]
    weight = state.get("weight", state.get("head"))
    if weight is None or weight.ndim != 2:
        raise TaskError(f"task {task!r}: {file} has no matrix called weight, but {', '.join(map(str, state))}")
    if state.get("bias") is not None and state["bias"].any():
        raise TaskError(f"task {task!r}: the classification head in {file} has a bias; zero-shot heads have none")
    return weight.detach().float()  # type: ignore[no-any-return]


def _load(file: Path) -> Any:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    import torch

    class Head:
        """Takes the place of the pickled class, without its behaviour."""

    with torch.serialization.safe_globals([(Head, name) for name in _CLASSES]):
        return torch.load(file, map_location="cpu", weights_only=True)


_CLASSES = (
    "modeling.ClassificationHead",
    "src.modeling.ClassificationHead",
    "src.models.modeling.ClassificationHead",
    "src.heads.ClassificationHead",
    "heads.ClassificationHead",
)

"""Classification heads of OpenCLIP models, from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fusion_stack.tasks import TaskError

if TYPE_CHECKING:
    import torch


def read_head(task: str, path: str | os.PathLike[str]) -> torch.Tensor:
    """The weight (classes, D) of a classification head, float32: safetensors, a state dict, or a pickled linear layer.

    The published heads (head_MNIST.pt and others of https://github.com/mlfoundations/task_vectors) are pickles of a
    class that nobody else has; nothing that a pickle says is run. Raises TaskError.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise TaskError(f"task {task!r}: no classification head in {file}; null computes one from the class names")
    try:
        state = _tensors(file)
    except Exception as error:  # safetensors' own among them
        reason = " ".join(str(error).split())[:300]
        raise TaskError(f"task {task!r}: {file} cannot be read as a classification head: {reason}") from error
    weight, bias = state.get("weight", state.get("head")), state.get("bias")
    if weight is None or weight.ndim != 2:
        raise TaskError(f"task {task!r}: {file} has no matrix called weight, but {', '.join(state)}")
    if bias is not None and bias.any():
        raise TaskError(f"task {task!r}: the classification head in {file} has a bias; zero-shot heads have none")
    return weight.float()


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    from fusion_stack.pickled_modules import read_module

    return read_module(file)[0]

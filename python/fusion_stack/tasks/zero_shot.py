"""Zero-shot heads: the text features of class names, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_stack.tasks.classes import Classes
from fusion_stack.tasks.progress import progress

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


def zero_shot_head(
    text_features: Callable[[list[str]], torch.Tensor], classes: Classes, *, description: str = "zero-shot head"
) -> torch.Tensor:
    """Unit text features (classes, D), fp32: the mean over the templates of unit features, made unit again.

    text_features: from prompts to features (N, D). Radford et al. 2021, arXiv:2103.00020, section 3.1.4.
    """
    import torch
    from torch.nn.functional import normalize

    rows = []
    for name in progress(classes.classnames, description, unit="class"):
        features = normalize(text_features(classes.prompts(name)).float(), dim=-1)
        rows.append(normalize(features.mean(dim=0), dim=-1))
    return torch.stack(rows)


def cached_head(folder: Path, key: str, dataset: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
    """The head kept under `key` in a folder, made and kept where there is none.

    A file that cannot be read as one is replaced. Raises OSError, naming the way out, for a folder that takes no files.
    """
    from safetensors.torch import load_file, save_file

    path = folder / f"{dataset.replace('/', '_')}-{key[:16]}.safetensors"
    if path.is_file():
        try:
            return load_file(path)["head"]
        except Exception as error:  # safetensors' own, KeyError, OSError: whatever the file is, it is no head
            log.warning("the zero-shot head in %s cannot be read (%s); it is made anew", path, error)
    head = make().cpu().contiguous()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
        os.close(handle)
        save_file({"head": head}, temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            f"cannot keep a zero-shot head in {folder}: {error}; choose a folder: path.cache_dir=..."
        ) from error
    return head


def head_key(tower: str, classes: Classes) -> str:
    """A hash of what a head depends on. tower: the text tower's own hash."""
    digest = hashlib.blake2b(tower.encode(), digest_size=20)
    for text in (*classes.templates, "", *classes.classnames):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def module_hash(*modules: Any, extra: str = "") -> str:
    """A hash of the names, dtypes, shapes and bytes of all tensors of torch modules, and of a text."""
    import torch

    digest = hashlib.blake2b(extra.encode(), digest_size=20)
    for module in modules:
        for name, tensor in module.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

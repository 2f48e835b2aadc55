"""Short distinct names for the models of one merge."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_kernels.method_info import BaseRole

__all__ = ["is_local", "merged_labels", "model_labels", "portable_source", "same_source"]

_CACHED = re.compile(r"(?:^|/)models--([^/]+?)--([^/]+)/snapshots/[^/]+/?$")


def model_labels(sources: Sequence[Any]) -> list[str]:
    """One label per source, all distinct: its last path part, with as many parents as it takes to tell two apart.

    ``["org/math", "runs/a/model", "runs/b/model"]`` gives ``["math", "a/model", "b/model"]``. Revisions and numbers
    (``math@v2``, ``math#2``) come last. A source that is not text or a path is called ``model-1``, ``model-2``, ...
    """
    parts = [_parts(source) or [f"model-{index + 1}"] for index, source in enumerate(sources)]
    depths = [1] * len(parts)
    while True:
        labels = ["/".join(one[-depth:]) for one, depth in zip(parts, depths, strict=True)]
        shared = [i for i, label in enumerate(labels) if labels.count(label) > 1 and depths[i] < len(parts[i])]
        if not shared:
            break
        for index in shared:
            depths[index] += 1
    revisions = [_revision(source) for source in sources]
    labels = [
        f"{label}@{revision}" if revision and labels.count(label) > 1 else label
        for label, revision in zip(labels, revisions, strict=True)
    ]
    distinct: list[str] = []
    for label in labels:
        # A number must not make a label that another source already has.
        numbered = (label if n == 1 else f"{label}#{n}" for n in count(1))
        distinct.append(next(one for one in numbered if one not in distinct and (one == label or one not in labels)))
    return distinct


def merged_labels(models: Mapping[str, Any], base: Any, role: BaseRole) -> dict[str, Any]:
    """The models that are merged: without the base where it is also listed, unless the method has no use for a base."""
    if role == "ignored" or base is None:
        return dict(models)
    return {label: source for label, source in models.items() if not same_source(source, base)}


def same_source(one: Any, other: Any) -> bool:
    """Whether two sources are the same model as written: the same object, or the same path or hub id."""
    if one is other:
        return True
    if not isinstance(one, (str, os.PathLike)) or not isinstance(other, (str, os.PathLike)):
        return False
    return os.path.normpath(os.fspath(one)) == os.path.normpath(os.fspath(other))


def is_local(source: str) -> bool:
    """Whether a source is a path on this machine rather than a hub id (``name`` or ``org/name``)."""
    path = source.partition("@")[0]
    return (
        os.path.exists(source)
        or os.path.isabs(source)
        or source.startswith((".", "~"))
        or path.count("/") > 1
        or path.endswith((".safetensors", "/"))
    )


def portable_source(source: str, label: str) -> str:
    """The source as others may read it: a hub id stays (also one given as its cache folder), a path becomes a name."""
    cached = _CACHED.search(source)
    if cached:
        return f"{cached[1]}/{cached[2]}"
    if not is_local(source):
        return source
    return label + (".safetensors" if source.endswith(".safetensors") and not label.endswith(".safetensors") else "")


def _parts(source: Any) -> list[str]:
    if not isinstance(source, (str, os.PathLike)):
        return []
    text = os.fspath(source)
    cached = _CACHED.search(text)
    if cached:
        return [cached[1], cached[2]]
    if not os.path.exists(text):
        text = text.partition("@")[0]
    elif PurePath(text).name in ("", ".", ".."):
        text = str(Path(text).resolve())
    parts = [part for part in PurePath(os.path.normpath(text)).parts if part not in ("/", ".", "..")]
    if parts:
        parts[-1] = parts[-1].removesuffix(".safetensors")
    # Nothing is told by "model.safetensors", the name every single-file folder uses.
    return parts[:-1] if len(parts) > 1 and parts[-1] == "model" and text.endswith(".safetensors") else parts


def _revision(source: Any) -> str:
    return source.partition("@")[2] if isinstance(source, str) and not os.path.exists(source) else ""

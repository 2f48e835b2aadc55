"""Cuts a model into parts that are merged by different rules, and joins the results into one folder.

A key such as `merge_backbone` or `remove_keys` says which tensors the method works on; the others are the base's, or
averaged. A statistic over the whole model is then one over the method's own part.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fusion_kernels
from fusion_kernels.sources import Checkpoint, open_source

INDEX = "model.safetensors.index.json"
_LAYER = re.compile(r"(^|\.)(layers|h|blocks?|layer)\.\d+\.")


@dataclass(frozen=True)
class Part:
    """Tensors merged by one method. `names`: of the tensors, None for all. `base_only`: only the base takes part."""

    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    names: Collection[str] | None = None
    base_only: bool = False


def is_backbone(name: str) -> bool:
    """Whether a tensor belongs to the stack of decoder layers; embeddings, final norm and head do not."""
    return _LAYER.search(name) is not None


def merge_part(
    part: Part, models: Mapping[str, Checkpoint], base: Checkpoint | None, *, plan: bool = False, **options: Any
) -> Any:
    """What fusion_kernels.merge, or fusion_kernels.plan, returns for one part."""
    if part.base_only:
        assert base is not None
        models, base = {"_pretrained_": base}, None
    if part.names is not None:
        wanted = frozenset(part.names)
        models = {name: _restricted(model, wanted) for name, model in models.items()}
        base = None if base is None else _restricted(base, wanted)
    call: Any = fusion_kernels.plan if plan else fusion_kernels.merge
    return call(models, base=base, method=part.method, parameters=part.parameters, **options)


def join(folders: list[Path], output: Path) -> None:
    """Makes one model of folders that hold parts of it; companions are the first folder's. The parts are moved.

    Nothing is at `output` before all of it is there, except where a folder of that name is replaced file by file.
    """
    staging = folders[0]
    weight_map: dict[str, str] = {}
    total = 0
    files = [file for folder in folders for file in sorted(folder.glob("*.safetensors"))]
    for number, file in enumerate(files):
        name = f"model-{number + 1:05d}-of-{len(files):05d}.safetensors"
        tensors = open_source(file.rename(staging / name)).tensors
        weight_map |= dict.fromkeys(tensors, name)
        total += sum(info.nbytes for info in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (staging / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    if output.exists():
        shutil.rmtree(output)
    staging.rename(output)


def _restricted(model: Checkpoint, names: frozenset[str]) -> Checkpoint:
    part = copy.copy(model)
    part.tensors = {name: info for name, info in model.tensors.items() if name in names}
    return part

"""Writes safetensors files and folders by hand, valid or not, for tests of their readers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ITEMSIZE = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def entry(dtype: Any, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def entries(shapes: Mapping[str, Sequence[int]], dtype: str = "F32") -> tuple[dict[str, Any], int]:
    """Entries that follow each other without a gap, and the size of their data in bytes."""
    result, offset = {}, 0
    for name, shape in shapes.items():
        nbytes = ITEMSIZE[dtype]
        for size in shape:
            nbytes *= size
        result[name] = entry(dtype, list(shape), offset, offset + nbytes)
        offset += nbytes
    return result, offset


def write_raw(path: Path, header: bytes, data_bytes: int, *, length: int | None = None) -> Path:
    """A file of a length field, `header`, and a hole of `data_bytes` zeros (which takes no disk)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write((len(header) if length is None else length).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + data_bytes)
    return path


def write_file(path: Path, shapes: Mapping[str, Sequence[int]], dtype: str = "F32") -> Path:
    header, data_bytes = entries(shapes, dtype)
    return write_raw(path, json.dumps(header).encode(), data_bytes)


def write_sharded(folder: Path, shards: Mapping[str, Mapping[str, Sequence[int]]], dtype: str = "F32") -> Path:
    """A folder of shards {file: {tensor: shape}} with their index."""
    for file, shapes in shards.items():
        write_file(folder / file, shapes, dtype)
    return write_index(folder, {name: file for file, shapes in shards.items() for name in shapes})


def write_index(folder: Path, weight_map: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder

"""The same bits whatever the shards: how inputs are split, in which order, and how the output is cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cases import BLOCK, Case, Tensors
from oracle.formats import FORMATS

import fusion_kernels

TENSORS = {
    "embed.weight": Case((37, 129), "fine_tunes"),
    "layers.0.weight": Case((2 * BLOCK + 5,), "heavy_ties"),
    "layers.1.weight": Case((61, 17), "fine_tunes"),
    "layers.1.bias": Case((61,), "zero_deltas"),
    "norm.weight": Case((), "fine_tunes"),
    "unused.weight": Case((0,), "fine_tunes"),
}
METHODS: dict[str, dict] = {
    "linear": {"weight": [1.0, 0.5, 2.0]},
    "task_arithmetic": {"weight": 0.4},
    "ties": {"weight": 1.0, "density": 0.3},
    "slerp": {"t": 0.3},
    "passthrough": {},
}
LAYOUTS = ("one file", "three shards", "a file per tensor", "reversed shards", "a different layout per model")

Stored = dict[str, tuple[str, tuple[int, ...], bytes]]


def write_safetensors(path: Path, tensors: Stored) -> None:
    """A safetensors file written by hand: its tensors in the order given, its header unpadded."""
    header, offset = {}, 0
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(content for _, _, content in tensors.values()))


def read_output(folder: Path) -> Stored:
    """Every tensor of a folder of safetensors files."""
    found: Stored = {}
    for path in sorted(folder.glob("*.safetensors")):
        content = path.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        for name, entry in json.loads(content[8:start]).items():
            if name != "__metadata__":
                first, last = entry["data_offsets"]
                found[name] = (entry["dtype"], tuple(entry["shape"]), content[start + first : start + last])
    return found


def write_checkpoint(folder: Path, tensors: Stored, layout: str, turn: int) -> Path:
    """The tensors in one of LAYOUTS; `turn` numbers the checkpoint, for the layout that differs between them."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    names = list(tensors)
    if layout == "a different layout per model":
        layout = LAYOUTS[turn % 4]
    shards: Sequence[list[str]] = {
        "one file": [names],
        "three shards": [names[:2], names[2:3], names[3:]],
        "a file per tensor": [[name] for name in names],
        "reversed shards": [names[3:][::-1], names[:3][::-1]],
    }[layout]
    if len(shards) == 1:
        write_safetensors(folder / "model.safetensors", tensors)
        return folder
    files = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    for file, shard in zip(files, shards, strict=True):
        write_safetensors(folder / file, {name: tensors[name] for name in shard})
    weight_map = {name: file for file, shard in zip(files, shards, strict=True) for name in shard}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def checkpoints(root: Path, layout: str, dtype: str) -> list[Path]:
    """The base and three models."""
    tensors = {name: case.tensors(dtype) for name, case in TENSORS.items()}

    def stored(codes_of: object) -> Stored:
        return {name: (dtype, t.shape, codes_of(t).tobytes()) for name, t in tensors.items()}  # type: ignore[operator]

    picks = [lambda t: t.base, *((lambda t, i=i: t.models[i]) for i in range(3))]
    return [write_checkpoint(root / f"model{i}", stored(pick), layout, i) for i, pick in enumerate(picks)]


def merged(root: Path, method: str, layout: str, dtype: str = "BF16", **options: object) -> Stored:
    base, *models = checkpoints(root, layout, dtype)
    count = {"slerp": 1, "passthrough": 1}.get(method, 3)
    needs_base = method in ("task_arithmetic", "ties", "slerp")
    arguments = {**METHODS[method], **options}
    fusion_kernels.merge(
        [str(m) for m in models[:count]], base=str(base) if needs_base else None, method=method,
        output=str(root / "out"), **arguments,
    )  # fmt: skip
    return read_output(root / "out")


@pytest.mark.parametrize("layout", LAYOUTS[1:])
@pytest.mark.parametrize("method", METHODS)
def test_how_inputs_are_sharded_does_not_show(method: str, layout: str, tmp_path: Path) -> None:
    assert merged(tmp_path / "a", method, layout) == merged(tmp_path / "b", method, "one file")


@pytest.mark.parametrize(
    "limits", [{"max_shard_size": "10KB"}, {"memory_limit": "16MiB", "threads": 1}, {"threads": 5}]
)
@pytest.mark.parametrize("method", METHODS)
def test_how_the_output_is_cut_and_computed_does_not_show(method: str, limits: dict, tmp_path: Path) -> None:
    whole = merged(tmp_path / "a", method, "one file")
    assert merged(tmp_path / "b", method, "three shards", **limits) == whole
    assert set(whole) == set(TENSORS)
    if "max_shard_size" in limits:
        assert len(list((tmp_path / "b" / "out").glob("*.safetensors"))) > 1


@pytest.mark.parametrize("dtype", ["F32", "F16", "F64"])
@pytest.mark.parametrize("method", METHODS)
def test_memory_gives_the_bits_of_the_disk(method: str, dtype: str, tmp_path: Path) -> None:
    from_disk = merged(tmp_path, method, "three shards", dtype)
    needs_base = method in ("task_arithmetic", "ties", "slerp")
    count = {"slerp": 1, "passthrough": 1}.get(method, 3)
    number = np.dtype(f"f{FORMATS[dtype].bits // 8}")
    for name, case in TENSORS.items():
        tensors: Tensors = case.tensors(dtype)
        arrays = [codes.view(number) for codes in tensors.models[:count]]
        base = tensors.base.view(number) if needs_base else None
        result = fusion_kernels.merge_tensors(arrays, base=base, method=method, **METHODS[method])
        assert np.asarray(result).tobytes() == from_disk[name][2], name

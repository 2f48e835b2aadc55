"""Makes bf16 checkpoints to measure with: a base and its fine-tunes, shaped like Llama, streamed to disk.

Weights have a standard deviation of 0.02, what a fine-tune adds one of 0.001, added in fp32 and rounded to bf16 once,
so that deltas show the many equal values of real 16-bit fine-tunes. Every chunk has its own seed: the bytes depend on
neither threads nor order. Finished sets are kept and found again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

import numpy as np

CHUNK = 1 << 22  # elements drawn at a time
BF16 = 2  # bytes
WEIGHT_SPREAD = 0.02
DELTA_SPREAD = 0.001

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Llama:
    """The sizes a Llama is made of."""

    hidden: int
    intermediate: int
    layers: int
    vocabulary: int
    heads: int
    key_value_heads: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Tensor names and shapes, in the order of a transformers checkpoint; the head is not tied."""
        narrow = self.hidden // self.heads * self.key_value_heads
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, self.hidden)}
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}"
            shapes |= {
                f"{prefix}.self_attn.q_proj.weight": (self.hidden, self.hidden),
                f"{prefix}.self_attn.k_proj.weight": (narrow, self.hidden),
                f"{prefix}.self_attn.v_proj.weight": (narrow, self.hidden),
                f"{prefix}.self_attn.o_proj.weight": (self.hidden, self.hidden),
                f"{prefix}.mlp.gate_proj.weight": (self.intermediate, self.hidden),
                f"{prefix}.mlp.up_proj.weight": (self.intermediate, self.hidden),
                f"{prefix}.mlp.down_proj.weight": (self.hidden, self.intermediate),
                f"{prefix}.input_layernorm.weight": (self.hidden,),
                f"{prefix}.post_attention_layernorm.weight": (self.hidden,),
            }
        return shapes | {"model.norm.weight": (self.hidden,), "lm_head.weight": (self.vocabulary, self.hidden)}

    def config(self) -> dict[str, object]:
        """A config.json that transformers reads."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_value_heads,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
        }


TINY = Llama(64, 176, 1, 512, 4, 2)
LLAMA_70B = Llama(8192, 28672, 80, 128256, 64, 8)


def llama(billions: float) -> Llama:
    """The Llama whose number of parameters comes nearest: TinyLlama's proportions, layers to fit."""
    if billions < 0.005:
        return TINY
    wide = (4096, 11008, 32000, 32, 32) if billions >= 4 else (2048, 5632, 32000, 32, 4)
    hidden, intermediate, vocabulary, heads, narrow = wide if billions >= 0.2 else (512, 1408, 8000, 8, 2)
    sized = [Llama(hidden, intermediate, layers, vocabulary, heads, narrow) for layers in range(1, 81)]
    return min(sized, key=lambda shape: abs(parameters(shape.shapes()) - billions * 1e9))


def parameters(shapes: Shapes) -> int:
    """How many elements the tensors have together."""
    return sum(map(prod, shapes.values()))


@dataclass(frozen=True)
class CheckpointSet:
    """A base and its fine-tunes on disk."""

    base: Path
    models: tuple[Path, ...]
    parameters: int

    def files(self, folders: tuple[Path, ...]) -> list[Path]:
        """The weight files of some of the folders, in order."""
        return [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]


def make(
    root: Path, shapes: Shapes, *, models: int, config: dict[str, object], shards: int = 3, seed: int = 0
) -> CheckpointSet:
    """Write the base and `models` fine-tunes below `root`, unless they are there already."""
    folders = [root / "base", *(root / f"model{i}" for i in range(1, models + 1))]
    found = CheckpointSet(folders[0], tuple(folders[1:]), parameters(shapes))
    recipe = {"shapes": {k: list(v) for k, v in shapes.items()}, "models": models, "shards": shards, "seed": seed}
    stamp = root / "complete.json"
    if stamp.exists() and json.loads(stamp.read_text()) == recipe:
        return found
    stamp.unlink(missing_ok=True)
    layout = _layout(shapes, shards)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.safetensors*"):
            old.unlink()
        (folder / "config.json").write_text(json.dumps(config, indent=2))
        _write_headers(folder, layout, sparse=False)
    _fill(folders, layout, seed)
    stamp.write_text(json.dumps(recipe))
    return found


def make_sparse(root: Path, shapes: Shapes, *, models: int, config: dict[str, object], shards: int) -> CheckpointSet:
    """Checkpoints of real headers and no data: files with holes, which only a plan may read."""
    folders = [root / "base", *(root / f"model{i}" for i in range(1, models + 1))]
    layout = _layout(shapes, shards)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2))
        _write_headers(folder, layout, sparse=True)
    return CheckpointSet(folders[0], tuple(folders[1:]), parameters(shapes))


@dataclass(frozen=True)
class _Placed:
    """Where a tensor lies: in which file, from which byte of its data."""

    file: str
    name: str
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        return self.start + BF16 * prod(self.shape)


def _layout(shapes: Shapes, shards: int) -> list[_Placed]:
    """Tensors in order, cut into about equal files."""
    goal = parameters(shapes) * BF16 / shards
    cut: list[list[tuple[str, tuple[int, ...], int]]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        if filled >= goal and len(cut) < shards:
            cut.append([])
            filled = 0
        cut[-1].append((name, shape, filled))
        filled += BF16 * prod(shape)
    names = [f"model-{i:05d}-of-{len(cut):05d}.safetensors" for i in range(1, len(cut) + 1)]
    names = ["model.safetensors"] if len(cut) == 1 else names
    return [_Placed(file, *tensor) for file, tensors in zip(names, cut, strict=True) for tensor in tensors]


def _header(tensors: list[_Placed]) -> bytes:
    entries = {t.name: {"dtype": "BF16", "shape": t.shape, "data_offsets": [t.start, t.stop]} for t in tensors}
    text = json.dumps({"__metadata__": {"format": "pt"}, **entries}, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    return len(text).to_bytes(8, "little") + text


def _by_file(layout: list[_Placed]) -> dict[str, list[_Placed]]:
    files: dict[str, list[_Placed]] = {}
    for tensor in layout:
        files.setdefault(tensor.file, []).append(tensor)
    return files


def _write_headers(folder: Path, layout: list[_Placed], *, sparse: bool) -> None:
    """Each file with its header and its full length; the index where there is more than one."""
    files = _by_file(layout)
    for file, tensors in files.items():
        header = _header(tensors)
        with open(folder / file, "wb") as stream:
            stream.write(header)
            stream.truncate(len(header) + tensors[-1].stop)
            if not sparse:
                os.posix_fallocate(stream.fileno(), 0, len(header) + tensors[-1].stop)
    if len(files) > 1:
        index = {
            "metadata": {"total_size": sum(t.stop - t.start for t in layout)},
            "weight_map": {tensor.name: tensor.file for tensor in layout},
        }
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _fill(folders: list[Path], layout: list[_Placed], seed: int) -> None:
    """Draw every tensor chunk by chunk and put it in its place in every checkpoint."""
    starts = {file: len(_header(tensors)) for file, tensors in _by_file(layout).items()}
    opened = {(f, file): os.open(folder / file, os.O_WRONLY) for f, folder in enumerate(folders) for file in starts}

    def write(work: tuple[_Placed, int, int]) -> None:
        tensor, first, size = work
        place = starts[tensor.file] + tensor.start + BF16 * first
        for f, codes in enumerate(_draw(tensor, first, size, len(folders), seed)):
            os.pwrite(opened[f, tensor.file], codes, place)

    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(write, _chunks(layout)):
                pass
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _chunks(layout: list[_Placed]) -> Iterator[tuple[_Placed, int, int]]:
    for tensor in layout:
        size = prod(tensor.shape)
        for first in range(0, size, CHUNK):
            yield tensor, first, min(CHUNK, size - first)


def _draw(tensor: _Placed, first: int, size: int, checkpoints: int, seed: int) -> Iterator[np.ndarray]:
    """The codes of one chunk: of the base, then of every fine-tune."""
    name = zlib.crc32(tensor.name.encode())
    values = np.random.default_rng([seed, name, first, 0]).standard_normal(size, dtype=np.float32)
    values *= np.float32(WEIGHT_SPREAD)
    if len(tensor.shape) == 1:  # the scale of a norm
        values += np.float32(1)
    base = _to_bf16(values)
    yield base
    start = (base.astype(np.uint32) << 16).view(np.float32)
    for model in range(1, checkpoints):
        values = np.random.default_rng([seed, name, first, model]).standard_normal(size, dtype=np.float32)
        values *= np.float32(DELTA_SPREAD)
        values += start
        yield _to_bf16(values)


def _to_bf16(values: np.ndarray) -> np.ndarray:
    """Finite fp32 values rounded to nearest even; `values` is used up."""
    bits = values.view(np.uint32)
    odd = (bits >> 16) & np.uint32(1)
    bits += odd
    bits += np.uint32(0x7FFF)
    return (bits >> 16).astype(np.uint16)


def describe(shape: Llama) -> dict[str, object]:
    """The shape as results state it."""
    return {**asdict(shape), "parameters": parameters(shape.shapes()), "tensors": len(shape.shapes())}

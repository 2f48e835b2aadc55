"""Lays out the output checkpoint: which tensor goes to which file, at which byte, under which header.

The whole layout is known from names, dtypes and shapes alone, so files are written in place and no shard is ever held
in memory. Files follow Hugging Face's conventions: `model.safetensors`, or `model-00001-of-0000N.safetensors` with
`model.safetensors.index.json` beside them when there is more than one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

HEADER_ALIGNMENT = 64  # the format asks for 8; a cache line keeps every first tensor aligned for wide loads
LARGEST_HEADER = 100_000_000  # the safetensors library refuses longer headers
SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


class OutputTensor(NamedTuple):
    """One tensor to be written: its name, safetensors dtype code, shape and size in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int


class Place(NamedTuple):
    """Where a tensor's bytes go: index of the file in `Layout.shards`, byte offset from the file's start."""

    shard: int
    offset: int


@dataclass(frozen=True)
class Shard:
    """One output file: its name, its complete header (length field included) and its final size in bytes."""

    file: str
    header: bytes
    size: int


@dataclass(frozen=True)
class Layout:
    """Every file of the output's weights. `places[i]` belongs to the i-th tensor given to `lay_out`."""

    shards: tuple[Shard, ...]
    places: list[Place]
    index: str | None
    total_size: int

    @property
    def files(self) -> list[str]:
        """Names of the weight files in the order in which they are published: the index, if any, last."""
        return [shard.file for shard in self.shards] + ([INDEX_FILE] if self.index is not None else [])

    @property
    def nbytes(self) -> int:
        """Bytes of all weight files together, headers and index included."""
        return sum(shard.size for shard in self.shards) + len((self.index or "").encode())


def lay_out(tensors: Sequence[OutputTensor], *, max_shard_size: int, single_file: str | None = None) -> Layout:
    """Cut `tensors`, in their order, into files of at most `max_shard_size` bytes of weights.

    A tensor larger than that gets a file of its own. With `single_file` everything goes to the one file of that name.
    Raises ValueError if a header would be too long for the safetensors library.
    """
    groups: list[list[int]] = [[]]
    filled = 0
    for index, tensor in enumerate(tensors):
        if single_file is None and groups[-1] and filled + tensor.nbytes > max_shard_size:
            groups.append([])
            filled = 0
        groups[-1].append(index)
        filled += tensor.nbytes

    places: list[Place] = [Place(0, 0)] * len(tensors)
    shards = []
    for number, group in enumerate(groups):
        file = single_file or (
            SINGLE_FILE if len(groups) == 1 else f"model-{number + 1:05d}-of-{len(groups):05d}.safetensors"
        )
        # Wider elements first: every tensor then starts at a multiple of its element size.
        group.sort(key=lambda index: -_alignment(tensors[index]))
        header, offsets, size = _header([tensors[index] for index in group])
        if len(header) > LARGEST_HEADER:
            raise ValueError(
                f"{file}: the header of {len(group)} tensors would take {len(header)} bytes, more than the "
                f"{LARGEST_HEADER} that safetensors readers accept; choose a smaller max_shard_size"
            )
        for index, offset in zip(group, offsets, strict=True):
            places[index] = Place(number, offset)
        shards.append(Shard(file, header, size))

    total_size = sum(tensor.nbytes for tensor in tensors)
    index_text = None
    if len(shards) > 1:
        files = {tensor.name: shards[place.shard].file for tensor, place in zip(tensors, places, strict=True)}
        index_text = json.dumps({"metadata": {"total_size": total_size}, "weight_map": files}, indent=2, sort_keys=True)
        index_text += "\n"
    return Layout(tuple(shards), places, index_text, total_size)


def _alignment(tensor: OutputTensor) -> int:
    digits = re.search(r"\d+", tensor.dtype)  # "BF16" -> 16, "F8_E4M3" -> 8, "BOOL" -> none
    return int(digits[0]) if digits else 8


def _header(tensors: Iterable[OutputTensor]) -> tuple[bytes, list[int], int]:
    """The file's first bytes, each tensor's offset in the file, and the file's size."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begins = []
    end = 0
    for name, dtype, shape, nbytes in tensors:
        begins.append(end)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": (end, end + nbytes)}
        end += nbytes
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % HEADER_ALIGNMENT)
    start = 8 + len(text)
    return len(text).to_bytes(8, "little") + text, [start + begin for begin in begins], start + end

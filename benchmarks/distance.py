"""How far a merged checkpoint is from the oracle, on a sample of its tensors."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from checkpoints import CheckpointSet
from contenders import merged_models

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from cases import Tensors
from engine_calls import Merge, run_oracle, wider
from oracle.formats import decode, encode

from fusion_kernels.bench.methods import Method, settings

SEED = 0  # of a merge for which nobody says another
LARGEST = 1 << 24  # elements; the oracle holds a whole tensor of every model in float64


class Reader:
    """The bf16 tensors of one checkpoint folder, read one at a time."""

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, tuple[Path, int, tuple[int, ...]]] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with open(path, "rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                header = json.loads(stream.read(length))
            for name, entry in header.items():
                if name != "__metadata__":
                    assert entry["dtype"] == "BF16", f"{path}: {name} is {entry['dtype']}, expected BF16"
                    self._places[name] = path, 8 + length + entry["data_offsets"][0], tuple(entry["shape"])

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for name, (_, _, shape) in self._places.items()}

    def codes(self, name: str) -> np.ndarray:
        path, offset, shape = self._places[name]
        return np.fromfile(path, dtype=np.uint16, count=prod(shape), offset=offset)


@dataclass
class Distance:
    """What differs from the oracle's float64 result rounded once to bf16."""

    elements: int = 0
    differing: int = 0  # stored codes that are not the correctly rounded ones
    undocumented: int = 0  # stored codes that are not those of the documented operations
    largest: float = 0.0
    squares: float = 0.0

    def add(self, codes: np.ndarray, truth: np.ndarray, documented: np.ndarray) -> None:
        difference = np.abs(decode(codes, "BF16") - decode(truth, "BF16"))
        self.elements += codes.size
        self.differing += int(np.count_nonzero(codes != truth))
        self.undocumented += int(np.count_nonzero(codes != documented))
        self.largest = max(self.largest, float(difference.max(initial=0.0)))
        self.squares += float(np.square(difference).sum())

    def as_dict(self) -> dict[str, float]:
        return {
            "elements": self.elements,
            "share_differing": self.differing / self.elements,
            "share_undocumented": self.undocumented / self.elements,
            "largest": self.largest,
            "root_mean_square": (self.squares / self.elements) ** 0.5,
        }


def sample(shapes: dict[str, tuple[int, ...]], count: int) -> list[str]:
    """Up to `count` tensors spread over the sizes, the smallest and the largest the oracle can hold among them."""
    names = sorted((n for n, s in shapes.items() if prod(s) <= LARGEST), key=lambda n: (prod(shapes[n]), n))
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[i] for i in dict.fromkeys(places.tolist())]


def distances(
    method: Method, checkpoints: CheckpointSet, outputs: dict[str, Path], count: int
) -> tuple[list[str], dict[str, Distance]]:
    """The sampled names, and for every output folder its distance from the oracle."""
    base = Reader(checkpoints.base)
    models = [Reader(path) for path in merged_models(method, checkpoints)]
    readers = {label: Reader(folder) for label, folder in outputs.items()}
    found = {label: Distance() for label in outputs}
    names = sample(base.shapes(), count)
    for name in names:
        start = base.codes(name)
        codes = [model.codes(name) for model in models]
        if method.name == "slerp":
            codes = [start, *codes]
        tensors = Tensors(name, base.shapes()[name], "BF16", "BF16", start, ["BF16"] * len(codes), codes)
        merge = Merge(tensors, settings(method.name, len(codes)), name, method.reads_base and method.name != "slerp")
        truth = encode(run_oracle(method.name, merge, wider, SEED).value, "BF16")
        documented = encode(run_oracle(method.name, merge, lambda compute: compute, SEED).value, "BF16")
        for label, reader in readers.items():
            found[label].add(reader.codes(name), truth, documented)
    return names, found

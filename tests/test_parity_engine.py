"""The same bits whatever carries the merge out: instruction set, threads, tile size, memory limit, file or memory.

One axis varied at a time, then a pairwise set, in which every two values of two axes meet at least once.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cases import BLOCK, Case
from engine_calls import SEED, Merge, differing, merges_of, model_count, registered, rows_and_columns, run_engine

from fusion_kernels._native import native

SCARCE = 2 << 20  # bytes: the engine must do with smaller tiles and fewer threads
SCARCE_ROWS = 12 << 20  # where it takes rows whole: the longest has 150,011 elements

AXES: dict[str, tuple[object, ...]] = {
    "instruction_set": tuple(native().instruction_sets()),
    "threads": (1, 2, 5),
    "tile_elements": (BLOCK, 2 * BLOCK, 16 * BLOCK),
    "memory_limit": (16 << 20, 64 << 20, 1 << 30),
}

# Sizes on both sides of a block and of a tile, some of several tiles, one no multiple of anything.
WORKLOAD = [
    *(Case((size,), "everything", 3) for size in (1, 7, 15, 17, 63, 65, BLOCK - 1, BLOCK + 1, 50_021)),
    *(
        Case((BLOCK + 13,), values, 4)
        for values in ("heavy_ties", "zero_deltas", "all_equal", "subnormals", "huge", "not_a_number")
    ),
    *(Case((9_001,), "fine_tunes", models) for models in (1, 2, 3, 5, 9)),
    *(Case(shape, "heavy_ties", 3) for shape in ((301, 41), (BLOCK + 3, 1), (1, BLOCK + 9), (2, 3, 700))),
    Case((5, BLOCK + 9), "not_a_number", 4),
    Case((3, 70_001), "fine_tunes", 2),
    Case((150_011,), "heavy_ties", 3),
    Case((), "fine_tunes", 2),
    Case((0,), "fine_tunes", 2),
]
DTYPES = (
    ("BF16", "BF16", ("BF16",)),
    ("F32", "F32", ("F32",)),
    ("F16", "F16", ("F16",)),
    ("F64", "F64", ("F64",)),
    ("F8_E4M3", "F8_E4M3", ("F8_E4M3",)),
    ("F8_E5M2", "F8_E5M2", ("F8_E5M2",)),
    ("BF16", "F32", ("F16", "BF16", "F8_E5M2")),
)


@cache
def workload(method: str) -> list[Merge]:
    """Every case of the workload, dtypes and parameter sets taken in turn so that each meets many of the others."""
    dtypes = itertools.cycle(DTYPES)
    turn = itertools.count()
    merges = []
    for case in [*WORKLOAD, *WORKLOAD]:
        fitted = Case(case.shape, case.values, model_count(method, case.models))
        variants = merges_of(method, fitted.tensors(*next(dtypes)))
        merges += [variants[next(turn) % len(variants)] for _ in range(2)]
    return [replace(merge, name=f"{merge.tensors.name}/{index}") for index, merge in enumerate(merges)]


@cache
def reference(method: str) -> list[np.ndarray]:
    """The bits of a run that leaves every choice to the engine."""
    return run_engine(method, workload(method))[0]


def assert_same_bits(method: str, outputs: list[np.ndarray], options: dict) -> None:
    for merge, expected, got in zip(workload(method), reference(method), outputs, strict=True):
        found = differing(got, expected)
        assert not found, f"{merge.tensors.name} -> {merge.tensors.output}, {merge.parameters}, {options}: {found}"


def pairwise(axes: dict[str, tuple[object, ...]]) -> Iterator[dict[str, object]]:
    """Rows that bring every two values of two axes together, chosen greedily."""
    names = list(axes)
    rows = [dict(zip(names, values, strict=True)) for values in itertools.product(*axes.values())]
    pairs = [set(itertools.combinations(row.items(), 2)) for row in rows]
    missing = set().union(*pairs)
    while missing:
        best = max(range(len(rows)), key=lambda i: len(pairs[i] & missing))
        missing -= pairs[best]
        yield rows[best]


def label(options: dict[str, object]) -> str:
    return "-".join(f"{name}={value}" for name, value in options.items())


ONE_AT_A_TIME = [{name: value} for name, values in AXES.items() for value in values]
PAIRWISE = list(pairwise(AXES))


@pytest.mark.parametrize("options", [*ONE_AT_A_TIME, *PAIRWISE], ids=label)
@pytest.mark.parametrize("method", registered())
def test_how_it_is_computed_does_not_show(method: str, options: dict[str, object]) -> None:
    assert_same_bits(method, run_engine(method, workload(method), **options)[0], options)


@pytest.mark.parametrize("method", registered())
def test_little_memory_does_not_show(method: str) -> None:
    takes_rows = method in ("della", "della_linear", "model_stock", "nuslerp")
    options = {"memory_limit": SCARCE_ROWS if takes_rows else SCARCE}
    assert_same_bits(method, run_engine(method, workload(method), **options)[0], options)


@pytest.mark.parametrize("method", registered())
def test_a_second_run_gives_the_same_bits(method: str) -> None:
    assert_same_bits(method, run_engine(method, workload(method), threads=5)[0], {"run": 2})


@pytest.mark.parametrize("method", registered())
def test_files_and_memory_give_the_same_bits(method: str, tmp_path: Path) -> None:
    """Every input in one file at odd offsets, every output in another."""
    merges = workload(method)
    _, inputs_end = _written(merges, tmp_path / "inputs")
    parameter_sets = [merge.parameters for merge in merges]
    jobs, output_places = _file_jobs(merges)
    source = os.open(tmp_path / "inputs", os.O_RDONLY)
    target = os.open(tmp_path / "outputs", os.O_RDWR | os.O_CREAT)
    try:
        assert os.fstat(source).st_size == inputs_end
        native().execute(method, jobs, parameter_sets, [source, target], allow_nonfinite=True, threads=2, seed=SEED)
    finally:
        os.close(source)
        os.close(target)
    stored = (tmp_path / "outputs").read_bytes().ljust(output_places[-1][1], b"\0")
    outputs = [
        np.frombuffer(stored[start:stop], dtype=expected.dtype)
        for (start, stop), expected in zip(output_places, reference(method), strict=True)
    ]
    assert_same_bits(method, outputs, {"buffers": "files"})


def _layout(merges: list[Merge]) -> Iterator[tuple[int, list[int], int]]:
    """Per merge: where its base, its models and its output lie; one odd byte before each input."""
    read = written = 0
    for merge in merges:
        read += 1
        base, read = read, read + merge.tensors.base.nbytes
        models = []
        for codes in merge.tensors.models:
            models.append(read)
            read += codes.nbytes
        yield base, models, written
        written += merge.tensors.base.size * reference_itemsize(merge)


def reference_itemsize(merge: Merge) -> int:
    return {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}.get(merge.tensors.output, 1)


def _written(merges: list[Merge], path: Path) -> tuple[Path, int]:
    content = bytearray()
    for merge in merges:
        content += b"\x7f" + merge.tensors.base.tobytes() + b"".join(codes.tobytes() for codes in merge.tensors.models)
    path.write_bytes(content)
    return path, len(content)


def _file_jobs(merges: list[Merge]) -> tuple[list[tuple], list[tuple[int, int]]]:
    jobs, places = [], []
    for index, (merge, (base, models, output)) in enumerate(zip(merges, _layout(merges), strict=True)):
        tensors = merge.tensors
        rows, columns = rows_and_columns(tensors.shape)
        places.append((output, output + tensors.base.size * reference_itemsize(merge)))
        jobs.append(
            (
                "merge", merge.name, rows, columns, index,
                (1, output, tensors.output),
                (0, base, tensors.base_dtype) if merge.with_base else None,
                [(0, offset, dtype) for offset, dtype in zip(models, tensors.model_dtypes, strict=True)],
            )
        )  # fmt: skip
    return jobs, places

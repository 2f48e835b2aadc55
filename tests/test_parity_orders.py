"""Which thread of a block goes first does not show: a barrier that was missing would."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cases import Case
from device_calls import run_on_device
from emulated_gpus import FORWARD, RANDOM, REVERSE, emulated_gpus, needs_emulator
from engine_calls import Merge, differing, merges_of, run_engine
from oracle import ORACLES

pytestmark = needs_emulator

CHUNK = 16384  # elements that a block of threads takes at once
TIES = ORACLES["ties"].EXAMPLE.parameters
ORDERS = [(FORWARD, 0), (REVERSE, 0), (RANDOM, 1)]


def assert_same_bits_in(order: tuple[int, int], method: str, merges: list[Merge]) -> None:
    merges = [replace(merge, name=f"{merge.name}/{index}") for index, merge in enumerate(merges)]
    expected, _ = run_engine(method, merges)
    with emulated_gpus(order=order):
        found = run_on_device(method, merges)
    for merge, wanted, got in zip(merges, expected, found, strict=True):
        assert not differing(got, wanted), f"{merge.tensors.name}, {merge.parameters}"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("values", ["fine_tunes", "unrelated", "heavy_ties"])
def test_cuts_that_are_sampled_collected_and_narrowed_down(values: str, order: tuple[int, int]) -> None:
    """Few distinct deltas or many, and cuts at every height: what the bracket holds is all kinds of lots."""
    merges = []
    for dtype, size in (("BF16", 3 * CHUNK + 1001), ("F32", 2 * CHUNK), ("F64", CHUNK + 1)):
        tensors = Case((size,), values, 2).tensors(dtype, dtype, (dtype,))
        merges += [
            Merge(tensors, {**TIES, "weight": [1.0, 1.0], "density": density}, f"{tensors.name}/{density}")
            for density in ([0.001, 0.5], [0.2, 0.999])
        ]
    assert_same_bits_in(order, "ties", merges)


@pytest.mark.parametrize("order", ORDERS)
def test_sums_down_columns(order: tuple[int, int]) -> None:
    """Rows and columns beside, and in the middle of, what a block takes at once; rows that lie on no boundary."""
    merges = []
    for dtype, shape in (("BF16", (129, 72)), ("F32", (64, 33)), ("F64", (3, 40)), ("F8_E4M3", (70, 31))):
        tensors = Case(shape, "fine_tunes", 2).tensors(dtype, dtype, (dtype,))
        by_column = {"nuslerp_flatten": False, "nuslerp_row_wise": True}
        merges += [m for m in merges_of("nuslerp", tensors) if by_column.items() <= m.parameters.items()][:2]
    assert len(merges) == 8
    assert_same_bits_in(order, "nuslerp", merges)

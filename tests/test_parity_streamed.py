"""The same bits from GPUs through which tensors are streamed, tile by tile, as from the processor: every method.

Tiles are as small as they can be, two GPUs share those of one tensor, and what is read is what lies around tiles' ends.
"""

from __future__ import annotations

import pytest
from cases import BLOCK, CASES, DTYPES, MIXED_DTYPES, Case
from device_calls import KIND
from engine_calls import Merge, differing, merges_of, model_count, registered, run_engine
from oracle import ORACLES

from fusion_kernels._native import native

pytestmark = pytest.mark.skipif(KIND is None, reason="this build has no GPU kernels (FK_CUDA=OFF)")

GPUS = [0, 1] if KIND is not None and KIND == "emulated" else [0]
WAYS = {
    "tiles": {"device_memory_limit": 24 << 20, "tile_elements": BLOCK, "threads": 2},
    "whole tensors": {"threads": 1},
}
METHODS_OF_THE_MODEL = ("ties", "breadcrumbs", "breadcrumbs_ties")


def assert_same_bits(method: str, merges: list[Merge], **options: object) -> None:
    expected, _ = run_engine(method, merges)
    streamed, _ = run_engine(method, merges, devices=GPUS, **options)
    for merge, wanted, got in zip(merges, expected, streamed, strict=True):
        found = differing(got, wanted)
        assert not found, f"{merge.name} -> {merge.tensors.output}, {merge.parameters}, {options}: {found}"


def variants(method: str, case: Case, dtypes: tuple, number: int) -> list[Merge]:
    """One parameter set of the case, another for every number, under a name of its own."""
    case = Case(case.shape, case.values, model_count(method, case.models))
    merges = merges_of(method, case.tensors(*dtypes))
    if not merges:
        return []
    chosen = merges[number % len(merges)]
    return [Merge(chosen.tensors, chosen.parameters, f"{number} {case.name} {dtypes[0]}", chosen.with_base)]


def fitting(way: str, shape: tuple[int, ...]) -> bool:
    return way == "whole tensors" or len(shape) < 2 or shape[-1] <= BLOCK


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", registered())
def test_every_case_and_dtype(method: str, way: str) -> None:
    """Every case in one dtype, every dtype in several cases, in one call: small tensors are merged together."""
    merges = []
    for number, case in enumerate(CASES):
        if fitting(way, case.shape):
            merges += variants(method, case, (DTYPES[number % len(DTYPES)],), number)
    for number, (output, base, models) in enumerate(MIXED_DTYPES):
        merges += variants(method, Case((2 * BLOCK + 29,), "heavy_ties", 3), (output, base, models), number)
    assert_same_bits(method, merges, **WAYS[way])


@pytest.mark.parametrize("values", ["fine_tunes", "heavy_ties", "everything", "all_equal"])
@pytest.mark.parametrize("method", registered())
def test_one_tensor_of_many_tiles(method: str, values: str) -> None:
    """Samples, brackets and histograms come in, and rows that no tile ends with."""
    for number, (shape, dtype) in enumerate((((11 * BLOCK + 1001,), "BF16"), ((13, 3001), "F32"))):
        for step in range(2):
            merges = variants(method, Case(shape, values, 3), (dtype,), 3 * step + number)
            assert_same_bits(method, merges, **WAYS["tiles"])


@pytest.mark.parametrize("method", registered())
def test_norms_are_restored_from_tile_to_tile(method: str) -> None:
    """rescale_by="l1": a pass of its own, in which what is kept must be known."""
    case = Case((17, 2003), "fine_tunes", model_count(method, 3))
    for merge in merges_of(method, case.tensors("BF16")):
        if merge.parameters.get("rescale") and not merge.parameters.get("rescale_by", True):
            assert_same_bits(method, [merge], **WAYS["tiles"])


SCOPE_SHAPES = {
    "layers.10": (2 * BLOCK + 5,),
    "layers.2": (37, 129),
    "Zebra": (BLOCK + 1,),
    "a": (0,),
    "s": (),
    "b": (3,),
}


@pytest.mark.parametrize("scarce", [False, True], ids=["", "little memory"])
@pytest.mark.parametrize("values", ["fine_tunes", "heavy_ties", "everything", "zero_deltas"])
@pytest.mark.parametrize("method", METHODS_OF_THE_MODEL)
def test_scope_model(method: str, values: str, scarce: bool) -> None:
    """One cut through all tensors; with too little memory to collect what the sample brackets, histograms narrow it."""
    for parameters in ORACLES[method].variants(3)[:3]:
        merges = [
            Merge(Case(shape, values, 3).tensors("BF16"), {**parameters, "scope": "model"}, name)
            for name, shape in (SCOPE_SHAPES | {"large": (9 * BLOCK + 77,)}).items()
        ]
        shared = merges[0].parameters
        merges = [Merge(merge.tensors, shared, merge.name) for merge in merges]
        limit = {"memory_limit": 4 << 20, "threads": 1} if scarce else {}
        assert_same_bits(method, merges, **WAYS["tiles"] | limit)


def test_a_limit_that_no_tile_fits_says_what_is_needed() -> None:
    merges = merges_of("linear", Case((3 * BLOCK,), "fine_tunes", 3).tensors("BF16"))[:1]
    with pytest.raises(ValueError, match=r"device_memory_limit is 5000 bytes; method 'linear' needs at least \d+"):
        run_engine("linear", merges, devices=[0], device_memory_limit=5000)


def test_engine_reports_the_tile_that_fits() -> None:
    merges = merges_of("linear", Case((16 * BLOCK,), "fine_tunes", 3).tensors("F32"))[:1]
    _, roomy = run_engine("linear", merges, devices=[0], threads=1)
    _, scarce = run_engine("linear", merges, devices=[0], threads=1, device_memory_limit=300_000)
    assert scarce["tile_elements"] < roomy["tile_elements"]
    assert native().device_kind() == KIND

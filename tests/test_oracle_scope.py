"""Trimming over the whole model keeps what a stable sort of all merged tensors, laid end to end by name, keeps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from cases import BLOCK, MIXED_DTYPES, Case, Tensors
from device_calls import GPUS, numbers_of
from engine_calls import SEED, Merge, differing, inputs_of, run_engine
from oracle import ORACLES, model_scope
from oracle.formats import FORMATS, decode, encode

from fusion_kernels._native import native

METHODS = tuple(model_scope.CONSENSUS)
# Not in the order of their names, which is that of their bytes: not of the numbers in them, not of an alphabet, and not
# of UTF-16, in which the last two would change places.
SHAPES = {
    "layers.2.weight": (37, 129),
    "layers.10.weight": (2 * BLOCK + 5,),
    "\U00010400": (3, 5),
    "\uff5e": (2,),
    "Zebra": (BLOCK + 1,),
    "élan": (1,),
    "embed": (61, 17),
    "a": (0,),
    "a scalar": (),
    "layers.2.bias": (3,),
    "b": (0, 7),
    "zz": (BLOCK - 1,),
}


def model_of(values: str, parameters: dict, dtypes: Sequence[tuple] = (("BF16",),), models: int = 3) -> list[Merge]:
    """A merge for each of SHAPES; `dtypes` (output, base, models) are taken in turn."""
    cases = [Case(shape, values, models) for shape in SHAPES.values()]
    return [
        Merge(case.tensors(*dtype), parameters, name)
        for name, case, dtype in zip(SHAPES, cases, itertools.cycle(dtypes), strict=False)
    ]


def model_variants(method: str, models: int = 3) -> list[dict]:
    return [{**variant, "scope": "model"} for variant in ORACLES[method].variants(models)]


def given(method: str, density: float, models: int = 1, **others: object) -> dict:
    """Every parameter: weight 1, no rescaling, the element itself where one model keeps it."""
    parameters = {**ORACLES[method].variants(models)[0], "normalize": False, "rescale": False, "lambda": 1.0}
    if "gamma" in parameters:
        parameters["gamma"] = [0.0] * models
    return {**parameters, "weight": [1.0] * models, "density": [density] * models, "scope": "model", **others}


def plain(name: str, values: Sequence[float], parameters: dict, dtype: str = "F32") -> Merge:
    """One model that holds `values`, on a base of zeros."""
    codes = encode(np.array(values, dtype=np.float64), dtype)
    return Merge(Tensors(name, codes.shape, dtype, dtype, np.zeros_like(codes), [dtype], [codes]), parameters, name)


def assert_bits_of_the_whole_model(method: str, merges: list[Merge], **options: object) -> None:
    compute = FORMATS[merges[0].tensors.output].compute
    expected = model_scope.merge(method, [inputs_of(merge, SEED) for merge in merges], compute)
    for merge, merged, codes in zip(merges, expected, run_engine(method, merges, **options)[0], strict=True):
        found = differing(codes, encode(merged.value.ravel(), merge.tensors.output))
        assert not found, f"{merge.name!r}, {merge.parameters}, {options}: {found}"


@pytest.mark.parametrize("dtype", ["BF16", "F32", "F64"])
@pytest.mark.parametrize("values", ["fine_tunes", "heavy_ties", "all_equal", "zero_deltas", "everything", "huge"])
@pytest.mark.parametrize("method", METHODS)
def test_bits_of_the_concatenation(method: str, values: str, dtype: str) -> None:
    for parameters in model_variants(method):
        assert_bits_of_the_whole_model(method, model_of(values, parameters, [(dtype,)]))


@pytest.mark.parametrize("models", [1, 2, 9])
@pytest.mark.parametrize("method", METHODS)
def test_dtypes_may_differ_between_tensors_and_models(method: str, models: int) -> None:
    """All that are computed in float32 can be compared, whatever they are stored in."""
    dtypes = [dtype for dtype in MIXED_DTYPES if dtype[0] != "F64"]
    for values in ("heavy_ties", "everything"):
        for parameters in model_variants(method, models):
            assert_bits_of_the_whole_model(method, model_of(values, parameters, dtypes, models))


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_jobs_does_not_matter(method: str) -> None:
    for parameters in model_variants(method)[:4]:
        merges = model_of("heavy_ties", parameters)
        expected = {merge.name: codes for merge, codes in zip(merges, run_engine(method, merges)[0], strict=True)}
        for seed in range(4):
            shuffled = [merges[i] for i in np.random.default_rng(seed).permutation(len(merges))]
            for merge, codes in zip(shuffled, run_engine(method, shuffled)[0], strict=True):
                assert not differing(codes, expected[merge.name]), merge.name


CARRIED_OUT = [
    {"threads": 1},
    {"threads": 5},
    {"tile_elements": BLOCK},
    {"tile_elements": 2 * BLOCK, "threads": 2},
    {"tile_elements": 16 * BLOCK, "threads": 3},
    {"memory_limit": 2 << 20},
    {"memory_limit": 2 << 20, "threads": 1, "tile_elements": BLOCK},
    {"memory_limit": 1 << 30, "threads": 2},
    *({"devices": numbers_of(device)} for device in GPUS),
    *({"instruction_set": name} for name in native().instruction_sets()),
    *({"instruction_set": name, "threads": 2, "tile_elements": BLOCK} for name in native().instruction_sets()),
]


@pytest.mark.parametrize("options", CARRIED_OUT, ids=lambda o: "-".join(f"{k}={v}" for k, v in o.items()))
@pytest.mark.parametrize("method", METHODS)
def test_how_it_is_computed_does_not_show(method: str, options: dict) -> None:
    for values, parameters in zip(("heavy_ties", "fine_tunes", "everything"), model_variants(method), strict=False):
        assert_bits_of_the_whole_model(method, model_of(values, parameters), **options)


@pytest.mark.parametrize("values", ["heavy_ties", "fine_tunes"])
@pytest.mark.parametrize("method", METHODS)
def test_many_elements_and_little_memory(method: str, values: str) -> None:
    """Too many to collect what a sample brackets, in tensors that tiles and samples do not divide."""
    parameters = model_variants(method, 2)[0]
    sizes = [300_007, 1, 250_013, 0, 5, 150_001]
    cases = [Case((size,), values, 2) for size in sizes]
    merges = [Merge(case.tensors("F32"), parameters, f"tensor {len(sizes) - i}") for i, case in enumerate(cases)]
    assert_bits_of_the_whole_model(method, merges, memory_limit=1 << 20, threads=1)
    assert_bits_of_the_whole_model(method, merges)


@pytest.mark.parametrize("keep", range(1, 17))
@pytest.mark.parametrize("method", METHODS)
def test_a_cut_inside_a_tiny_tensor(method: str, keep: int) -> None:
    """Sixteen equal elements in tensors of 0 to 8: the first `keep` by name stay."""
    sizes = {"d": 8, "c": 3, "b": 0, "a.1": 1, "a": 4}
    parameters = given(method, (keep + 0.25) / 16)
    merges = [plain(name, [0.5] * size, parameters) for name, size in sizes.items()]
    outputs = dict(zip(sizes, run_engine(method, merges)[0], strict=True))
    together = np.concatenate([decode(outputs[name], "F32") for name in sorted(sizes)])
    assert together.tolist() == [0.5] * keep + [0.0] * (16 - keep)


@pytest.mark.parametrize("method", METHODS)
def test_names_are_ordered_by_their_bytes(method: str) -> None:
    for keep in range(1, len(SHAPES)):
        parameters = given(method, (keep + 0.25) / len(SHAPES))
        outputs = run_engine(method, [plain(name, [0.5], parameters) for name in SHAPES])[0]
        kept = [name for name, codes in zip(SHAPES, outputs, strict=True) if codes[0]]
        assert sorted(kept) == sorted(sorted(SHAPES, key=str.encode)[:keep])


@pytest.mark.parametrize("method", METHODS)
def test_a_band_through_several_tensors(method: str) -> None:
    """Ten elements of one magnitude: gamma drops the first three by name, density keeps the next four.

    TIES has no gamma and keeps the first four.
    """
    parameters = given(method, 0.4) if method == "ties" else given(method, 0.4, gamma=[0.3])
    values = {"y": [1.0, -1.0, 1.0], "z": [1.0, -1.0], "x": [1.0, -1.0, 1.0, 1.0, -1.0]}
    outputs = run_engine(method, [plain(name, numbers, parameters) for name, numbers in values.items()])[0]
    y, z, x = (decode(codes, "F32").tolist() for codes in outputs)
    if method == "ties":
        assert (x, y, z) == ([1, -1, 1, 1, 0], [0, 0, 0], [0, 0])
    else:
        assert (x, y, z) == ([0, 0, 0, 1, -1], [1, -1, 0], [0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_nothing_but_empty_tensors(method: str) -> None:
    parameters = given(method, 0.5)
    merges = [plain(name, [], parameters) for name in "ab"]
    outputs, report = run_engine(method, merges)
    assert [codes.size for codes in outputs] == [0, 0]
    assert report["bytes_written"] == 0


@pytest.mark.parametrize("rescale_by", ["l1", "density"])
@pytest.mark.parametrize("method", METHODS)
def test_rescaling_makes_up_for_what_a_tensor_lost(method: str, rescale_by: str) -> None:
    """Half of eight elements stay: two of four in one tensor, one of three in another, one of one."""
    parameters = given(method, 0.5, rescale=True, rescale_by=rescale_by)
    values = {"a": [8.0, 1.0, -2.0, -5.0], "b": [0.5, -6.0, 1.5], "c": [4.0]}
    kept = {"a": [8.0, 0.0, 0.0, -5.0], "b": [0.0, -6.0, 0.0], "c": [4.0]}
    factors = {"a": 16 / 13, "b": 8 / 6, "c": 1.0} if rescale_by == "l1" else dict.fromkeys("abc", 2.0)
    outputs = run_engine(method, [plain(name, numbers, parameters) for name, numbers in values.items()])[0]
    for name, codes in zip(values, outputs, strict=True):
        expected = np.float32(factors[name]) * np.array(kept[name], np.float32)
        np.testing.assert_array_equal(decode(codes, "F32").astype(np.float32), expected)


@pytest.mark.parametrize("method", METHODS)
def test_one_tensor_alone_is_a_model(method: str) -> None:
    for values, dtype in itertools.product(("heavy_ties", "everything"), ("BF16", "F64")):
        tensors = Case((3 * BLOCK + 17,), values).tensors(dtype)
        for parameters in model_variants(method):
            [alone] = run_engine(method, [Merge(tensors, parameters, "alone")])[0]
            [own] = run_engine(method, [Merge(tensors, {**parameters, "scope": "tensor"}, "alone")])[0]
            assert not differing(alone, own), parameters


@pytest.mark.parametrize("method", METHODS)
def test_tensors_that_are_copied_are_not_counted(method: str) -> None:
    parameters = model_variants(method)[0]
    merges = model_of("heavy_ties", parameters)
    copies = [("a copy", np.arange(10_001)), ("zz copy", np.arange(3) - 7)]
    expected = run_engine(method, merges)[0]
    outputs = run_engine(method, merges, copies)[0]
    for (name, numbers), copied in zip(copies, outputs[:2], strict=True):
        assert not differing(copied, numbers), name
    for merge, codes, alone in zip(merges, outputs[2:], expected, strict=True):
        assert not differing(codes, alone), merge.name


@pytest.mark.parametrize("method", METHODS)
def test_float64_cannot_be_compared_with_float32(method: str) -> None:
    parameters = given(method, 0.5)
    merges = [plain("narrow", [1.0], parameters, "BF16"), plain("wide", [1.0], parameters, "F64")]
    expected = r"scope='model' .*one precision.*'wide' is merged to F64 and 'narrow' to BF16; give one dtype for all"
    with pytest.raises(NotImplementedError, match=expected):
        run_engine(method, merges)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_has_one_density_in_all_its_tensors(method: str) -> None:
    merges = [plain("a", [1.0], given(method, 0.5)), plain("b", [1.0], given(method, 0.25))]
    with pytest.raises(ValueError, match=r"scope='model' takes one density for each model, the same for all tensors"):
        run_engine(method, merges)

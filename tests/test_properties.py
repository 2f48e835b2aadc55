"""What holds for every input: merging a model with itself, in parts, in another order, and alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from cases import BLOCK, Case, Tensors
from device_calls import numbers_of, on_every_device
from engine_calls import SEED, Merge, differing, inputs_of, merges_of, model_count, run_engine, stored_interval
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracle import ORACLES, consensus, sparsifiers
from oracle.formats import FORMATS, decode, encode

bounded = settings(max_examples=150, deadline=None, derandomize=True)
float_dtypes = st.sampled_from(["BF16", "F16", "F32"])
sizes = st.sampled_from([1, 2, 7, 64, 257, BLOCK + 3])
positive = st.floats(0.01, 8.0)

SPARSIFIERS = {
    "ties": sparsifiers.top,
    "breadcrumbs_ties": sparsifiers.band,
    "breadcrumbs": sparsifiers.band,
}
ELECTING = ("ties", "breadcrumbs_ties")


@st.composite
def any_codes(draw: st.DrawFn, dtype: str, size: int, finite: bool = False) -> np.ndarray:
    """Bit patterns of any kind: each chosen by itself, or a few of them again and again, or all at random."""
    carrier = FORMATS[dtype].carrier
    pattern = st.integers(0, int(np.iinfo(carrier).max))
    kind = draw(st.sampled_from(["each", "few", "random"]))
    if kind == "each" and size <= 64:
        codes = draw(arrays(carrier, size, elements=pattern))
    else:
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        few = draw(st.lists(pattern, min_size=1, max_size=5))
        codes = np.array(few, carrier)[rng.integers(len(few), size=size)]
        if kind == "random":
            codes = rng.integers(0, np.iinfo(carrier).max, size, carrier, endpoint=True)
    return np.where(np.isfinite(decode(codes, dtype)), codes, carrier.type(0)) if finite else codes


def merge_of(dtype: str, base: np.ndarray, models: Sequence[np.ndarray], parameters: dict, name: str = "x") -> Merge:
    tensors = Tensors(name, base.shape, dtype, dtype, base, [dtype] * len(models), list(models))
    return Merge(tensors, parameters, name)


def assert_identity(
    method: str, dtype: str, codes: np.ndarray, models: int, parameters: dict, mass: float, device: str
) -> None:
    """Up to the sign of zero: the bits of a 16-bit format, as many ulp as there are models in float32.

    Only terms that cannot overflow are looked at. A term that falls among float32's subnormals is rounded to a
    multiple of the smallest, however small it is; `mass`, the sum of the weights, divides what that adds up to.
    """
    merge = replace(merge_of(dtype, codes, [codes] * models, parameters), with_base=False)
    [merged] = run_engine(method, [merge], devices=numbers_of(device))[0]
    expected, got = decode(codes, dtype), decode(merged, dtype)
    safe = np.abs(expected) * max(1.0, mass) <= np.finfo(np.float32).max / 2
    ulp = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    allowed = models * (ulp + 2.0**-150 / mass) if dtype == "F32" else np.zeros_like(ulp)
    with np.errstate(invalid="ignore"):
        wrong = safe & ~(np.abs(got - expected) <= allowed)
    assert not wrong.any(), [(hex(codes[i]), hex(merged[i])) for i in np.flatnonzero(wrong)[:5]]


@on_every_device
@bounded
@given(st.data(), float_dtypes, sizes, st.lists(positive, min_size=1, max_size=9))
def test_linear_of_a_model_with_itself_is_that_model(
    device: str, data: st.DataObject, dtype: str, size: int, weight: list[float]
) -> None:
    codes = data.draw(any_codes(dtype, size, finite=True))
    assert_identity("linear", dtype, codes, len(weight), {"weight": weight, "normalize": True}, sum(weight), device)


@on_every_device
@bounded
@given(st.data(), float_dtypes, sizes, st.floats(0.0, 1.0), st.sampled_from([0.0, 0.5, 0.9995, 1.0]))
def test_slerp_of_a_model_with_itself_is_that_model(
    device: str, data: st.DataObject, dtype: str, size: int, t: float, threshold: float
) -> None:
    codes = data.draw(any_codes(dtype, size, finite=True))
    assert_identity("slerp", dtype, codes, 2, {"t": t, "lerp_threshold": threshold}, 1.0, device)


@on_every_device
@bounded
@given(st.data(), float_dtypes, sizes, st.integers(1, 9), st.integers(0, 20), st.sampled_from([0.0, 1e-5]))
def test_karcher_of_a_model_with_itself_is_that_model(
    device: str, data: st.DataObject, dtype: str, size: int, models: int, max_iter: int, tol: float
) -> None:
    """Of any model longer than tol, that is: a shorter one counts as zeros."""
    codes = data.draw(any_codes(dtype, size, finite=True))
    assume(models == 1 or np.linalg.norm(decode(codes, dtype)) > tol)
    assert_identity("karcher", dtype, codes, models, {"max_iter": max_iter, "tol": tol}, 1.0, device)


@on_every_device
@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties", "breadcrumbs", "breadcrumbs_ties"])
@bounded
@given(st.data(), st.sampled_from(list(FORMATS)), sizes, st.integers(1, 4))
def test_merging_a_tensor_in_parts_is_merging_it_whole(
    method: str, device: str, data: st.DataObject, dtype: str, size: int, models: int
) -> None:
    """For methods that trim: over the whole model, with the names of the parts in the order of the parts.

    Rescaling to the L1 norm is the one step that looks at a tensor by itself, and is left out.
    """
    parameters = dict(data.draw(st.sampled_from(ORACLES[method].variants(models))))
    if "scope" in parameters:
        parameters |= {"scope": "model", "rescale_by": "density"}
    base, *tuned = (data.draw(any_codes(dtype, size)) for _ in range(models + 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=6)))
    pieces = zip(*(np.split(codes, cuts) for codes in (base, *tuned)), strict=True)
    parts = [merge_of(dtype, piece[0], piece[1:], parameters, f"part {i}") for i, piece in enumerate(pieces)]
    whole = merge_of(dtype, base, tuned, parameters)
    if method == "linear":
        whole, *parts = (replace(merge, with_base=False) for merge in (whole, *parts))
    shuffled = data.draw(st.permutations(range(len(parts))))
    pieces_merged, _ = run_engine(method, [parts[i] for i in shuffled], devices=numbers_of(device))
    outputs = dict(zip(shuffled, pieces_merged, strict=True))
    [expected] = run_engine(method, [whole])[0]
    found = differing(np.concatenate([outputs[i] for i in range(len(parts))]), expected)
    assert not found, f"{parameters}, cut at {cuts}: {found}"


ORDERED = {  # which values each method is tried on: models that cancel have no mean direction
    **dict.fromkeys(["linear", "task_arithmetic", "median", "trimmed_mean", *SPARSIFIERS], (
        "fine_tunes", "heavy_ties", "opposite", "all_equal", "subnormals", "signed_zeros",
    )),
    **dict.fromkeys(["slerp", "nuslerp", "multislerp", "karcher", "model_stock"], ("fine_tunes", "unrelated")),
}  # fmt: skip


@on_every_device
@pytest.mark.parametrize("method", ORDERED)
@bounded
@given(st.data(), float_dtypes, st.sampled_from([(5,), (3, 11), (BLOCK + 3,)]), st.integers(2, 6))
def test_the_order_of_the_models_changes_nothing_but_rounding(
    method: str, device: str, data: st.DataObject, dtype: str, shape: tuple[int, ...], models: int
) -> None:
    """The truth stays within the tolerance. Methods that draw give each place in the order its own numbers."""
    case = Case(shape, data.draw(st.sampled_from(ORDERED[method])), model_count(method, models))
    merge = data.draw(st.sampled_from(merges_of(method, case.tensors(dtype))))
    assume(method != "karcher" or has_a_mean(merge))
    order = data.draw(st.permutations(range(case.models)))
    tensors = replace(merge.tensors, models=[merge.tensors.models[i] for i in order])
    permuted = replace(merge, tensors=tensors, parameters=in_order(merge.parameters, order))
    low, high, comparable = stored_interval(method, merge)
    if method in ELECTING:
        comparable &= decided(method, merge)
    [codes] = run_engine(method, [permuted], devices=numbers_of(device))[0]
    values = decode(codes, dtype)
    wrong = comparable & ~((low <= values) & (values <= high))
    assert not wrong.any(), f"{merge.parameters}, {order}: {np.flatnonzero(wrong)[:5]} of {values.size}"


def in_order(parameters: dict, order: Sequence[int]) -> dict:
    """The parameters with what belongs to a model in the order given; slerp's t is the weight of the second."""
    moved = {name: [v[i] for i in order] if isinstance(v, list) else v for name, v in parameters.items()}
    return {**moved, "t": 1.0 - moved["t"]} if "t" in moved and order[0] == 1 else moved


def has_a_mean(merge: Merge) -> bool:
    """Whether the directions add up to more than tol; where they do not, karcher starts from the first model's."""
    vectors = [model.ravel().astype(np.float64) for model in inputs_of(merge, SEED).models]
    return bool(np.linalg.norm(np.mean([v / np.linalg.norm(v) for v in vectors], axis=0)) > 2 * merge.parameters["tol"])


def decided(method: str, merge: Merge) -> np.ndarray:
    """Where the elected sum is further from zero than its rounding, or nobody votes."""
    inputs = inputs_of(merge, SEED)
    votes = consensus.terms_of(inputs, SPARSIFIERS[method](inputs), merge.parameters["elect"])
    votes = np.stack(votes).astype(np.float64).reshape(len(votes), -1)
    rounding = len(votes) * np.finfo(inputs.compute).eps * np.abs(votes).sum(axis=0)
    return (np.abs(votes.sum(axis=0)) > rounding) | (rounding == 0)


@on_every_device
@bounded
@given(st.data(), st.sampled_from(list(FORMATS)), sizes, st.booleans(), st.sampled_from(["tensor", "model"]))
def test_ties_of_one_model_is_its_difference_added_back(
    device: str, data: st.DataObject, dtype: str, size: int, normalize: bool, scope: str
) -> None:
    """base + (model - base) with both operations rounded to the compute type, not the model itself."""
    base, model = (data.draw(any_codes(dtype, size, finite=True)) for _ in range(2))
    [variant] = ORACLES["ties"].variants(1)[:1]
    parameters = {**variant, "weight": [1.0], "density": [1.0], "lambda": 1.0, "normalize": normalize, "scope": scope}
    [codes] = run_engine("ties", [merge_of(dtype, base, [model], parameters)], devices=numbers_of(device))[0]
    compute = FORMATS[dtype].compute
    start, tuned = (decode(side, dtype).astype(compute) for side in (base, model))
    with np.errstate(over="ignore"):
        expected = encode(start + (tuned - start), dtype)
    assert not (found := differing(codes, expected)), found

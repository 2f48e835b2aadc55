"""Every method has an oracle, and the examples worked by hand come out of the oracle as well as of the engine."""

from __future__ import annotations

import numpy as np
import pytest
from cases import Case, Tensors
from device_calls import numbers_of, on_every_device
from engine_calls import Merge, documented_bits, merges_of, method_table, registered, run_engine, run_oracle, wider
from oracle import ORACLES
from oracle.contract import Example
from oracle.formats import FORMATS, decode, encode


def test_every_registered_method_has_an_oracle_and_every_oracle_a_method() -> None:
    assert set(method_table()) == set(ORACLES)


@pytest.mark.parametrize("method", ORACLES)
def test_an_oracle_states_its_example_its_tolerance_and_its_variants(method: str) -> None:
    oracle = ORACLES[method]
    models = len(oracle.EXAMPLE.models)
    assert (oracle.__doc__ or "").startswith("Oracle of"), "the file opens with the example, worked by hand"
    assert all(len(model) == 4 for model in [*oracle.EXAMPLE.models, oracle.EXAMPLE.expected])
    assert oracle.tolerance(models).roundings >= 0
    names = {parameter["name"] for parameter in method_table()[method]["parameters"]}
    for variant in oracle.variants(models):
        assert set(variant) == names, f"{method}: a variant resolves every parameter, and no other"


def example_merge(example: Example, dtype: str) -> Merge:
    codes = [encode(np.array(model, dtype=np.float64), dtype) for model in example.models]
    base = encode(np.array(example.base or [0] * 4, dtype=np.float64), dtype)
    tensors = Tensors("example", (4,), dtype, dtype, base, [dtype] * len(codes), codes)
    return Merge(tensors, dict(example.parameters), "example", with_base=example.base is not None)


@pytest.mark.parametrize("method", ORACLES)
def test_the_oracle_gives_the_numbers_worked_by_hand(method: str) -> None:
    example = ORACLES[method].EXAMPLE
    merge = example_merge(example, "F64")
    for choose in (wider, lambda compute: compute):
        np.testing.assert_allclose(run_oracle(method, merge, choose).value.astype(float), example.expected, rtol=1e-15)


@on_every_device
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("method", registered())
def test_the_engine_gives_the_numbers_worked_by_hand(method: str, dtype: str, device: str) -> None:
    example = ORACLES[method].EXAMPLE
    merge = example_merge(example, dtype)
    [codes], _ = run_engine(method, [merge], devices=numbers_of(device))
    np.testing.assert_array_equal(codes, documented_bits(method, merge))
    step = 2.0 ** -FORMATS[dtype].mantissa
    np.testing.assert_allclose(decode(codes, dtype), example.expected, rtol=step)


@on_every_device
@pytest.mark.parametrize("dtype", ["BF16", "F64"])
def test_directions_that_cancel_are_refused_by_name(dtype: str, device: str) -> None:
    """Three models of which two point one way, with half the weight of the one that points the other."""
    for direction in ([1.0, -2.0, 0.5, 0.0], [0.0, 0.0, 0.0, 4.0]):
        models = [direction, [-2 * x for x in direction], direction]
        parameters = {"weight": [0.25, 0.5, 0.25], "normalize_weights": True, "eps": 1e-8}
        merge = example_merge(Example(models, None, parameters, direction), dtype)
        with pytest.raises(ValueError, match=r"'example'.*weighted sum of the models' directions is zero"):
            run_engine("multislerp", [merge], devices=numbers_of(device))


@pytest.mark.parametrize("dtype", ["F32"])  # float64 has no eps that its subnormals' squares would fall below
def test_directions_too_short_to_tell_are_refused(dtype: str) -> None:
    merges = merges_of("multislerp", Case((61,), "subnormals").tensors(dtype), refused=True)
    assert merges
    for merge in merges:
        with pytest.raises(ValueError, match="directions is zero"):
            run_engine("multislerp", [merge])

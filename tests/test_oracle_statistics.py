"""The oracles' building blocks against what is known of them: counts, orders, ranks, dot products, random numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from oracle import ORACLES
from oracle.contract import Inputs
from oracle.philox import draws, fnv1a, key_of, philox
from oracle.sparsifiers import outliers, ranked, share
from oracle.statistics import column_dots, dot, kept, kept_count, ranks, row_dots


def test_kept_count_is_floor_in_double_but_at_least_one() -> None:
    counted = [kept_count(density, 10) for density in (0.0, 1e-9, 0.19, 0.2, 0.999, 1.0)]
    assert counted == [0, 1, 1, 2, 9, 10]
    assert kept_count(0.29, 100) == 28, "0.29 * 100 is 28.999999999999996 in double"
    assert kept_count(0.5, 0) == 0


def test_of_equal_magnitudes_the_first_are_kept_and_nan_comes_before_infinity() -> None:
    values = np.array([1, -2, 2, -1, 2, 0], dtype=np.float32)
    assert kept(values, 0.34).tolist() == [False, True, True, False, False, False]
    special = np.array([np.inf, 3, np.nan, -np.inf], dtype=np.float32)
    assert kept(special, 0.25).tolist() == [False, False, True, False]
    assert kept(special, 0.5).tolist() == [True, False, True, False]


def test_a_band_drops_the_largest_but_none_that_must_be_kept() -> None:
    values = np.array([1, -2, 2, -1, 2, 0], dtype=np.float32)
    assert kept(values, 0.34, skipped=1).tolist() == [False, False, True, False, True, False]
    assert [outliers(density, 0.5, 10) for density in (0.2, 0.5, 0.7, 1.0, 0.0)] == [5, 5, 3, 0, 5]


def test_ranks_ascend_with_the_magnitude_within_a_row_and_of_equals_the_first_is_higher() -> None:
    values = np.array([[1, -2, 2, 0], [np.nan, np.inf, -5, 5], [0, -0.0, 0, 0]], dtype=np.float32)
    assert ranks(values).tolist() == [[1, 3, 2, 0], [3, 2, 1, 0], [3, 2, 1, 0]]
    assert ranks(np.ones((3, 1), np.float32)).tolist() == [[0], [0], [0]]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 4095, 4096, 4097, 5 * 4096 + 1])
def test_the_dot_product_in_fixed_order_is_close_to_the_exact_sum(size: int) -> None:
    rng = np.random.default_rng(size)
    left, right = rng.standard_normal((2, size)).astype(np.float32)
    products = left.astype(np.float64) * right.astype(np.float64)
    assert dot(left, right) == pytest.approx(math.fsum(products), abs=1e-16 * (1 + np.abs(products).sum()))


def test_the_dot_product_adds_lanes_blocks_and_trees_as_described() -> None:
    """The same sum, written out element by element."""
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((2, 2 * 4096 + 100))
    blocks = []
    for start in (0, 4096, 8192):
        lanes = [0.0] * 64
        for i in range(start, min(start + 4096, left.size)):
            lanes[(i - start) % 64] += float(left[i] * right[i])
        for half in (32, 16, 8, 4, 2, 1):
            lanes = [lanes[lane] + lanes[lane + half] for lane in range(half)]
        blocks += lanes
    assert dot(left, right) == (blocks[0] + blocks[1]) + blocks[2]


@pytest.mark.parametrize("shape", [(1, 7), (5, 1), (4, 65), (3, 4097)])
def test_rows_and_columns_have_their_own_dot_products(shape: tuple[int, int]) -> None:
    left, right = np.random.default_rng(2).standard_normal((2, *shape)).astype(np.float32)
    assert row_dots(left, right).tolist() == [dot(a, b) for a, b in zip(left, right, strict=True)]
    np.testing.assert_allclose(column_dots(left, right), (left.astype(float) * right).sum(axis=0), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_its_authors_known_answers(counter: list[int], key: tuple[int, int], expected: str) -> None:
    words = philox(np.array([counter], np.uint64), key)[0]
    assert " ".join(f"{int(word):08x}" for word in words) == expected


def test_the_hash_gives_its_authors_known_answers() -> None:
    assert [fnv1a(data) for data in (b"", b"a", b"foobar")] == [
        0xCBF29CE484222325,
        0xAF63DC4C8601EC8C,
        0x85944171F73967E8,
    ]


def test_a_draw_hangs_on_the_seed_the_model_the_name_and_the_place_alone() -> None:
    whole = draws("model.embed.weight", 7, 1, 1003)
    assert whole.min() >= 0
    assert whole.max() <= 65535
    np.testing.assert_array_equal(draws("model.embed.weight", 7, 1, 11), whole[:11])
    others = [("model.embed.weigh", 7, 1), ("model.embed.weight", 7 + (1 << 40), 1), ("model.embed.weight", 7, 0)]
    assert len({key_of(*other) for other in [*others, ("model.embed.weight", 7, 1)]}) == 4
    word = int(philox(np.array([[2, 0, 0, 0]], np.uint64), key_of("x", 3, 0))[0, 2])
    assert draws("x", 3, 0, 24)[20:22].tolist() == [word & 0xFFFF, word >> 16]


def test_a_share_is_a_65536th_but_some_is_not_none() -> None:
    assert [int(share(p)) for p in (0.0, 1e-9, 0.5, 1 / 3, 1 - 1e-9, 1.0)] == [0, 1, 32768, 21845, 65536, 65536]


def test_ranked_draws_keep_large_elements_more_often() -> None:
    delta = np.tile(np.arange(1, 5, dtype=np.float32), (20_000, 1))
    parameters = {"density": [0.5], "epsilon": [0.3], "rescale": False, "rescale_by": "l1"}
    [sparse] = ranked(Inputs(None, [delta], parameters, "x", 1))
    np.testing.assert_allclose((sparse.values != 0).mean(axis=0), [0.2, 0.4, 0.6, 0.8], atol=0.015)


@pytest.mark.parametrize("method", ORACLES)
def test_variants_show_every_value_a_switch_can_have(method: str) -> None:
    """Scope is for several tensors at once and has its own test."""
    oracle = ORACLES[method]
    choices = {
        "rescale_by": {"l1", "density"},
        "elect": {"weighted", "unweighted"},
        "merge_func": {"sum", "max"},
        "zero_sign": {"positive", "none"},
        "average": {"cosine", "angle"},
    }
    variants = oracle.variants(len(oracle.EXAMPLE.models))
    for name, value in oracle.EXAMPLE.parameters.items():
        expected = {False, True} if isinstance(value, bool) else choices.get(name, set())
        assert not expected or {variant[name] for variant in variants} == expected, name

"""Oracle of Model Breadcrumbs: leave out the largest and the smallest elements of each delta, add the rest.

Davari and Belilovsky 2024, arXiv:2312.06795. By hand, gamma 0.25 (the largest of four is dropped) and density 0.5 (the
next two are kept, the first of equals), weights 1 and 2, lambda 0.5:

    base               1      1      1      1
    model A            5      2     -2      3        A - base     4    1   -3    2     kept    0    0   -3    2
    model B           -1      3     -1      8        B - base    -2    2   -2    7     kept   -2    2    0    0
    sum of w·kept                                                                             -4    4   -3    2
    base + 0.5·sum    -1      3   -0.5      2
"""

from __future__ import annotations

from oracle import consensus
from oracle.consensus import linear_tolerance as tolerance
from oracle.contract import Example, Inputs, Merged, Working, in_turn
from oracle.sparsifiers import RESCALING, band, densities, gammas

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[5, 2, -2, 3], [-1, 3, -1, 8]],
    base=[1, 1, 1, 1],
    parameters={
        "weight": [1.0, 2.0],
        "density": [0.5, 0.5],
        "gamma": [0.25, 0.25],
        "normalize": False,
        "rescale": False,
        "rescale_by": "l1",
        "lambda": 0.5,
        "scope": "tensor",
    },
    expected=[-1, 3, -0.5, 2],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """The middle of each delta, summed."""
    return consensus.linear(inputs, band(inputs), working)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: densities from none to all, gammas that leave no room for them."""
    return in_turn(
        consensus.linear_variants(models), densities(models), gammas(models), RESCALING[::-1], [{"scope": "tensor"}]
    )

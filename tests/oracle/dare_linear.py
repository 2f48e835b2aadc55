"""Oracle of DARE: drop elements of each delta at random, scale up the rest, add them as task arithmetic does.

Yu et al. 2024, arXiv:2311.03099. By hand, density 0.5 (a draw below 32768 of 65536 keeps), rescaled by the density,
weights 1 and 0.5, lambda 0.5; the tensor is called "example", the seed is engine_calls.SEED:

    base               1      1     -2      0
    model A            2      4     -4      4        A - base     1    3   -2    4
    draws           1859  43465  14258  45597        kept         1    0   -2    0
    model B            3      5     -1     -1        B - base     2    4    1   -1
    draws          59167  15813  19457  63963        kept         0    4    1    0
    times 1 / 0.5 and the weight: A                               2    0   -4    0
                                  B                               0    4    1    0
    sum                                                           2    4   -3    0
    base + 0.5·sum     2      3   -3.5      0
"""

from __future__ import annotations

from oracle import consensus
from oracle.consensus import linear_tolerance as tolerance
from oracle.contract import Example, Inputs, Merged, Working, in_turn
from oracle.sparsifiers import RESCALING, densities, random

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[2, 4, -4, 4], [3, 5, -1, -1]],
    base=[1, 1, -2, 0],
    parameters={
        "weight": [1.0, 0.5],
        "density": [0.5, 0.5],
        "normalize": False,
        "rescale": True,
        "rescale_by": "density",
        "lambda": 0.5,
    },
    expected=[2, 3, -3.5, 0],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """A random part of each delta, summed."""
    return consensus.linear(inputs, random(inputs), working)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: weights of every kind, densities from none to all, every way to rescale."""
    return in_turn(consensus.linear_variants(models), densities(models), RESCALING)

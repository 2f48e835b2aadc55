"""Oracle of DELLA without an election: drop elements at random, small ones more often, add the rest.

Deep et al. 2024, arXiv:2406.11617. By hand, density 0.5 and epsilon 0.25: the ranks 0 to 3 of a row of four have the
probabilities 1/4, 5/12, 7/12, 3/4, in 65536ths 16384, 27307, 38229, 49152; a lower draw keeps. Rescaled by the density,
weights 1 and 0.5, lambda 0.5; the tensor is called "example", the seed is engine_calls.SEED:

    base               1     -2      0     -1
    model A            2      2     -2      2        A - base     1    4   -2    3
    rank               0      3      1      2
    draws           1859  43465  14258  45597        kept         1    4   -2    0
    model B            8      0      4      0        B - base     7    2    4    1
    rank               3      1      2      0
    draws          59167  15813  19457  63963        kept         0    2    4    0
    times 1 / 0.5 and the weight: A                               2    8   -4    0
                                  B                               0    2    4    0
    sum                                                           2   10    0    0
    base + 0.5·sum     2      3      0     -1
"""

from __future__ import annotations

from oracle import consensus
from oracle.consensus import linear_tolerance as tolerance
from oracle.contract import Example, Inputs, Merged, Working, in_turn
from oracle.sparsifiers import RESCALING, ranked, windows

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[2, 2, -2, 2], [8, 0, 4, 0]],
    base=[1, -2, 0, -1],
    parameters={
        "weight": [1.0, 0.5],
        "density": [0.5, 0.5],
        "epsilon": [0.25, 0.25],
        "normalize": False,
        "rescale": True,
        "rescale_by": "density",
        "lambda": 0.5,
    },
    expected=[2, 3, 0, -1],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """A random part of each delta, more of its large elements, summed."""
    return consensus.linear(inputs, ranked(inputs), working)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: weights of every kind, windows of every width, every way to rescale."""
    return in_turn(consensus.linear_variants(models), windows(models), RESCALING)

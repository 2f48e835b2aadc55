"""Oracle of DARE with TIES: drop elements of each delta at random, scale up the rest, elect a sign, merge.

Yu et al. 2024, arXiv:2311.03099. By hand, density 0.5 (a draw below 32768 of 65536 keeps), rescaled to the L1 norm it
had, weights 1 and 0.5, lambda 0.5; the tensor is called "example", the seed is engine_calls.SEED:

    base               1      1     -2      0
    model A            2      3     -4      1        A - base     1    2   -2    1      L1    6
    draws           1859  43465  14258  45597        kept         1    0   -2    0            3
    model B            6      5     -1     10        B - base     5    4    1   10      L1   20
    draws          59167  15813  19457  63963        kept         0    4    1    0            5
    times 6 / 3 and the weight:   A                               2    0   -4    0
    times 20 / 5 and the weight:  B                               0    8    2    0
    elected                                                       2    8   -2    0
    agree                                                         A    B    A    -
    sum of these                                                  2    8   -4    0
    base + 0.5·sum     2      5     -4      0
"""

from __future__ import annotations

from oracle import consensus
from oracle.consensus import sign_tolerance as tolerance
from oracle.contract import Example, Inputs, Merged, Working, in_turn
from oracle.sparsifiers import RESCALING, densities, random

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[2, 3, -4, 1], [6, 5, -1, 10]],
    base=[1, 1, -2, 0],
    parameters={
        "weight": [1.0, 0.5],
        "density": [0.5, 0.5],
        "normalize": False,
        "rescale": True,
        "rescale_by": "l1",
        "lambda": 0.5,
        "elect": "weighted",
        "merge_func": "sum",
        "zero_sign": "positive",
    },
    expected=[2, 5, -4, 0],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """A random part of each delta, merged under an elected sign."""
    return consensus.sign(inputs, random(inputs), working)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: every election, densities from none to all, every way to rescale."""
    return in_turn(consensus.sign_variants(models), densities(models), RESCALING)

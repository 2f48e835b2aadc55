"""Oracle of DELLA: drop elements of each delta at random, small ones more often, elect a sign, merge.

Deep et al. 2024, arXiv:2406.11617. By hand, density 0.5 and epsilon 0.25: the ranks 0 to 3 of a row of four have the
probabilities 1/4, 5/12, 7/12, 3/4, in 65536ths 16384, 27307, 38229, 49152; a lower draw keeps. Rescaled to the L1 norm
it had, weights 2 and 1, normalised, lambda 0.5; the tensor is called "example", the seed is engine_calls.SEED:

    base               1     -2      0     -1
    model A            2      2     -1      5        A - base     1    4   -1    6      L1   12
    rank               1      2      0      3                     of equals the first has the higher rank
    draws           1859  43465  14258  45597        kept         1    0   -1    6            8
    model B            6      0      4      0        B - base     5    2    4    1      L1   12
    rank               3      1      2      0
    draws          59167  15813  19457  63963        kept         0    2    4    0            6
    times 12 / 8 and the weight:  A                               3    0   -3   18
    times 12 / 6 and the weight:  B                               0    4    8    0
    elected                                                       3    4    5   18
    agree                                                         A    B    B    A
    sum of these, divided by the sum of their weights           1.5    4    8    9
    base + 0.5·that 1.75      0      4    3.5
"""

from __future__ import annotations

from oracle import consensus
from oracle.consensus import sign_tolerance as tolerance
from oracle.contract import Example, Inputs, Merged, Working, in_turn
from oracle.sparsifiers import RESCALING, ranked, windows

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[2, 2, -1, 5], [6, 0, 4, 0]],
    base=[1, -2, 0, -1],
    parameters={
        "weight": [2.0, 1.0],
        "density": [0.5, 0.5],
        "epsilon": [0.25, 0.25],
        "normalize": True,
        "rescale": True,
        "rescale_by": "l1",
        "lambda": 0.5,
        "elect": "weighted",
        "merge_func": "sum",
        "zero_sign": "positive",
    },
    expected=[1.75, 0, 4, 3.5],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """A random part of each delta, more of its large elements, merged under an elected sign."""
    return consensus.sign(inputs, ranked(inputs), working)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: every election, windows of every width, every way to rescale."""
    return in_turn(consensus.sign_variants(models), windows(models), RESCALING)

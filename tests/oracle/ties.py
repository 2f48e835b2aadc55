"""Oracle of TIES: trim each delta, elect a sign per element, merge the models that agree with it.

Yadav et al. 2023, arXiv:2306.01708. By hand, density 0.5 (two of four kept), weights 1 and 3, normalised, lambda 1:

    base               1      1      1      1
    model A            5      2     -2      1        A - base     4    1   -3    0     kept    4    0   -3    0
    model B           -1      1      2      5        B - base    -2    0    1    4     kept   -2    0    0    4
    weighted A                                                                                 4    0   -3    0
    weighted B                                                                                -6    0    0   12
    elected                                                                                   -2    0   -3   12
    majority                                                                                   -    +    -    +
    agree                                                                                      B    -    A    B
    sum of these, divided by the sum of their weights                                         -2    0   -3    4
    base + that       -1      1     -2      5
"""

from __future__ import annotations

from oracle import consensus
from oracle.consensus import sign_tolerance as tolerance
from oracle.contract import Example, Inputs, Merged, Working, in_turn
from oracle.sparsifiers import RESCALING, densities, top

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[5, 2, -2, 1], [-1, 1, 2, 5]],
    base=[1, 1, 1, 1],
    parameters={
        "weight": [1.0, 3.0],
        "density": [0.5, 0.5],
        "normalize": True,
        "rescale": False,
        "rescale_by": "l1",
        "lambda": 1.0,
        "scope": "tensor",
        "elect": "weighted",
        "merge_func": "sum",
        "zero_sign": "positive",
    },
    expected=[-1, 1, -2, 5],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """The largest of each delta, merged under an elected sign."""
    return consensus.sign(inputs, top(inputs), working)


def variants(models: int) -> list[dict]:
    """Parameter sets worth testing: the presets, every option both ways, densities from none to all."""
    return in_turn(consensus.sign_variants(models), densities(models), RESCALING[::-1], [{"scope": "tensor"}])

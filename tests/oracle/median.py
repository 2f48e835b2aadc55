"""Oracle of the median: per element, the middle value, or the mean of the two middle ones.

By hand, three models:

    model A            1      2     -8      0
    model B            5      3      1     -2
    model C            3     -4      2      4
    median             3      2      1      0
"""

from __future__ import annotations

from oracle.contract import Example, Inputs, Merged, Tolerance, Working, exact, ulp
from oracle.trimmed_mean import mean_of_middle

EXAMPLE = Example(
    models=[[1, 2, -8, 0], [5, 3, 1, -2], [3, -4, 2, 4]],
    base=None,
    parameters={},
    expected=[3, 2, 1, 0],
)


def merge(inputs: Inputs, working: Working) -> Merged:
    """The trimmed mean of which only the middle is left."""
    return mean_of_middle(inputs, (len(inputs.models) - 1) // 2, working)


def tolerance(models: int) -> Tolerance:
    """None for a value that is taken as it is; the sum and the division for the mean of two."""
    return exact if models % 2 else ulp(2)


def variants(models: int) -> list[dict]:
    """There are no parameters."""
    return [{}]

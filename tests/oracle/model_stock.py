"""Oracle of model stock: the models' average, drawn back to the base the less they agree.

Jang et al. 2024, arXiv:2403.19522. By hand, two models at 60 degrees:

    base               1      0      0      0
    model A            2      1      0      0        A - base     1    1    0    0     length √2
    model B            2      0      1      0        B - base     1    0    1    0     length √2
    cos = 1/2, so t = 2·½ / (1 + ½) = 2/3
    average            2    1/2    1/2      0
    t·average + (1 - t)·base
    result           5/3    1/3    1/3      0
"""

from __future__ import annotations

import math

from oracle.contract import Example, Inputs, Merged, Working, total_of
from oracle.gram import Gram, combine, tolerance

__all__ = ["EXAMPLE", "merge", "tolerance", "variants"]

EXAMPLE = Example(
    models=[[2, 1, 0, 0], [2, 0, 1, 0]],
    base=[1, 0, 0, 0],
    parameters={"filter_wise": False, "average": "cosine"},
    expected=[5 / 3, 1 / 3, 1 / 3, 0],
)


def coefficients(gram: Gram, average: str) -> list[float]:
    """t / K for each model, with t = K·c / (1 + (K - 1)·c), c the cosine of the pairs' angles on average, in double.

    Where the denominator vanishes, the models cancel and t is 0: the base.
    """
    count = len(gram)
    cosines = []
    for a in range(count):
        for b in range(a + 1, count):
            norms = math.sqrt(gram[a][a]) * math.sqrt(gram[b][b])
            cosines.append(min(max(gram[a][b] / max(norms, 1e-6), -1.0), 1.0))
    if average == "angle":
        cosine = math.cos(total_of([math.acos(c) for c in cosines]) / len(cosines))
    else:
        cosine = total_of(cosines) / len(cosines)
    denominator = 1.0 + (count - 1) * cosine
    t = 0.0 if abs(denominator) < 1e-6 else count * cosine / denominator
    return [t / count] * count


def merge(inputs: Inputs, working: Working) -> Merged:
    """base + Σ (t/K)·(x - base), with one t for the tensor or one for each row."""
    vectors = "row" if inputs.parameters["filter_wise"] else "tensor"
    return combine(inputs, working, lambda gram: coefficients(gram, inputs.parameters["average"]), vectors)


def variants(models: int) -> list[dict]:
    """Every parameter set there is."""
    return [
        {"filter_wise": filter_wise, "average": average}
        for filter_wise in (False, True)
        for average in ("cosine", "angle")
    ]

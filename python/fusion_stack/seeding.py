"""One seed for every random generator a run may draw from."""

from __future__ import annotations

import random


def seed_everything(seed: int, *, torch: bool = True) -> None:
    """Seeds the generators of Python and NumPy, and torch's unless told that nobody will draw from them.

    Raises ValueError below 0.
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    random.seed(seed)
    import numpy

    numpy.random.seed(seed % 2**32)
    if torch:
        from torch import manual_seed

        manual_seed(seed)

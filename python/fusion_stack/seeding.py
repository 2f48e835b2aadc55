"""One seed for every random generator a run may draw from."""

from __future__ import annotations

import random
import sys


def seed_everything(seed: int) -> None:
    """Seeds Python's generator, and NumPy's and torch's where they are loaded or will be; raises ValueError below 0."""
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    random.seed(seed)
    import numpy

    numpy.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)

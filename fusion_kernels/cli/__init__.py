"""The command `fusion-kernels`."""

from __future__ import annotations

import gc
from collections.abc import Sequence

# Imports make many objects that stay: looking for garbage among them takes 12 ms of every start.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line `words` (sys.argv without one): 0 done, 1 failed, 2 not understood."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from fusion_kernels.cli.application import run

    return run(words)

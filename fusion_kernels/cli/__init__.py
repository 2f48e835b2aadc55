"""The command `fusion-kernels`."""

from __future__ import annotations

from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line `words` (sys.argv without one): 0 done, 1 failed, 2 not understood."""
    from fusion_kernels.cli.application import run

    return run(words)

"""Measures the kernels: every method and operation, against a copy and against torch, with the result checked.

    from fusion_kernels.bench import Settings, run
    print(run(Settings(entries=("ties",), dtypes=("BF16",))).markdown)

``fusion-kernels bench`` is the same from the command line. Needs torch, numpy, pytest and pytest-benchmark, for the
picture matplotlib: ``pip install 'fusion_kernels[bench]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fusion_kernels.bench.runner import Outcome as Outcome
from fusion_kernels.bench.runner import run as run

if TYPE_CHECKING:
    from fusion_kernels.bench.settings import Settings as Settings

__all__ = ["Outcome", "Settings", "run"]


def __getattr__(name: str) -> Any:
    # Settings know the engine and torch's operations; that torch is missing is for run() to say.
    if name == "Settings":
        from fusion_kernels.bench.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The bench stage: every method and operation on the GPU, then at the sizes that the aims are stated for.

Without the command line's layer: where this runs there may be no typer.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fusion_kernels.bench import Outcome, Settings, run

SWEPT = 1 << 27  # elements of each tensor; the tensors of a call are gigabytes
# What the aims speak of, compared with torch as it is and compiled; compiling everything would take the longest.
AIMED = ("linear", "task_arithmetic", "passthrough", "median", "trimmed_mean", "ties-fold-only", "select", "ties")
AIMED_SIZE = 10**9
EMULATED = ("linear", "ties", "select", "slerp")


def runs(backend: str, folder: Path) -> list[Settings]:
    """The settings of each run; an emulated one rehearses the first."""
    if backend == "EMULATED":
        return [Settings(device="emulated", entries=EMULATED, dtypes=("BF16",), rounds=2, out=folder / "swept")]
    return [
        Settings(device="cuda", sizes=(SWEPT,), torch_rounds=3, compile=False, out=folder / "swept"),
        Settings(
            device="cuda", entries=AIMED, dtypes=("BF16",), sizes=(AIMED_SIZE,), torch_rounds=3, torch_budget=20,
            out=folder,
        ),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.bench", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--backend", default="ON", choices=["ON", "EMULATED"])
    arguments = parser.parse_args()
    outcomes = [shown(run(settings)) for settings in runs(arguments.backend, arguments.results)]
    return 1 if any(outcome.failures for outcome in outcomes) else 0


def shown(outcome: Outcome) -> Outcome:
    print(outcome.markdown)
    for line in (*(f"note: {note}" for note in outcome.notes), *(f"wrong: {failure}" for failure in outcome.failures)):
        print(line)
    return outcome


if __name__ == "__main__":
    sys.exit(main())

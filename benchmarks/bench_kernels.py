"""`fusion-kernels bench` into benchmarks/results/, every method compared with its oracle's bits besides.

python benchmarks/bench_kernels.py                                  # everything; hours on two cores
python benchmarks/bench_kernels.py --method ties --dtype BF16       # some of it; --help has the options
python benchmarks/bench_kernels.py --quick                          # does it run? its figures go to build/bench
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from cases import Case
from engine_calls import Merge, differing, documented_bits, run_engine
from oracle import ORACLES

from fusion_kernels.bench.checks import Checks
from fusion_kernels.bench.methods import base_is_apart, merged_count, settings
from fusion_kernels.cli import main

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = (61, 1024)  # the shape of the tensor that is compared


@cache
def sample(method: str, dtype: str, models: int) -> tuple[Merge, Any]:
    """A small merge and the bits that the documented operations give; None for them without an oracle."""
    count = merged_count(method, models)
    tensors = Case(SAMPLE, "fine_tunes", count).tensors(dtype)
    merge = Merge(tensors, settings(method, count), "sample", base_is_apart(method))
    return merge, documented_bits(method, merge) if method in ORACLES else None


@cache
def compare_with_oracle(method: str, dtype: str, instruction_set: str, models: int) -> int:
    """Merge a sample and compare every bit with what the oracle says; the number of elements, 0 without an oracle."""
    merge, expected = sample(method, dtype, models)
    if expected is None:
        return 0
    outputs, _ = run_engine(method, [merge], instruction_set=instruction_set)
    found = differing(outputs[0], expected)
    assert not found, f"{method}, {dtype}, {instruction_set}: {found}"
    return len(expected)


if __name__ == "__main__":
    Checks.further = staticmethod(compare_with_oracle)
    folder = ROOT / ("build/bench" if "--quick" in sys.argv else "benchmarks/results")
    sys.exit(main(["bench", "--out", str(folder), *sys.argv[1:]]))

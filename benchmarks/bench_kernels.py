"""Times every method's kernels in memory, per instruction set, on one core as on all, against a copy and against torch.

Each method gives one JSON file in benchmarks/results/; a table is printed, a picture drawn in build/bench/.

    python benchmarks/bench_kernels.py                                     # everything; two hours on two cores
    python benchmarks/bench_kernels.py --methods ties --dtypes BF16        # some of it
    python benchmarks/bench_kernels.py --quick --results /tmp/results      # does it run? its figures mean nothing
    python -m pytest benchmarks/bench_kernels.py --benchmark-json out.json # as pytest-benchmark runs it
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from kernel_calls import TORCH_DTYPES
from kernel_measure import SELECT, Laboratory, Measurement, Point, Settings, entries, points
from machine import ROOT, facts
from report_kernels import kernel_tables
from roofline import draw

from fusion_kernels._native import native

QUICK = {"rounds": 2, "torch_rounds": 1}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "point" in metafunc.fixturenames:
        metafunc.parametrize("point", points(_settings(metafunc.config)), ids=str)


@pytest.fixture(scope="session")
def laboratory(request: pytest.FixtureRequest) -> Laboratory:
    return Laboratory(_settings(request.config))


@pytest.fixture(scope="session")
def machine() -> dict[str, object]:
    return facts()


def test_kernels(benchmark: Any, laboratory: Laboratory, machine: dict[str, object], point: Point) -> None:
    measurement = Measurement(laboratory, point)
    rounds = laboratory.settings.rounds
    benchmark.pedantic(measurement.run, setup=measurement.prepare, rounds=rounds, warmup_rounds=1)
    row = measurement.row(list(benchmark.stats.stats.data))
    benchmark.extra_info.update(row)
    record(laboratory, machine, point, row)
    print(f"  {point.entry}, {point.dtype}, {point.threads} threads, {point.instruction_set}: {_line(row)}", flush=True)


def record(laboratory: Laboratory, machine: dict[str, object], point: Point, row: dict[str, Any]) -> None:
    """Put the row into its method's file: the first of this run begins a new one."""
    settings = laboratory.settings
    settings.results.mkdir(parents=True, exist_ok=True)
    path = result_path(settings, point.entry)
    copies = {
        str(threads): {"way": copy.name, "gigabytes_per_second": {k: v / 1e9 for k, v in copy.candidates.items()}}
        for threads, copy in laboratory.copies.items()
    }
    rows = json.loads(path.read_text())["rows"] if path in laboratory.begun else []
    laboratory.begun.add(path)
    result = {
        "benchmark": "kernels",
        "method": point.entry,
        "quick": settings.quick,
        "machine": machine,
        "cache_bytes": laboratory.cache_bytes,
        "copy": copies,
        "rows": [*rows, row],
    }
    path.write_text(json.dumps(result, indent=1) + "\n")


def result_path(settings: Settings, entry: str) -> Path:
    """Each kind of machine has its own results."""
    name = entry.replace(", ", "-").replace(" ", "-")
    return settings.results / f"kernels-{native().instruction_sets()[-1]}-{name}.json"


def _line(row: dict[str, Any]) -> str:
    if row["entry"] == SELECT:
        rate = row.get("selected_per_second_and_core")
        return f"{rate['median'] / 1e9:.2f} G elements/s per core" if rate else "lost in the noise"
    torch = f", torch takes {row['torch_over_ours']['median']:.1f}x" if "torch_over_ours" in row else ""
    share = 100 * row["share_of_copy"]["median"]
    return f"{row['gigabytes_per_second']['median']:.2f} GB/s, {share:.0f} % of copy{torch}"


class Chosen:
    """Hands the script's options to the tests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def pytest_configure(self, config: pytest.Config) -> None:
        config.kernel_settings = self.settings  # type: ignore[attr-defined]


def _settings(config: pytest.Config) -> Settings:
    return getattr(config, "kernel_settings", None) or Settings()


def options() -> tuple[Settings, Path]:
    known, default = entries(), Settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=known, default=known, metavar="METHOD", help=", ".join(known))
    parser.add_argument("--dtypes", nargs="+", choices=TORCH_DTYPES, default=default.dtypes, help="default BF16 F32")
    parser.add_argument("--instruction-sets", nargs="+", choices=native().instruction_sets(), default=())
    parser.add_argument("--threads", nargs="+", type=int, default=(), help="default: 1, and all cores")
    parser.add_argument("--models", type=int, default=default.models, help="fine-tunes beside the base (default 3)")
    parser.add_argument("--elements", type=float, default=0, help="of each tensor (default: last-level cache full)")
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--torch-rounds", type=int, default=default.torch_rounds, help="0: without torch")
    parser.add_argument("--torch-budget", type=float, default=default.torch_budget, help="seconds at one point")
    parser.add_argument("--quick", action="store_true", help="tiny tensors, two rounds: does it run?")
    parser.add_argument("--results", type=Path, default=default.results)
    parser.add_argument("--pictures", type=Path, default=ROOT / "build" / "bench")
    given = vars(parser.parse_args())
    pictures = given.pop("pictures").resolve()
    if given["quick"]:
        given |= QUICK
        if given["results"] == default.results:
            given["results"] = pictures  # not among the results that the pages show
    given["entries"] = tuple(given.pop("methods"))
    given["elements"] = int(given["elements"])
    given["results"] = given["results"].resolve()
    return Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}), pictures


def main() -> None:
    settings, pictures = options()
    quiet = ["-q", "-s", "--benchmark-quiet", "--no-header", "-p", "no:cacheprovider"]
    begun = time.time()
    status = pytest.main([__file__, *quiet], plugins=[Chosen(settings)])
    paths = [result_path(settings, entry) for entry in settings.entries]
    written = [path for path in paths if path.exists() and path.stat().st_mtime >= begun]
    results = [json.loads(path.read_text()) for path in written]
    print("\n" + "\n\n".join(kernel_tables(results)) + "\n")
    for path in [*written, *draw(results, pictures)]:
        print(path)
    raise SystemExit(int(status))


if __name__ == "__main__":
    main()

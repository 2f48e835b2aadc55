"""Runs the benchmarks: pytest-benchmark over the points of the settings, then tables and a picture of the results."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_kernels.errors import listing

if TYPE_CHECKING:
    import pytest

    from fusion_kernels.bench.settings import Settings

__all__ = ["Outcome", "check_packages", "run"]

NEEDED = {"torch": "torch", "numpy": "numpy", "pytest": "pytest", "pytest_benchmark": "pytest-benchmark"}
FAILED_TO_RUN = 300  # last characters of pytest's own words, where no measurement says what is wrong


@dataclass(frozen=True)
class Outcome:
    """What a run left: files, the Markdown of its tables, what failed and what could not be run."""

    files: tuple[Path, ...]
    markdown: str
    failures: tuple[str, ...]
    notes: tuple[str, ...]


def run(settings: Settings) -> Outcome:
    """Measure and check every point of the settings.

    The folder ``settings.out`` gets a JSON file for each method and operation, ``kernels.md`` and, where times mean
    something, ``kernels-*.png``.

    Raises ImportError naming packages that are missing, ValueError or DeviceError for a device there is not, ValueError
    where the settings leave nothing to measure, KeyboardInterrupt on Ctrl-C; results so far stay on disk then.
    """
    check_packages()
    from fusion_kernels.bench.settings import points

    _check_device(settings)
    wanted = len(points(settings))
    if wanted == 0:
        raise ValueError(f"nothing to measure: operations on torch tensors do not run on device {settings.device!r}")
    watcher = _Watcher(settings)
    _run_pytest(watcher, wanted)
    return _report(settings, watcher)


def check_packages() -> None:
    """Raise ImportError naming what is missing, and the way out."""
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise ImportError(
            f"fusion-kernels bench needs {listing(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            "installed: pip install 'fusion_kernels[bench]'"
        )


def _check_device(settings: Settings) -> None:
    from fusion_kernels._native import native
    from fusion_kernels.hardware import gpu_numbers

    numbers = gpu_numbers(settings.device)
    if len(numbers) > 1:
        raise ValueError(f"device {settings.device!r}: kernels are measured on one GPU; name one")
    if settings.kind == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise native().DeviceError("device 'cuda': the torch that is installed here was built without CUDA")


class _Watcher:
    """Hands the settings to the tests, and hears how each went."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.files: list[Path] = []  # the results of this run
        self.failures: list[str] = []
        self.skipped: dict[str, list[str]] = {}
        self.current = ""
        self.advance: Any = lambda: None

    def pytest_configure(self, config: pytest.Config) -> None:
        config.bench_settings = self.settings  # type: ignore[attr-defined]
        config.bench_files = self.files  # type: ignore[attr-defined]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.current = _point_of(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            reason = getattr(report.longrepr, "reprcrash", None)
            self.failures.append(f"{_point_of(report.nodeid)}: {reason.message if reason else report.longreprtext}")
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            self.skipped.setdefault(str(reason).removeprefix("Skipped: "), []).append(_point_of(report.nodeid))
        if report.when == "teardown":
            self.advance()


def _point_of(nodeid: str) -> str:
    return nodeid.partition("[")[2].removesuffix("]")


def _run_pytest(watcher: _Watcher, wanted: int) -> None:
    import pytest

    # By itself: whatever configuration, plugins and caches the folder has in which somebody stands.
    words = [str(Path(__file__).with_name("suite.py")), "-q"]
    for plugin in ("cacheprovider", "randomly", "xdist"):
        words += ["-p", f"no:{plugin}"]
    words += ["-c", "/dev/null", "--rootdir", str(Path(__file__).parent), "--benchmark-disable-gc"]
    said = io.StringIO()
    with _bar(watcher, wanted), _outside_xdist(), contextlib.redirect_stdout(said):
        code = pytest.main(words, plugins=[watcher])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest could not run the benchmarks: {said.getvalue()[-FAILED_TO_RUN:]}")


@contextlib.contextmanager
def _outside_xdist() -> Iterator[None]:
    """Without what a worker of pytest-xdist leaves in the environment: pytest-benchmark would not measure there."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PYTEST_XDIST_")}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextlib.contextmanager
def _bar(watcher: _Watcher, wanted: int) -> Iterator[None]:
    """A bar on a terminal, where rich is installed; a line for each point elsewhere."""
    done = 0
    if not sys.stderr.isatty() or find_spec("rich") is None:
        stream = sys.stderr

        def say() -> None:
            nonlocal done
            done += 1
            print(f"{done}/{wanted}  {watcher.current}", file=stream, flush=True)

        watcher.advance = say
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("measuring"), BarColumn(bar_width=16), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=wanted)
        watcher.advance = lambda: bar.update(task, advance=1, description=watcher.current)
        yield


def _report(settings: Settings, watcher: _Watcher) -> Outcome:
    from fusion_kernels.bench.tables import kernel_tables

    notes = [f"{reason} (not run: {listing(points, limit=4)})" for reason, points in watcher.skipped.items()]
    files = list(watcher.files)
    results = [json.loads(path.read_text()) for path in files]
    markdown = "\n\n".join(kernel_tables(results)) + "\n"
    if results:
        page = settings.out / "kernels.md"
        page.write_text(markdown)
        files.append(page)
    if find_spec("matplotlib") is None:
        notes.append("no picture was drawn: matplotlib is not installed (pip install 'fusion_kernels[bench]')")
    else:
        from fusion_kernels.bench.roofline import draw

        files += draw(results, settings.out)
    return Outcome(tuple(files), markdown, tuple(watcher.failures), tuple(notes))

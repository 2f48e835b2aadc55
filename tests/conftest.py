"""States in every test report which instruction sets ran, and which this processor lacks."""

from __future__ import annotations

import os

import pytest

# Beside other workers, a second thread of torch takes turns with their first, and waits for it spinning. To be set
# before torch is imported; whoever sets the variable is heeded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

KNOWN = ("scalar", "base", "avx2", "avx512")


def _instruction_sets() -> str:
    try:
        from fusion_kernels._native import native

        available = native().instruction_sets()
    except ImportError as error:  # tests that need the engine fail by themselves
        return f"instruction sets run: none, {error}"
    missing = [name for name in KNOWN if name not in available]
    line = f"instruction sets run: {', '.join(available)}"
    return f"{line}; NOT RUN, this processor lacks them: {', '.join(missing)}" if missing else line


def pytest_report_header(config: pytest.Config) -> str:
    return _instruction_sets()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(_instruction_sets())


@pytest.fixture
def own_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the methods written in Python that a test registers."""
    from fusion_kernels import method_info

    monkeypatch.setattr(method_info, "_registered", dict(method_info._registered))

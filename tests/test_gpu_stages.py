"""The stages of `make test-gpu`: one that hangs is ended with all it started, and its report has what it said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.gpu.__main__ import OVERRAN, ended, merge_line  # noqa: E402 -- tests are on the path, the project is not before the line above

HANGS = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"


def test_a_stage_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    with (tmp_path / "report.txt").open("w") as log:
        assert ended([sys.executable, "-c", HANGS], log, dict(os.environ), time.monotonic() + 1) == OVERRAN
    child = int((tmp_path / "report.txt").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "\nState:\tZ" in Path(f"/proc/{child}/status").read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"process {child} is still there")


def test_a_missing_tool_is_named_in_the_report(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.gpu", "build", "--backend", "EMULATED", "--folder", str(tmp_path / "built")]
    environment = {**os.environ, "PATH": str(tmp_path)}
    found = subprocess.run(
        [*words, "--out", str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert "cmake is not on PATH" in (tmp_path / "build.txt").read_text()
    assert "build: FAILED (127)" in (tmp_path / "build.txt").read_text()


def test_a_merge_is_told_on_one_line() -> None:
    summary = {"wall": {"ours": {"median": 1.5}}, "gigabytes_per_second": 2.25, "wall_over_floor": {"median": 3.0}}
    check = {"ours": {"elements": 57472, "share_undocumented": 0.0}}
    assert merge_line({"method": "ties", "summary": summary, "check": check}) == (
        "ties: 1.50 s, 2.25 GB/s read and written, 3.0 times the floor; of 57,472 elements checked 0.00% differ "
        "undocumentedly"
    )

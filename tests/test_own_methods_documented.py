"""What the documentation says about methods in Python works as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import tiny_checkpoint, weights

from fusion_kernels.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "own_methods.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.usefixtures("own_methods")


def test_the_page_s_method_merges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    base = tiny_checkpoint(tmp_path / "base", 0)
    tiny_checkpoint(tmp_path / "math", 1, near=base)
    tiny_checkpoint(tmp_path / "code", 2, near=base)
    code = re.findall(r"^```python\n(# my\.py\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "my.py").write_text(*code)
    lines = [line for line in PAGE.splitlines() if line.startswith("fusion-kernels ")]
    assert len(lines) == 2
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, line
    merged, start = weights(tmp_path / "OUT"), weights(base)
    assert all(0 < abs(merged[name] - start[name]).max() <= 0.2 * (0.6 + 0.4) + 1e-6 for name in start)


def test_the_example_ends_in_its_result(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "examples" / "own_method" / "low_rank.py")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^  (task_arithmetic|low_rank) +([\d.]+)$", done.stdout, re.MULTILINE))
    assert float(found["low_rank"]) < 0.5 * float(found["task_arithmetic"])

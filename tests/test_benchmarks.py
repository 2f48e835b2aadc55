"""The benchmarks run, check what they time, and their pages say what their results say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_pages_are_generated_from_the_results() -> None:
    checked = run("report.py", "--check")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.usefixtures("importable")
def test_a_small_benchmark_times_and_checks_every_method(tmp_path: Path) -> None:
    from fusion_kernels.bench.methods import METHODS

    folders = ["--folder", str(tmp_path / "work"), "--results", str(tmp_path)]
    once = ["--sizes", "0.001", "--rounds", "1", "--startup-rounds", "1", "--no-peer"]
    done = run("bench_merge.py", *once, *folders)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(path.read_text()) for path in tmp_path.glob("merge-*.json")]
    assert {result["method"] for result in results} == set(METHODS)
    for result in results:
        assert result["check"]["ours"]["elements"] > 10_000
        assert result["check"]["ours"]["share_undocumented"] == 0.0
        assert len(result["rounds"]) == 1
        assert result["summary"]["peak_anonymous"]["ours"] > 1 << 20
    page, readme = tmp_path / "page.md", tmp_path / "readme.md"
    devices = "<!-- device-table -->\n<!-- /device-table -->\n"
    readme.write_text(f"before\n<!-- benchmark-table -->\n<!-- /benchmark-table -->\nafter\n{devices}")
    assert run("report.py", "--results", str(tmp_path), "--page", str(page), "--readme", str(readme)).returncode == 0
    assert "| ties |" in page.read_text()
    assert readme.read_text().startswith("before\n<!-- benchmark-table -->\n| method |")


def test_limits_are_measured(tmp_path: Path) -> None:
    small = ["--elements", "1e6", "--tensors", "200", "--memory-limit", "64MiB", "--methods", "linear", "slerp", "ties"]
    done = run("bench_limits.py", *small, "--folder", str(tmp_path / "work"), "--results", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.stem for path in tmp_path.glob("*.json")} == {
        "limits-memory",
        "limits-many-tensors",
        "limits-plan-70b",
    }


@pytest.mark.usefixtures("importable")
def test_checkpoints_look_like_fine_tunes_and_are_made_once(tmp_path: Path) -> None:
    from checkpoints import TINY, make
    from distance import Reader
    from oracle.formats import decode

    made = make(tmp_path, TINY.shapes(), models=2, config=TINY.config())
    written = [path.stat().st_mtime_ns for path in made.files((made.base, *made.models))]
    again = make(tmp_path, TINY.shapes(), models=2, config=TINY.config())
    assert [path.stat().st_mtime_ns for path in again.files((again.base, *again.models))] == written
    name = "model.embed_tokens.weight"
    base, first, second = (decode(Reader(f).codes(name), "BF16") for f in (made.base, *made.models))
    assert base.std() == pytest.approx(0.02, rel=0.05)
    assert (first - base).std() == pytest.approx(0.001, rel=0.05)
    assert not np.array_equal(first, second)

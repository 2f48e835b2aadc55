"""Ctrl-C stops a merge within a second and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_plan import llama, sparse_checkpoint

# Tests run in a shell's background inherit an ignored SIGINT, which a merge in the foreground does not.
SCRIPT = """
import signal, sys
import fusion_kernels
signal.signal(signal.SIGINT, signal.default_int_handler)
out, *models = sys.argv[1:]
fusion_kernels.merge(models[1:], base=models[0], method="ties", weight=1, density=0.2, output=out, memory_limit="64MiB")
"""


@pytest.mark.alone
@pytest.mark.parametrize("output", ["out", "out.safetensors", "clone"])
def test_ctrl_c_removes_the_temporary_folder(tmp_path: Path, output: str) -> None:
    shapes = llama(layers=40, hidden=4096, inner=11008, vocabulary=128256, key_value=1024)
    models = [sparse_checkpoint(tmp_path / name, shapes, shards=3) for name in ("base", "math", "code")]
    work = tmp_path / "work"
    work.mkdir()
    if output == "clone":
        (work / "clone" / ".git").mkdir(parents=True)
    before = sorted(work.rglob("*"))
    # A group of its own, so that the signal reaches the merge alone, as a terminal's would.
    command = [sys.executable, "-c", SCRIPT, str(work / output), *map(str, models)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not written(work) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[1]
        assert written(work), "nothing was written within a minute"
        os.kill(process.pid, signal.SIGINT)
        started = time.monotonic()
        _, errors = process.communicate(timeout=30)
        seconds = time.monotonic() - started
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0
    assert sorted(work.rglob("*")) == before
    assert seconds < 1


def written(work: Path) -> bool:
    """Whether the merge has begun to fill the temporary folder's files beyond their headers."""
    return any(path.stat().st_blocks * 512 > 1 << 20 for path in work.glob(".*.tmp-*/*.safetensors"))

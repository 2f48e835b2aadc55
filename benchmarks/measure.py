"""Measures a command: wall time, CPU time, peak anonymous memory, which is sampled every 5 ms."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.005


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall time, of CPU in user mode and in the kernel; bytes of anonymous memory at peak.

    `output` is what it printed.
    """

    wall: float
    user: float
    system: float
    peak_anonymous: int
    output: str = ""

    @property
    def cpu(self) -> float:
        return self.user + self.system

    def as_dict(self) -> dict[str, float]:
        return {
            "wall": round(self.wall, 4),
            "cpu": round(self.cpu, 4),
            "user": round(self.user, 4),
            "system": round(self.system, 4),
            "peak_anonymous": self.peak_anonymous,
        }


def run(command: Sequence[str], *, accepted: Iterable[int] = (0,)) -> Run:
    """Run to the end. CPU time is wait4()'s, children included; memory is sampled from /proc, of the process itself.

    Raises RuntimeError with the end of the command's output when its exit code is not among those accepted.
    """
    with tempfile.TemporaryFile() as output:
        begun = time.perf_counter()
        # As installed, every contender finds its bytecode compiled; from a checkout, the first run leaves it there.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        sampler.finish()
        output.seek(0)
        printed = output.read().decode(errors="replace")
        if process.returncode not in accepted:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{printed[-2000:]}")
    return Run(wall, usage.ru_utime, usage.ru_stime, sampler.peak, printed)


class _Sampler(threading.Thread):
    """Reads a process's anonymous memory until it ends, and remembers the most."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            try:
                text = self._status.read_text()
            except (FileNotFoundError, ProcessLookupError):
                return
            found = [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("RssAnon:")]
            self.peak = max([self.peak, *found])

    def finish(self) -> None:
        self._ended.set()
        self.join()


def warm(files: Iterable[Path]) -> None:
    """Read files once, so that the page cache holds them."""
    for path in files:
        with open(path, "rb", buffering=0) as stream:
            while stream.read(1 << 22):
                pass


def cool(files: Iterable[Path]) -> None:
    """Ask the kernel to drop files from the page cache, after everything dirty went to disk."""
    os.sync()
    for path in files:
        with open(path, "rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

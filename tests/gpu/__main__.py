"""Tests and measures the CUDA backend on a machine with a GPU, in stages: `make test-gpu`, `python -m tests.gpu -h`.

Needs that machine's own Python, torch, CMake, ninja, pybind11, nvcc and pytest, and no network.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from tests.gpu.stages import ROOT, STAGES, commands, results_of

# Seconds after which a stage is ended, so that one that hangs does not cost the reports of those after it. An emulated
# GPU takes its time.
LIMITS = {"build": 300, "suite": 180, "sanitizer": 180, "bench": 180, "merge": 120}
OVERRAN = 124


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("stages", nargs="*", help=f"of {' '.join(STAGES)} (default all, in this order)")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or ROOT / "build" / "gpu-report"))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "gpu", help="where it is built")
    parser.add_argument("--backend", default="ON", choices=["ON", "EMULATED"], help="EMULATED rehearses without a GPU")
    arguments = parser.parse_args()
    if unknown := set(arguments.stages) - set(STAGES):
        parser.error(f"unknown stage {', '.join(sorted(unknown))}; known are {', '.join(STAGES)}")
    arguments.out, arguments.folder = arguments.out.resolve(), arguments.folder.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for stage in arguments.stages or STAGES:
        started = time.perf_counter()
        report = arguments.out / f"{stage}.txt"
        with report.open("w") as log:
            code = run(stage, arguments, log)
            lines = collect(stage, arguments)
            outcome = f"{stage}: {said_of(code, stage)} in {time.perf_counter() - started:.0f} s"
            log.writelines(f"{line}\n" for line in ("", *lines, outcome))
        print(f"{outcome}; {report}", flush=True)
        if code != 0:
            failed.append(stage)
            print("".join(report.read_text(errors="replace").splitlines(keepends=True)[-30:]))
            if stage == "build":
                break
    return 1 if failed else 0


def said_of(code: int, stage: str) -> str:
    if code == OVERRAN:
        return f"FAILED, ended at its limit of {LIMITS[stage]} s,"
    return "passed" if code == 0 else f"FAILED ({code})"


def run(stage: str, arguments: argparse.Namespace, log: TextIO) -> int:
    """One stage; what it prints goes to its report. Results of an earlier run are forgotten."""
    shutil.rmtree(results_of(stage, arguments), ignore_errors=True)
    end = math.inf if arguments.backend == "EMULATED" else time.monotonic() + LIMITS[stage]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(arguments.folder), str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }
    try:
        asked = commands(stage, arguments)
    except subprocess.CalledProcessError as error:  # a package that is not there
        log.write(error.stderr)
        return error.returncode
    for command in asked:
        log.write(f"$ {' '.join(map(str, command))}\n")
        log.flush()
        try:
            code = ended(command, log, environment, end)
        except FileNotFoundError as error:
            log.write(f"{error.filename} is not on PATH\n")
            return 127
        if code != 0:
            return code
    return 0


def ended(command: list[str], log: TextIO, environment: dict[str, str], end: float) -> int:
    """The exit code of a command, which is killed with all it started once it is later than `end`."""
    process = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment, preexec_fn=os.setpgrp
    )
    try:
        return process.wait(None if end == math.inf else max(0.0, end - time.monotonic()))
    except BaseException as error:  # Ctrl-C does not reach another group
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return OVERRAN
        raise


def collect(stage: str, arguments: argparse.Namespace) -> list[str]:
    """All results of a stage as one JSON file among the reports, and its picture; what its own report should say."""
    folder = results_of(stage, arguments)
    found = [json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))]
    if found:
        (arguments.out / f"{stage}.json").write_text(json.dumps(found, indent=1) + "\n")
    for picture in sorted(folder.glob("*.png"))[:1]:
        shutil.copy(picture, arguments.out / f"{stage}.png")
    return [merge_line(result) for result in found] if stage == "merge" else []


def merge_line(result: dict[str, Any]) -> str:
    """A merge's time, rate and check, on one line."""
    summary, checked = result["summary"], result["check"]["ours"]
    wall, floor = summary["wall"]["ours"]["median"], summary["wall_over_floor"]["median"]
    return (
        f"{result['method']}: {wall:.2f} s, {summary['gigabytes_per_second']:.2f} GB/s read and written, "
        f"{floor:.1f} times the floor; of {checked['elements']:,} elements checked "
        f"{checked['share_undocumented']:.2%} differ undocumentedly"
    )


if __name__ == "__main__":
    sys.exit(main())

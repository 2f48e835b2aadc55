"""Tests and measures the CUDA backend on a machine with a GPU, in stages: `make test-gpu`, `python -m tests.gpu -h`.

Needs that machine's own Python, torch, CMake, ninja, pybind11, nvcc and pytest, and no network.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("build", "suite", "sanitizer", "bench", "merge")
SUITE = (
    "tests/test_parity_device.py",
    "tests/test_merge_device.py",
    "tests/test_gpu_tensors.py",
    "tests/test_ops_device.py",
    "tests/test_ops_device_torch.py",
    "tests/test_gpu_ops.py",
)


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
        collect(stage, arguments)
        seconds = time.perf_counter() - started
        print(f"{stage}: {'passed' if code == 0 else f'FAILED ({code})'} in {seconds:.0f} s; {report}", flush=True)
        if code != 0:
            failed.append(stage)
            print("".join(report.read_text(errors="replace").splitlines(keepends=True)[-30:]))
            if stage == "build":
                break
    return 1 if failed else 0


def run(stage: str, arguments: argparse.Namespace, log: object) -> int:
    """One stage; what it prints goes to its report."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(arguments.folder), str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }
    for command in commands(stage, arguments):
        log.write(f"$ {' '.join(map(str, command))}\n")  # type: ignore[attr-defined]
        log.flush()  # type: ignore[attr-defined]
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment).returncode  # type: ignore[call-overload]
        if code != 0:
            return int(code)
    return 0


def commands(stage: str, arguments: argparse.Namespace) -> list[list[str]]:
    """What a stage runs, one after the other."""
    python = sys.executable
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if stage == "build":
        version = subprocess.run(
            [python, "-c", "from fusion_kernels._version import __version__; print(__version__)"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        ).stdout.strip()
        folder = subprocess.run(
            [python, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
        ).stdout.strip()
        configure = ["cmake", "-S", str(ROOT), "-B", str(arguments.folder), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
        configure += [f"-DFK_CUDA={arguments.backend}", f"-DSKBUILD_PROJECT_VERSION={version}"]
        configure += [f"-DSKBUILD_PROJECT_VERSION_FULL={version}", "-DPYBIND11_FINDPYTHON=ON"]
        configure += [f"-DPython_EXECUTABLE={python}", f"-Dpybind11_DIR={folder}"]
        return [configure, ["cmake", "--build", str(arguments.folder)]]
    if stage == "suite":
        return [[*pytest, *SUITE]]
    if stage == "sanitizer":
        few = [
            *pytest,
            "tests/test_parity_device.py",
            "-k",
            "several_chunks and (ties or della or dare_ties or nuslerp)",
        ]
        if arguments.backend == "EMULATED":
            return [few]
        tools = (["--tool", "memcheck"], ["--tool", "racecheck"])
        return [["compute-sanitizer", *tool, "--error-exitcode", "9", *few] for tool in tools]
    results = str(results_of(stage, arguments))
    if stage == "bench":
        return [[python, "-m", "tests.gpu.bench", results, "--backend", arguments.backend]]
    billions = "0.002" if arguments.backend == "EMULATED" else "0.5"
    device = "emulated" if arguments.backend == "EMULATED" else "cuda"
    merge = [python, "benchmarks/bench_merge.py", "--methods", "ties", "linear", "slerp", "--rounds", "3"]
    options = ["--option=--device", f"--option={device}", "--peer-option=--cuda"]
    return [[*merge, "--sizes", billions, *options, "--results", results]]


def results_of(stage: str, arguments: argparse.Namespace) -> Path:
    """Where a stage leaves its results; the reports get them in one file."""
    return Path(arguments.folder) / "results" / stage


def collect(stage: str, arguments: argparse.Namespace) -> None:
    """All results of a stage as one JSON file among the reports, and its picture."""
    folder = results_of(stage, arguments)
    found = [json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))]
    if found:
        (arguments.out / f"{stage}.json").write_text(json.dumps(found, indent=1) + "\n")
    for picture in sorted(folder.glob("*.png"))[:1]:
        shutil.copy(picture, arguments.out / f"{stage}.png")


if __name__ == "__main__":
    sys.exit(main())

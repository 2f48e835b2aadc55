"""What each stage runs: with a GPU, or on the emulated one to rehearse it."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("build", "suite", "sanitizer", "bench", "merge")
VERSIONS = "import sys; from importlib.metadata import version; print('Python', sys.version, 'torch', version('torch'))"
SUITE = (
    "tests/test_parity_device.py",
    "tests/test_merge_device.py",
    "tests/test_gpu_tensors.py",
    "tests/test_ops_device.py",
    "tests/test_ops_device_torch.py",
    "tests/test_gpu_ops.py",
)


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
        versions = [python, "-c", VERSIONS]
        tools = [["nvcc", "--version"], *([["nvidia-smi"]] if shutil.which("nvidia-smi") else [])]
        gpu = tools if arguments.backend == "ON" else []
        return [versions, *gpu, configure, ["cmake", "--build", str(arguments.folder)]]
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

"""The direction of knowledge: which part of the tree may name what."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fusion_kernels

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "fusion_kernels"
NATIVE_SUFFIXES = {".h", ".hpp", ".cpp", ".cuh", ".cu"}
LONGEST_FILE = 300


def native_files(folder: Path = CSRC) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in NATIVE_SUFFIXES)
    assert files, f"no sources under {folder}"
    return files


def code(path: Path) -> str:
    """The file without its comments and string literals, line numbers kept."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    text = re.sub(
        r'(#include\s+)"([^"\n]*)"', r"\1<\2>", path.read_text(encoding="utf-8")
    )  # an include is knowledge, not text
    return re.sub(pattern, lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)


def naming(pattern: str, files: list[Path]) -> list[str]:
    found = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(code(path).splitlines(), 1)
        if found.search(line)
    ]


def within(path: Path, *parts: str) -> bool:
    return path.is_relative_to(CSRC.joinpath(*parts))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def test_engine_knows_no_python():
    files = [path for path in native_files() if not within(path, "bindings")]
    assert naming(r"Python\.h|pybind11|\bPy[A-Z]\w+_\w+|\btorch\b|\bATen\b|c10::", files) == []


def test_methods_know_no_backend():
    files = native_files(CSRC / "methods")
    assert naming(r"threadIdx|blockIdx|__shared__|\b_mm\d*_|__m\d+|avx|sse|neon|(?<!\w)cuda|cpu/|__CUDA", files) == []


def test_kernels_are_launched_in_one_place():
    files = [path for path in native_files() if path != CSRC / "cuda" / "launch.cuh"]
    assert naming(r"<<<", files) == []


def test_engine_neither_prints_nor_ends_the_process():
    assert (
        naming(r"\b(exit|_exit|abort|quick_exit|terminate|printf|fprintf|puts)\s*\(|std::c(out|err)\b", native_files())
        == []
    )


def test_intrinsics_stay_in_the_lanes():
    files = [
        path for path in native_files() if not re.fullmatch(r"lanes\w*\.hpp", path.name) or not within(path, "cpu")
    ]
    assert naming(r"\b_mm\d*_\w+|\b__m(128|256|512)|immintrin\.h", files) == []


def test_package_knows_nothing_of_the_stack():
    for path in PACKAGE.rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] == "fusion_stack"], path


def test_one_module_loads_the_extension():
    users = {
        path.name
        for path in PACKAGE.rglob("*.py")
        if "_fusion_kernels" in {name.split(".")[0] for name in imported(path)}
    }
    # Loading by importlib would be found as text.
    users |= {
        path.name for path in PACKAGE.rglob("*.py") if re.search(r"import_module\(\W*_fusion_kernels", path.read_text())
    }
    assert users == {"_native.py"}


def test_recipes_need_no_pydantic():
    # Their errors name line and key path, and a merge's start-up has no room for it.
    assert not [path for path in PACKAGE.rglob("*.py") if "pydantic" in {name.split(".")[0] for name in imported(path)}]


@pytest.mark.parametrize("method", [method.name for method in fusion_kernels.methods()])
def test_every_method_has_an_oracle(method):
    assert (ROOT / "tests" / "oracle" / f"{method}.py").is_file()
    assert (CSRC / "methods" / f"{method}.hpp").is_file()


def sources() -> list[Path]:
    folders = ("csrc", "fusion_kernels", "python", "tests", "benchmarks", "examples", "docs")
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return [path for path in paths if path.suffix in NATIVE_SUFFIXES | {".py"}]


def test_files_have_one_job_and_say_it():
    too_long, silent = [], []
    for path in sources():
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > LONGEST_FILE:
            too_long.append(f"{path.relative_to(ROOT)}: {len(lines)} lines")
        first = next((line for line in lines if line and not line.startswith("#!")), "")
        if lines and not first.startswith(('"""', 'r"""', "//")):
            silent.append(f"{path.relative_to(ROOT)}: {first}")
    assert (too_long, silent) == ([], [])

"""What is timed against what: this engine, mergekit, and the floor that no merge from disk can go below."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from checkpoints import CheckpointSet

from fusion_kernels.bench.methods import Method

ROOT = Path(__file__).resolve().parent.parent
MERGEKIT = ROOT / "build" / "mergekit-venv" / "bin" / "mergekit-yaml"
MERGEKIT_OPTIONS = ("--no-copy-tokenizer",)


def merged_models(method: Method, checkpoints: CheckpointSet) -> tuple[Path, ...]:
    """The fine-tunes the method merges."""
    return checkpoints.models[: method.models]


def inputs(method: Method, checkpoints: CheckpointSet) -> list[Path]:
    """The weight files the method cannot do without."""
    base = (checkpoints.base,) if method.reads_base else ()
    return checkpoints.files((*base, *merged_models(method, checkpoints)))


def recipe(method: Method, checkpoints: CheckpointSet) -> str:
    """One YAML for both engines."""
    listed: list[dict[str, object]] = [{"model": str(path)} for path in merged_models(method, checkpoints)]
    for entry in listed:
        if method.per_model:
            entry["parameters"] = dict(method.per_model)
    document: dict[str, object] = {"merge_method": method.name, "dtype": "bfloat16", "models": listed}
    if method.reads_base:
        document["base_model"] = str(checkpoints.base)
        if method.name == "slerp":
            document["models"] = [{"model": str(checkpoints.base)}, *listed]
    if method.shared:
        document["parameters"] = dict(method.shared)
    return yaml.safe_dump(document, sort_keys=False)


Contender = Callable[[Path, Path], list[str]]  # (recipe file, output folder) -> command


WITHOUT_CLI = (
    "import sys, fusion_kernels; recipe, output, *words = sys.argv[1:]; "
    "options = dict(zip((w[2:].replace('-', '_') for w in words[::2]), words[1::2])); "
    "fusion_kernels.merge(recipe, output=output, **options)"
)


def ours(*options: str) -> Contender:
    """The whole program, as it is installed beside this Python; the library alone where typer is not."""
    if importlib.util.find_spec("typer") is None:
        return lambda recipe_file, output: [sys.executable, "-c", WITHOUT_CLI, str(recipe_file), str(output), *options]
    program = Path(sys.executable).parent / "fusion-kernels"
    start = [str(program)] if program.exists() else [sys.executable, "-m", "fusion_kernels.cli"]
    return lambda recipe_file, output: [*start, "merge", str(recipe_file), str(output), *options]


def mergekit(executable: Path, *options: str) -> Contender:
    """mergekit with its defaults, on the CPU unless an option says otherwise."""
    return lambda recipe_file, output: [str(executable), str(recipe_file), str(output), *options]


def floor(method: Method, checkpoints: CheckpointSet) -> Contender:
    """`cat` of all inputs to nothing, then of one model to new files: the bytes a merge must move."""
    reads = " ".join(shlex.quote(str(path)) for path in inputs(method, checkpoints))
    copies = [
        f"cat {shlex.quote(str(path))} > {{output}}/{shlex.quote(path.name)}"
        for path in checkpoints.files(checkpoints.models[:1])
    ]

    def command(recipe_file: Path, output: Path) -> list[str]:
        target = shlex.quote(str(output))
        steps = [f"mkdir -p {target}", f"cat {reads} > /dev/null", *(c.format(output=target) for c in copies)]
        return ["sh", "-c", " && ".join(steps)]

    return command


def find_mergekit(given: Path | None) -> Path | None:
    """The executable named, or the one in build/mergekit-venv, or the one on PATH."""
    if given is not None:
        if not given.exists():
            raise SystemExit(f"--mergekit: {given} does not exist")
        return given
    found = MERGEKIT if MERGEKIT.exists() else shutil.which("mergekit-yaml")
    return Path(found) if found else None


def mergekit_versions(executable: Path) -> dict[str, str]:
    """What the environment of a mergekit executable has installed."""
    question = (
        "import importlib.metadata as m;print(*(n+'='+m.version(n) for n in ('mergekit','torch','transformers')))"
    )
    interpreter = executable.parent / "python"
    answer = subprocess.run([interpreter, "-c", question], capture_output=True, text=True, check=True).stdout
    return dict(pair.split("=", 1) for pair in answer.split())

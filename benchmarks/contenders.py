"""What is timed against what: this engine, mergekit, and the floor that no merge from disk can go below."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from checkpoints import CheckpointSet

ROOT = Path(__file__).resolve().parent.parent
MERGEKIT = ROOT / "build" / "mergekit-venv" / "bin" / "mergekit-yaml"
MERGEKIT_OPTIONS = ("--no-copy-tokenizer",)


@dataclass(frozen=True)
class Method:
    """A method as the benchmarks run it. `models` of the fine-tunes are merged; None is all of them.

    `draws` says that the result depends on random numbers, of which mergekit's are others; `peer` that mergekit has it.
    """

    name: str
    per_model: dict[str, float]
    shared: dict[str, float]
    reads_base: bool
    models: int | None = None
    draws: bool = False
    peer: bool = True


def registered() -> dict[str, dict[str, Any]]:
    """The engine's description of each of its methods, by name."""
    from fusion_kernels._native import native

    return {method["name"]: method for method in native().methods()}


_HALF = {"weight": 1.0, "density": 0.5}
_TABLE = (
    Method("linear", {"weight": 1.0}, {}, reads_base=False),
    Method("task_arithmetic", {"weight": 0.4}, {}, reads_base=True),
    Method("slerp", {}, {"t": 0.5}, reads_base=True, models=1),
    Method("ties", {"weight": 1.0, "density": 0.2}, {}, reads_base=True),
    Method("dare_linear", {"weight": 0.4, "density": 0.5}, {}, reads_base=True, draws=True),
    Method("dare_ties", _HALF, {}, reads_base=True, draws=True),
    Method("breadcrumbs", {"weight": 0.4, "density": 0.5, "gamma": 0.01}, {}, reads_base=True),
    Method("breadcrumbs_ties", {**_HALF, "gamma": 0.01}, {}, reads_base=True),
    Method("della", {**_HALF, "epsilon": 0.15}, {}, reads_base=True, draws=True),
    Method("della_linear", {"weight": 0.4, "density": 0.5, "epsilon": 0.15}, {}, reads_base=True, draws=True),
    Method("nuslerp", {"weight": 1.0}, {}, reads_base=True, models=2),
    Method("multislerp", {"weight": 1.0}, {}, reads_base=True),
    # All ten iterations: how many the default tolerance takes depends on how far apart the fine-tunes are, and random
    # ones as close as these are done after one or two.
    Method("karcher", {}, {"max_iter": 10, "tol": 0.0}, reads_base=False),
    Method("model_stock", {}, {}, reads_base=True),
    Method("trimmed_mean", {}, {"trim": 0.34}, reads_base=False, peer=False),  # one of three at either end
    Method("median", {}, {}, reads_base=False, peer=False),
    Method("passthrough", {}, {}, reads_base=False, models=1),
)
# What this build of the engine has; a method that is missing above is not merged from disk.
METHODS = {method.name: method for method in _TABLE if method.name in registered()}


def settings(name: str, models: int) -> dict[str, Any]:
    """Every parameter of a method for `models` merged models: as in the table, else the engine's default.

    A method that the table lacks gets, for a parameter without default, what a preset gives, the middle of its range,
    or 1.
    """
    known = METHODS.get(name)
    given = {**known.per_model, **known.shared} if known else {}
    values: dict[str, Any] = {}
    for parameter in registered()[name]["parameters"]:
        value = given.get(parameter["name"], parameter["default"])
        if value is None:
            bounds = parameter["minimum"], parameter["maximum"]
            middle = 1.0 if None in bounds else sum(bounds) / 2
            value = next(iter(parameter["presets"].values()), middle)
        values[parameter["name"]] = [value] * models if parameter["per_model"] else value
    return values


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


def ours(*options: str) -> Contender:
    """The whole program, as it is installed beside this Python."""
    program = Path(sys.executable).parent / "fusion-kernels"
    start = [str(program)] if program.exists() else [sys.executable, "-m", "fusion_kernels.cli"]
    return lambda recipe_file, output: [*start, "merge", str(recipe_file), str(output), *options]


def mergekit(executable: Path) -> Contender:
    """mergekit on the CPU with its defaults."""
    return lambda recipe_file, output: [str(executable), str(recipe_file), str(output), *MERGEKIT_OPTIONS]


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

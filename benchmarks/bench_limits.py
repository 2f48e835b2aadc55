"""Measures what must stay small: memory under a limit, many tiny tensors, the plan of a very large model.

python benchmarks/bench_limits.py memory many-tensors plan-70b
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from checkpoints import LLAMA_70B, make, make_sparse, parameters
from contenders import ROOT, ours, recipe
from measure import run, warm

from fusion_kernels.bench.clock import spread
from fusion_kernels.bench.machine import facts
from fusion_kernels.bench.methods import METHODS

CONFIG: dict[str, object] = {"torch_dtype": "bfloat16"}


def memory(arguments: argparse.Namespace) -> dict[str, object]:
    """Peak anonymous memory of merging one tensor of half a billion elements under memory_limit."""
    rows = max(1, round(arguments.elements / 4096))
    found = make(arguments.folder / "one-tensor", {"weight": (rows, 4096)}, models=3, config=CONFIG, shards=1)
    warm(found.files((found.base, *found.models)))
    peaks = {}
    for method in (METHODS[name] for name in arguments.methods):
        recipe_file = arguments.folder / "recipe.yml"
        recipe_file.write_text(recipe(method, found))
        output = arguments.folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        measured = run(ours("--memory-limit", arguments.memory_limit)(recipe_file, output))
        shutil.rmtree(output)
        peaks[method.name] = measured.as_dict()
    return {"elements": parameters({"": (rows, 4096)}), "memory_limit": arguments.memory_limit, "runs": peaks}


def many_tensors(arguments: argparse.Namespace) -> dict[str, object]:
    """Wall time of merging 40,000 tensors of 4x4."""
    shapes = {f"layers.{i}.weight": (4, 4) for i in range(arguments.tensors)}
    found = make(arguments.folder / "many-tensors", shapes, models=3, config=CONFIG, shards=2)
    runs = {}
    for method in (METHODS[name] for name in arguments.methods):
        recipe_file = arguments.folder / "recipe.yml"
        recipe_file.write_text(recipe(method, found))
        output = arguments.folder / "output"
        walls = []
        for _ in range(3):
            shutil.rmtree(output, ignore_errors=True)
            walls.append(run(ours()(recipe_file, output)).wall)
        shutil.rmtree(output)
        runs[method.name] = spread(walls)
    return {"tensors": arguments.tensors, "wall": runs}


def plan_70b(arguments: argparse.Namespace) -> dict[str, object]:
    """Wall time of planning a merge of models shaped like Llama 70B, from sparse files.

    A disk too small for the result is the one problem a plan may find here.
    """
    root = arguments.folder / "sparse-70b"
    found = make_sparse(root, LLAMA_70B.shapes(), models=3, config=LLAMA_70B.config(), shards=30)
    runs = {}
    for method in (METHODS[name] for name in arguments.methods):
        recipe_file = arguments.folder / "recipe.yml"
        recipe_file.write_text(recipe(method, found))
        merge = ours("--json")(recipe_file, arguments.folder / "output")
        command = ["plan" if word == "merge" else word for word in merge]
        plans = [run(command, accepted=(0, 1)) for _ in range(3)]
        planned = json.loads(plans[0].output)
        unexpected = [problem for problem in planned["problems"] if "the disk is too full" not in problem]
        if unexpected or planned["tensors"] != len(LLAMA_70B.shapes()):
            raise SystemExit(f"{method.name}: {planned['tensors']} tensors planned, problems {unexpected}")
        runs[method.name] = spread([plan.wall for plan in plans])
    shutil.rmtree(root)
    return {"parameters": found.parameters, "models": 3, "shards": 30, "wall": runs}


BENCHMARKS: dict[str, Callable[[argparse.Namespace], dict[str, object]]] = {
    "memory": memory,
    "many-tensors": many_tensors,
    "plan-70b": plan_70b,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="*", default=list(BENCHMARKS), help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--elements", type=float, default=131072 * 4096, help="of the one tensor (default 0.54e9)")
    parser.add_argument("--memory-limit", default="256MiB")
    parser.add_argument("--tensors", type=int, default=40_000)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    arguments.results.mkdir(parents=True, exist_ok=True)
    for name in arguments.benchmarks:
        if name not in BENCHMARKS:
            parser.error(f"unknown benchmark {name!r}; expected {', '.join(BENCHMARKS)}")
        result = {"benchmark": name, "machine": facts(), **BENCHMARKS[name](arguments)}
        path = arguments.results / f"limits-{name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps({k: v for k, v in result.items() if k != "machine"}), path)


if __name__ == "__main__":
    main()

"""Times whole merges of Llama-shaped checkpoints: this engine, mergekit, and the floor, in turn in one run.

Each method and size gives one JSON file in benchmarks/results/, from which benchmarks/report.py makes the tables.

    python benchmarks/bench_merge.py                                   # what the README shows, hours with mergekit
    python benchmarks/bench_merge.py --sizes 0.02 --methods ties       # a few minutes
    python benchmarks/bench_merge.py --methods della --peer-rounds 3   # fewer runs of a peer that takes minutes each
    python benchmarks/bench_merge.py --cold --no-peer
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

from checkpoints import CheckpointSet, Llama, describe, llama, make
from contenders import (
    MERGEKIT_OPTIONS,
    ROOT,
    Contender,
    find_mergekit,
    floor,
    inputs,
    merged_models,
    mergekit,
    mergekit_versions,
    ours,
    recipe,
)
from distance import distances
from measure import Run, cool, run, warm

from fusion_kernels.bench.clock import spread
from fusion_kernels.bench.machine import facts
from fusion_kernels.bench.methods import METHODS, Method

SAMPLED_TENSORS = 6


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=float, default=[0.5, 0.85], help="billions of parameters")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--models", type=int, default=3, help="fine-tunes beside the base (default 3)")
    parser.add_argument("--rounds", type=int, default=7, help="of this engine and the floor (default 7)")
    parser.add_argument("--startup-rounds", type=int, default=3, help="of the start-up alone (default 3)")
    parser.add_argument("--peer-rounds", type=int, default=7, help="of mergekit, in the first rounds (default 7)")
    parser.add_argument("--peer-budget", type=float, default=float("inf"), help="seconds after which mergekit stops")
    parser.add_argument("--mergekit", type=Path, help="its mergekit-yaml (default build/mergekit-venv, then PATH)")
    parser.add_argument("--no-peer", action="store_true", help="run without mergekit")
    parser.add_argument("--cold", action="store_true", help="drop the inputs from the page cache before every run")
    parser.add_argument("--option", action="append", default=[], help="passed to fusion-kernels merge, repeatable")
    parser.add_argument("--peer-option", action="append", default=[], help="passed to mergekit-yaml, repeatable")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench", help="for checkpoints and outputs")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    return parser.parse_args()


class Bench:
    """One method at one size: the rounds, and what is said about them."""

    def __init__(self, arguments: argparse.Namespace, method: Method, billions: float, peer: Path | None) -> None:
        self.arguments = arguments
        self.method = method
        self.shape = llama(billions)
        self.peer = peer if method.peer else None
        self.peer_options = [*MERGEKIT_OPTIONS, *arguments.peer_option]
        self.folder = arguments.folder.resolve()
        self.output = self.folder / "output"
        self.checkpoints = self.prepared(self.folder / f"llama-{billions:g}b", self.shape)
        self.tiny = self.prepared(self.folder / "llama-tiny", llama(0.001))

    def prepared(self, root: Path, shape: Llama) -> CheckpointSet:
        return make(root, shape.shapes(), models=self.arguments.models, config=shape.config())

    def contenders(self, checkpoints: CheckpointSet) -> dict[str, Contender]:
        found = {"floor": floor(self.method, checkpoints), "ours": ours(*self.arguments.option)}
        return found | ({"peer": mergekit(self.peer, *self.peer_options)} if self.peer else {})

    def once(self, contender: Contender, checkpoints: CheckpointSet, keep: Path | None = None) -> Run:
        """One measured run; its output is deleted, or moved to `keep`."""
        recipe_file = self.folder / "recipe.yml"
        recipe_file.write_text(recipe(self.method, checkpoints))
        shutil.rmtree(self.output, ignore_errors=True)
        if self.arguments.cold:
            cool(inputs(self.method, checkpoints))
        measured = run(contender(recipe_file, self.output))
        if keep is not None:
            shutil.rmtree(keep, ignore_errors=True)
            self.output.rename(keep)
        shutil.rmtree(self.output, ignore_errors=True)
        return measured

    def startups(self) -> dict[str, list[Run]]:
        """The same merge of a model so small that only starting costs anything."""
        contenders = {k: c for k, c in self.contenders(self.tiny).items() if k != "floor"}
        for contender in contenders.values():
            self.once(contender, self.tiny)
        found: dict[str, list[Run]] = {label: [] for label in contenders}
        for _ in range(self.arguments.startup_rounds):
            for label, contender in contenders.items():
                found[label].append(self.once(contender, self.tiny))
        return found

    def rounds(self) -> list[dict[str, Run]]:
        """Floor, ours, mergekit, floor, ours, ...; the first outputs are kept for the comparison."""
        contenders = self.contenders(self.checkpoints)
        found: list[dict[str, Run]] = []
        peer_seconds = 0.0
        for number in range(self.arguments.rounds):
            found.append({})
            if not self.arguments.cold:  # a program that maps files leaves them in small pages, slow to read
                cool(inputs(self.method, self.checkpoints))
                warm(inputs(self.method, self.checkpoints))
            for label, contender in contenders.items():
                stopped = number >= self.arguments.peer_rounds or peer_seconds > self.arguments.peer_budget
                if label == "peer" and stopped:
                    continue
                keep = self.folder / f"kept-{label}" if number == 0 and label != "floor" else None
                measured = self.once(contender, self.checkpoints, keep)
                found[-1][label] = measured
                peer_seconds += measured.wall if label == "peer" else 0.0
                print(f"  {number + 1}: {label:5} {measured.wall:8.2f} s wall {measured.cpu:8.2f} s CPU", flush=True)
        return found

    def result(self) -> dict[str, object]:
        startups = self.startups()
        rounds = self.rounds()
        kept = {label: self.folder / f"kept-{label}" for label in rounds[0] if label != "floor"}
        compared = {label: path for label, path in kept.items() if label == "ours" or not self.method.draws}
        names, found = distances(self.method, self.checkpoints, compared, SAMPLED_TENSORS)
        for folder in kept.values():
            shutil.rmtree(folder)
        used = inputs(self.method, self.checkpoints)
        read = sum(path.stat().st_size for path in used)
        return {
            "benchmark": "merge",
            "method": self.method.name,
            "parameters": {**self.method.per_model, **self.method.shared},
            "cache": "cold" if self.arguments.cold else "warm",
            "model": describe(self.shape),
            "models": len(merged_models(self.method, self.checkpoints)),
            "base": self.method.reads_base,
            "bytes_read": read,
            "bytes_written": 2 * self.checkpoints.parameters,
            "options": self.arguments.option,
            "machine": facts(),
            "peer": {**mergekit_versions(self.peer), "options": self.peer_options} if self.peer else None,
            "summary": summary(startups, rounds, read + 2 * self.checkpoints.parameters),
            "check": {"tensors": names, **{label: distance.as_dict() for label, distance in found.items()}},
            "startup": {label: [r.as_dict() for r in runs] for label, runs in startups.items()},
            "rounds": [{label: r.as_dict() for label, r in row.items()} for row in rounds],
        }


def summary(startups: dict[str, list[Run]], rounds: list[dict[str, Run]], moved: int) -> dict[str, object]:
    """Minima and medians, of times and of the ratios within each round."""
    labels = list(rounds[0])
    startup = {label: spread([r.cpu for r in runs]) for label, runs in startups.items()}
    found: dict[str, object] = {
        "startup_cpu": startup,
        "startup_wall": {label: spread([r.wall for r in runs]) for label, runs in startups.items()},
        "wall": {label: spread([row[label].wall for row in rounds if label in row]) for label in labels},
        "cpu": {label: spread([row[label].cpu for row in rounds if label in row]) for label in labels},
        "peak_anonymous": {
            label: max(row[label].peak_anonymous for row in rounds if label in row)
            for label in labels
            if label != "floor"
        },
        "gigabytes_per_second": round(moved / 1e9 / min(row["ours"].wall for row in rounds), 3),
        "wall_over_floor": spread([row["ours"].wall / row["floor"].wall for row in rounds]),
    }
    pairs = [row for row in rounds if "peer" in row]
    if pairs:
        begun = {label: startup[label]["median"] for label in ("ours", "peer")}
        net = [
            (row["peer"].cpu - begun["peer"]) / (row["ours"].cpu - begun["ours"])
            for row in pairs
            if row["ours"].cpu > begun["ours"]
        ]
        found |= {
            "peer_rounds": len(pairs),
            "peer_over_ours_cpu": spread([row["peer"].cpu / row["ours"].cpu for row in pairs]),
            "peer_over_ours_wall": spread([row["peer"].wall / row["ours"].wall for row in pairs]),
            "peer_over_ours_cpu_without_startup": spread(net) if net else None,
        }
    return found


def main() -> None:
    arguments = options()
    peer = None if arguments.no_peer else find_mergekit(arguments.mergekit)
    if peer is None:
        print("mergekit takes no part: give --mergekit PATH, or install it in build/mergekit-venv")
    arguments.results.mkdir(parents=True, exist_ok=True)
    for billions in arguments.sizes:
        for name in arguments.methods:
            begun = time.perf_counter()
            print(f"{name}, {billions:g} B", flush=True)
            bench = Bench(arguments, METHODS[name], billions, peer)
            result = bench.result()
            path = arguments.results / f"merge-{billions:g}b-{name}-{result['cache']}.json"
            path.write_text(json.dumps(result, indent=1) + "\n")
            print(f"  {time.perf_counter() - begun:.0f} s; {path}", flush=True)
            check = result["check"]
            if check["ours"]["share_undocumented"]:  # type: ignore[index]
                raise SystemExit(f"{name}: the merged tensors differ from the oracle: {check['ours']}")  # type: ignore[index]


if __name__ == "__main__":
    main()

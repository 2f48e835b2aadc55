"""Merges the same models by fusion-bench and by this package, and compares the results element by element.

    python benchmarks/parity_fusion_bench.py --peer ENVIRONMENT/bin/python

ENVIRONMENT is one of its own with torch, fusion-bench 0.2.33, seaborn and pandas. Deterministic methods must agree to
fp32 rounding: |difference| <= 8 ulp of the largest term. DARE must agree in distribution: share and size of the moves.
Exits with 1 where something does not agree. What is a defect over there is listed and not compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from fusion_bench_peer import CASES, SHAPES, Case, module_of
from safetensors.torch import load_file, save_file

from fusion_stack.method import EngineMethod

MODELS = 4
DEFECTS = (
    "linear interpolation: fails an assertion with any input (it compares a list with 2)",
    "bf16: sums are rounded after every model; here once, at the end. Compared in fp32 only",
    "TIES with threshold 1 or 100: fails; here both keep everything",
    "TIES keeps int(density n) + 1 elements of a model, here max(1, floor(density n)): one element a model may differ",
    "DARE-TIES: buffers and frozen weights enter as task vectors; DARE of bf16 draws in bf16. Not compared",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="the Python that has fusion-bench")
    parser.add_argument("--output", type=Path, help="file for the results as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = write_models(folder)
        script = Path(__file__).with_name("fusion_bench_peer.py")
        subprocess.run([options.peer, str(script), str(folder)], check=True, stdout=subprocess.DEVNULL)
        results = [compare(case, models, load_file(folder / f"{case.stem}.out.safetensors")) for case in CASES]
    for result in results:
        print("{case:28} {verdict:8} {detail}".format(**result))
    print("not compared, because it is a defect over there or differs by design:", *DEFECTS, sep="\n  ")
    if options.output:
        options.output.write_text(json.dumps({"results": results, "defects": DEFECTS}, indent=2) + "\n")
    return any(result["verdict"] != "agrees" for result in results)


def write_models(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """A base and fine-tunes of it: differences a hundred times smaller than the weights."""
    draw = torch.Generator().manual_seed(0)
    base = {name: torch.randn(shape, generator=draw) for name, shape in SHAPES.items()}
    models = {"_pretrained_": base}
    for number in range(MODELS):
        models[f"m{number}"] = {
            name: tensor + 0.01 * torch.randn(tensor.shape, generator=draw) for name, tensor in base.items()
        }
    for name, tensors in models.items():
        save_file(tensors, folder / f"{name}.in.safetensors")
    return models


def compare(case: Case, models: dict[str, dict[str, torch.Tensor]], theirs: dict[str, torch.Tensor]) -> dict[str, Any]:
    """One line of the result."""
    taken = {name: module_of(models[name]) for name in case.takes(models)}
    ours = EngineMethod(case.engine_method, **case.parameters).run(taken).state_dict()
    if case.random:
        verdict, detail = in_distribution(ours, theirs, models["_pretrained_"])
    else:
        apart, worst = 0, 0.0
        for name in ours:
            terms = torch.stack([models[one][name].abs() for one in models]).amax(0)
            difference = (ours[name] - theirs[name]).abs() / (terms * 2.0**-23)
            apart += int((difference > case.ulps).sum())
            worst = max(worst, difference[difference <= case.ulps].max().item())
        allowed = MODELS if case.engine_method == "ties" else 0
        verdict = "agrees" if apart <= allowed else "DIFFERS"
        detail = f"within {worst:.2f} ulp of the largest term, {apart} elements apart (allowed {allowed})"
    return {"case": case.name, "verdict": verdict, "detail": detail}


def in_distribution(
    ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], base: dict[str, torch.Tensor]
) -> tuple[str, str]:
    """Compares what random methods leave: share of elements moved, and the root mean square of the moves."""
    (kept, size), (their_kept, their_size) = (list(moments(one, base)) for one in (ours, theirs))
    # About 15,000 elements: standard errors are 0.004 of the share and 0.6 % of the size; five of them are allowed.
    agrees = abs(kept - their_kept) < 0.03 and abs(size / their_size - 1) < 0.04
    detail = f"moved {kept:.4f} of all elements, they {their_kept:.4f}; by {size:.5f}, they {their_size:.5f} (RMS)"
    return "agrees" if agrees else "DIFFERS", detail


def moments(merged: dict[str, torch.Tensor], base: dict[str, torch.Tensor]) -> Iterator[float]:
    moves = torch.cat([(merged[name] - base[name]).flatten() for name in base])
    yield (moves != 0).float().mean().item()
    yield moves.square().mean().sqrt().item()


if __name__ == "__main__":
    sys.exit(main())

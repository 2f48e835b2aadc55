"""Times every method on tensors in a GPU's memory: GB/s, share of a copy, ratio to the torch expression.

    python benchmarks/bench_device.py                                       # a minute or two on a GPU
    python benchmarks/bench_device.py --methods ties linear --elements 1000000000

Bytes are those that must move: each input once, the output once. What is timed is checked against the processor's
result. An emulated GPU runs it too, to rehearse; its times mean nothing, and its report says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from contenders import registered, settings
from kernel_calls import base_is_apart, merged_count
from machine import ROOT, facts
from measure import spread
from torch_expressions import EXPRESSIONS

from fusion_kernels._native import native

KIND = native().device_kind()


class Memory:
    """bf16 tensors in the device's memory: torch's on a GPU, plain bytes on the emulated one."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.here = tensor
        if KIND == "cuda":
            self.there: Any = tensor.cuda()
            self.address = self.there.data_ptr()
        else:
            self.there = native().DeviceBytes(0, tensor.numel() * 2)
            self.there.write(tensor.view(torch.int16).numpy().reshape(-1))
            self.address = self.there.address

    def fetch(self) -> torch.Tensor:
        if KIND == "cuda":
            return self.there.cpu()
        codes = np.empty(self.here.numel(), np.int16)
        self.there.read(codes)
        return torch.from_numpy(codes).view(torch.bfloat16).reshape(self.here.shape)


class Bench:
    """Sets of a base, its fine-tunes and an output, more of them than the last-level cache holds, taken in turn."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.shape = (max(1, arguments.elements // 4096), 4096)
        generator = torch.Generator().manual_seed(1)
        base = torch.randn(self.shape, generator=generator).mul_(0.02)
        models = [
            (base + 0.001 * torch.randn(self.shape, generator=generator)).bfloat16() for _ in range(arguments.models)
        ]
        self.sets = [
            [Memory(tensor) for tensor in (base.bfloat16(), *models, torch.zeros(self.shape, dtype=torch.bfloat16))]
            for _ in range(2)
        ]

    def seconds(self, call: Callable[[int], None]) -> list[float]:
        """Of each round; the first, which warms up, is left out."""
        found = []
        for number in range(self.arguments.rounds + 1):
            if KIND == "cuda":
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begin.record()
                call(number % 2)
                end.record()
                end.synchronize()
                found.append(begin.elapsed_time(end) / 1e3)
            else:
                start = time.perf_counter()
                call(number % 2)
                found.append(time.perf_counter() - start)
        return found[1:]

    def copy(self, which: int) -> None:
        source, *_, target = self.sets[which]
        if KIND == "cuda":
            target.there.copy_(source.there)
        else:
            np.copyto(target.here.view(torch.int16).numpy(), source.here.view(torch.int16).numpy())

    def measure(self, method: str) -> dict[str, Any]:
        count = merged_count(method, self.arguments.models)
        parameters = settings(method, count)
        jobs, buffers = [], []
        for memories in self.sets:
            base, *models, target = memories
            if registered()[method]["base"] == "member":
                models = [base, *models]
            used = [*models[:count], target, *([base] if base_is_apart(method) else [])]
            buffers.append([(memory.address, memory.here.numel() * 2) for memory in used])
            places = [(index, 0, "BF16") for index in range(len(used))]
            jobs = [
                (
                    "merge",
                    "t",
                    *self.shape,
                    0,
                    places[count],
                    places[-1] if len(used) > count + 1 else None,
                    places[:count],
                )
            ]
        needed = native().device_workspace_bytes(method, jobs, [parameters], buffers[0])
        workspace = Memory(torch.empty(-(-needed // 2), dtype=torch.bfloat16))

        def merge(which: int) -> None:
            stream = torch.cuda.current_stream().cuda_stream if KIND == "cuda" else 0
            native().merge_on_device(
                method, jobs, [parameters], buffers[which], device=0, stream=stream, workspace=workspace.address, seed=1
            )

        times, copies = self.seconds(merge), self.seconds(self.copy)
        self.check(method, jobs, parameters, count)
        moved = self.sets[0][0].here.numel() * 2
        bytes_moved = moved * len(buffers[0])
        row: dict[str, Any] = {
            "method": method,
            "gigabytes_per_second": spread([bytes_moved / one / 1e9 for one in times]),
            "share_of_copy": spread(
                [bytes_moved / one / (2 * moved / other) for one, other in zip(times, copies, strict=True)]
            ),
            "workspace_bytes": needed,
        }
        if KIND == "cuda" and not self.arguments.no_torch:
            base, *models, _ = (memory.there for memory in self.sets[0])
            models = [base, *models] if registered()[method]["base"] == "member" else models
            given = base if base_is_apart(method) else None
            eager = lambda _: EXPRESSIONS[method](given, list(models[:count]), parameters).bfloat16()  # noqa: E731
            try:
                others = self.seconds(eager)  # type: ignore[arg-type]
                row["torch_over_ours"] = spread([other / one for one, other in zip(times, others, strict=True)])
            except torch.OutOfMemoryError:
                row["torch_over_ours"] = None  # its temporaries do not fit
        return row

    def check(self, method: str, jobs: list[Any], parameters: dict[str, Any], count: int) -> None:
        """The device's result is the processor's."""
        base, *models, target = self.sets[0]
        if registered()[method]["base"] == "member":
            models = [base, *models]
        expected = torch.empty(self.shape, dtype=torch.bfloat16)
        used = [*(memory.here for memory in models[:count]), expected, *([base.here] if base_is_apart(method) else [])]
        buffers = [(tensor.data_ptr(), tensor.numel() * 2) for tensor in used]
        native().execute(method, jobs, [parameters], buffers, seed=1)
        if not torch.equal(target.fetch().view(torch.int16), expected.view(torch.int16)):
            sys.exit(f"{method}: the device's result is not the processor's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=sorted(registered()))
    parser.add_argument("--elements", type=int, default=1 << 28, help="of each tensor (default 268 million)")
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-torch", action="store_true", help="leave the torch expressions out")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    if KIND is None:
        sys.exit("this build has no GPU kernels (FK_CUDA=OFF)")
    name, memory = native().gpus()[0]
    bench = Bench(arguments)
    rows = []
    print(f"{name}, bf16, {arguments.models} models of {bench.sets[0][0].here.numel():,} elements")
    if KIND == "emulated":
        print("An emulated GPU: the results are checked, the times mean nothing.")
    print("| method | GB/s | share of copy | torch / ours |\n|---|--:|--:|--:|")
    for method in arguments.methods:
        row = bench.measure(method)
        rows.append(row)
        ratio = f"{row['torch_over_ours']['median']:.1f}" if row.get("torch_over_ours") else ""
        speed, share = row["gigabytes_per_second"]["median"], row["share_of_copy"]["median"]
        print(f"| {method} | {speed:.0f} | {100 * share:.0f} % | {ratio} |", flush=True)
    arguments.results.mkdir(parents=True, exist_ok=True)
    result = {"benchmark": "device", "kind": KIND, "device": name, "device_memory_bytes": memory, "machine": facts()}
    path = arguments.results / f"device-{KIND}.json"
    path.write_text(json.dumps(result | {"elements": bench.sets[0][0].here.numel(), "rows": rows}, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()

"""Reads the machine code of the GPU's kernels, and fails where it is not what the source means it to be.

    make check-sass

Of every fold kernel it demands loads and stores of 128 bits from and to global memory, and no registers spilled, both
but for `combine` over any number of models, which reads element by element; of every kernel no fused multiply-add but
those of divisions and square roots, which round right and so are the same bits as the processor's. Needs cuobjdump and
nvdisasm (PyPI: nvidia-cuda-cuobjdump, nvidia-cuda-nvdisasm). Registers go into benchmarks/results/sass-sm_90.json.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE = "sm_90"
COMBINES = ("median", "trimmed_mean")
GRAM = {"GramFold<(fk::Space)0>": "sum of weighted models", "GramFold<(fk::Space)1>": "sum of weighted deltas"}
FORMATS = {"-1": "any", "3": "bf16"}  # as dtype.hpp numbers them; what fold.cuh instantiates
DOUBLE, SINGLE = "f64", "f32"

_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)([^;/]*)")
_FOLD = re.compile(r"fold_kernel<(?:fk::)?(.+), (float|double), (-?\d+), (\d+)>")


@dataclass(frozen=True)
class Kernel:
    """One kernel: its demangled name, what its code has of each instruction, and what it takes of the processor."""

    name: str
    opcodes: Counter[str]
    registers: int
    stack: int  # bytes a thread

    def count(self, pattern: str) -> int:
        return sum(number for opcode, number in self.opcodes.items() if re.fullmatch(pattern, opcode))

    @property
    def fold(self) -> dict[str, Any] | None:
        """Method, format it reads, compute type and number of models (0: any) of a fold kernel."""
        found = _FOLD.search(self.name)
        if not found:
            return None
        method, compute, format, models = found.groups()
        name = GRAM.get(method) or re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower()
        return {
            "method": name, "format": FORMATS.get(format, format), "models": int(models),
            "compute": DOUBLE if compute == "double" else SINGLE,
        }  # fmt: skip

    def faults(self) -> list[str]:
        """What is wrong with it."""
        found = []
        if fold := self.fold:
            by_element = fold["method"] in COMBINES and fold["models"] == 0
            if not self.count(r"STG\.E(\.\w+)*\.128(\.\w+)*"):
                found.append("stores no 128 bits at once")
            if not by_element and not self.count(r"LDG\.E(\.\w+)*\.128(\.\w+)*"):
                found.append("loads no 128 bits at once")
            spilled = self.count(r"(LDL|STL)(\..*)?")
            if not by_element and (spilled or self.stack):
                found.append(f"spills registers: {spilled} accesses to local memory, a stack of {self.stack} bytes")
        # What nvcc's correctly rounded sequences consist of, by the approximation each begins with: a division, and the
        # one subroutine of what does not fit its short form.
        reciprocals, roots, doubles = (self.count(rf"MUFU\.{kind}") for kind in ("RCP", "RSQ", "(RCP|RSQ)64H"))
        fused, allowed = self.count(r"FFMA2?(\..*)?"), 5 * reciprocals + 7 * roots + doubles
        if fused > allowed:
            found.append(f"has {fused} fused multiply-adds; its divisions and roots account for {allowed}")
        fused, allowed = self.count(r"DFMA(\..*)?"), 7 * doubles + (3 if doubles else 0)
        if fused > allowed:
            found.append(f"has {fused} fused multiply-adds in double; its divisions and roots account for {allowed}")
        if self.opcodes["HFMA2"]:
            found.append("multiplies and adds in half precision")
        return found


def kernels_in(code: str, usage: str, demangle: Any = None) -> Iterator[Kernel]:
    """The kernels of cuobjdump's two answers, -sass and -res-usage."""
    used = {
        name: (int(registers), int(stack))
        for name, registers, stack in re.findall(r"Function (\S+):\s+REG:(\d+) STACK:(\d+)", usage)
    }
    parts = [part.split(maxsplit=1) for part in re.split(r"Function : ", code)[1:]]
    names = (demangle or demangled)([name for name, _ in parts])
    for (name, text), readable in zip(parts, names, strict=True):
        yield Kernel(readable, Counter(_opcodes(text)), *used[name])


def _opcodes(text: str) -> Iterator[str]:
    for opcode, operands in _INSTRUCTION.findall(text):
        # How a constant is put into a register: 0 times 0, plus the constant.
        is_constant = opcode.startswith("HFMA2") and "-RZ, RZ" in operands
        yield "constant" if is_constant else "HFMA2" if opcode.startswith("HFMA2") else opcode


def demangled(names: list[str]) -> list[str]:
    if not names:
        return []
    return subprocess.run(["c++filt", *names], capture_output=True, text=True, check=True).stdout.splitlines()


def cuobjdump() -> Path:
    """NVIDIA's packages leave it where no PATH leads."""
    found = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/*/bin/cuobjdump"))
    if not found:
        sys.exit("cuobjdump is missing: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
    return found[-1]


def read(objects: list[Path]) -> list[Kernel]:
    program = str(cuobjdump())

    def ask(question: str, path: Path) -> str:
        return subprocess.run([program, question, str(path)], capture_output=True, text=True, check=True).stdout

    return [kernel for path in objects for kernel in kernels_in(ask("-sass", path), ask("-res-usage", path))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "check-cuda", help="what check-cuda built")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    objects = sorted(arguments.folder.rglob("*.cu.o"))
    if not objects:
        sys.exit(f"there are no objects of kernels in {arguments.folder}: make check-cuda builds them")
    kernels = read(objects)
    faults = [f"{kernel.name}: {fault}" for kernel in kernels for fault in kernel.faults()]
    folds = [kernel.fold | {"registers": kernel.registers, "stack": kernel.stack} for kernel in kernels if kernel.fold]
    others = [
        {"kernel": _short(kernel.name), "registers": kernel.registers, "stack": kernel.stack}
        for kernel in kernels
        if not kernel.fold
    ]
    order = ("method", "compute", "format", "models")
    folds.sort(key=lambda fold: [str(fold[key]) for key in order])
    others.sort(key=lambda other: str(other["kernel"]))
    result = {"benchmark": "sass", "architecture": ARCHITECTURE, "nvcc": nvcc(), "folds": folds, "others": others}
    (arguments.results / f"sass-{ARCHITECTURE}.json").write_text(json.dumps(result, indent=1) + "\n")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(folds)} fold kernels and {len(others)} others for {ARCHITECTURE} are as they are meant to be")


def _short(name: str) -> str:
    return name.partition("(")[0].removeprefix("void ").replace("fk::cuda::", "")


def nvcc() -> str:
    said = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"V([\d.]+)", said)
    return found[1] if found else ""


if __name__ == "__main__":
    main()

"""The reading of machine code finds what it is there to find."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

WIDE = """
        /*0000*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
        /*0010*/              @!P0 STG.E.EF.128 desc[UR4][R2.64], R4 ;
        /*0020*/                   HFMA2.MMA R7, -RZ, RZ, 0, 5.9604644775390625e-08 ;
"""
TIES = "void fk::cuda::fold_kernel<fk::TaskArithmetic, float, 3, 3>(fk::cuda::FoldBatch)"
MEDIAN = "void fk::cuda::fold_kernel<fk::Median, double, -1, 0>(fk::cuda::FoldBatch)"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def faults(code: str, name: str = TIES, stack: int = 0) -> list[str]:
    from check_sass import kernels_in

    usage = f" Function _Zf:\n  REG:40 STACK:{stack} SHARED:8 LOCAL:0\n"
    (kernel,) = kernels_in(f"\t\tFunction : _Zf\n\t.headerflags\n{code}", usage, demangle=lambda names: [name])
    assert kernel.registers == 40
    return kernel.faults()


def test_a_kernel_as_it_is_meant_to_be() -> None:
    assert faults(WIDE) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("STL.64 [R1], R2", "spills registers: 1 accesses to local memory"),
        ("FFMA R1, R2, R3, R4", "has 1 fused multiply-adds; its divisions and roots account for 0"),
        ("@P1 DFMA R4, R2, R2, R4", "has 1 fused multiply-adds in double"),
        ("HFMA2.MMA R1, R2, R3, R4", "multiplies and adds in half precision"),
    ],
)
def test_what_ought_not_to_be_there(line: str, said: str) -> None:
    (found,) = faults(f"{WIDE}        /*0030*/                   {line} ;\n")
    assert said in found


def test_a_division_may_contract() -> None:
    division = "MUFU.RCP R1, R2 ;\n" + "".join(f"/*00{i}0*/ FFMA R1, R2, R3, R4 ;\n" for i in range(4, 9))
    assert faults(f"{WIDE}/*0030*/ {division}") == []
    assert faults(f"{WIDE}/*0030*/ {division}/*0090*/ FFMA R1, R2, R3, R4 ;\n") != []


def test_narrow_accesses_are_seen() -> None:
    narrow = WIDE.replace("LDG.E.128", "LDG.E.U16").replace("STG.E.EF.128", "STG.E.U16")
    assert faults(narrow) == ["stores no 128 bits at once", "loads no 128 bits at once"]
    assert faults(WIDE, stack=8) == ["spills registers: 0 accesses to local memory, a stack of 8 bytes"]


def test_combine_over_any_number_of_models_reads_element_by_element() -> None:
    code = WIDE.replace("LDG.E.128", "LDL.64")
    assert faults(code, MEDIAN, stack=64) == []


def test_names_are_those_of_methods() -> None:
    from check_sass import Kernel

    def fold(name: str) -> dict[str, object] | None:
        return Kernel(name, {}, 0, 0).fold  # type: ignore[arg-type]

    assert fold(TIES) == {"method": "task_arithmetic", "format": "bf16", "models": 3, "compute": "f32"}
    gram = "void fk::cuda::fold_kernel<fk::GramFold<(fk::Space)1>, double, -1, 0>(fk::cuda::FoldBatch)"
    assert fold(gram) == {"method": "sum of weighted deltas", "format": "any", "models": 0, "compute": "f64"}
    assert fold("fk::cuda::tree_kernel(fk::cuda::SumBatch)") is None

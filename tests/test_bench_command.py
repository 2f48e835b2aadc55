"""`fusion-kernels bench`: what it measures, what it leaves, what it says where it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fusion_kernels import bench, ops
from fusion_kernels._native import native
from fusion_kernels.bench import Settings, runner
from fusion_kernels.bench.aims import aims_table
from fusion_kernels.bench.operations import OPERATIONS, OperationCall
from fusion_kernels.bench.settings import points
from fusion_kernels.bench.tables import kernel_tables
from fusion_kernels.bench.tensor_sets import TORCH_DTYPES, TensorSet
from fusion_kernels.cli import main
from fusion_kernels.cli.bench import to_settings

ROOT = Path(__file__).resolve().parents[1]
NOTHING: dict[str, Any] = dict.fromkeys(("method", "op", "dtype", "models", "size", "isa", "threads"))


def command(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "fusion_kernels.cli", "bench", *words)
    return subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=cwd)


def results(folder: Path) -> dict[str, dict[str, Any]]:
    return {found["method"]: found for found in (json.loads(path.read_text()) for path in folder.glob("*.json"))}


def test_an_operation_is_compared_with_torch_eager_and_compiled(tmp_path: Path) -> None:
    done = command("--quick", "--op", "elect_sign", "--dtype", "bf16", "--threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1/1  ops.elect_sign-BF16-" in done.stderr  # how far it is
    out = tmp_path / "fusion-kernels-bench"
    (row,) = results(out)["ops.elect_sign"]["rows"]
    assert row["check"] == {"compared_with_torch": True}
    assert row["gigabytes_per_second"]["median"] > 0
    assert row["share_of_copy"]["min"] > 0
    assert row["torch_over_ours"]["min"] > 0
    assert row["torch_compile_over_ours"]["min"] > 0
    assert (out / "kernels-1.png").read_bytes().startswith(b"\x89PNG")
    assert "| ops.elect_sign |" in (out / "kernels.md").read_text()


def test_numbers_of_models_have_tables_of_their_own(tmp_path: Path) -> None:
    words = [
        "--method",
        "linear",
        "--dtype",
        "BF16",
        "--threads",
        "1",
        "-k",
        "2,3",
        "--isa",
        "base",
        "--torch-rounds",
        "0",
    ]
    done = command("--quick", *words, "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    for models in (2, 3):
        assert f"### BF16, one core, K = {models}, " in done.stdout
    assert [row["of"]["models"] for row in results(tmp_path)["linear"]["rows"]] == [2, 3]


@pytest.mark.skipif(native().device_kind() != "emulated", reason="needs a build with the emulated GPU")
def test_the_emulated_gpu_is_checked_and_not_timed(tmp_path: Path) -> None:
    done = command("--device", "emulated", "--method", "ties,slerp", "--dtype", "BF16", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Emulated only")
    assert "GB/s" not in done.stdout
    for result in results(tmp_path).values():
        (row,) = result["rows"]
        assert row["check"]["elements"] == row["elements"]
        assert not {"seconds", "gigabytes_per_second", "share_of_copy"} & set(row)


def test_a_wrong_result_is_named_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fusion_kernels.bench.checks.RELATIVE", -1.0)
    monkeypatch.setattr("fusion_kernels.bench.checks.ABSOLUTE", -1.0)
    words = ["--quick", "--method", "linear", "--dtype", "F32", "--threads", "1", "--isa", "base", "--no-compile"]
    from fusion_kernels.bench.checks import differs_from_torch

    differs_from_torch.cache_clear()
    try:
        assert main(["bench", *words, "--out", str(tmp_path)]) == 1
    finally:
        differs_from_torch.cache_clear()
    assert "wrong: linear-F32-base-1-K3: " in capsys.readouterr().out
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "tie"], "--method tie: expected all or some of breadcrumbs"),
        (["--op", "gramm"], "Did you mean 'gram'?"),
        (["--dtype", "INT8"], "--dtype INT8: expected all or some of F64, F32"),
        (["--size", "many"], "--size many: a whole number of at least 1 is expected, like 3 or 16M"),
        (["--device", "cudda"], "unknown device 'cudda'"),
        (["--device", "emulated", "--op", "gram"], "operations on torch tensors do not run on device 'emulated'"),
    ],
)
def test_what_cannot_be_measured_is_said(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "emulated" in words and native().device_kind() != "emulated":
        pytest.skip("needs a build with the emulated GPU")
    assert main(["bench", *words, "--out", str(tmp_path)]) in (1, 2)
    assert said in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda name: None if name == "pytest_benchmark" else object())
    assert main(["bench", "--quick"]) == 1
    assert (
        "needs pytest-benchmark, which is not installed: pip install 'fusion_kernels[bench]'" in capsys.readouterr().err
    )


def test_options_take_several_words_and_scales() -> None:
    typed = NOTHING | {"method": ["ties,linear"], "op": ["gram", "norms"], "size": ["16M,1G"], "models": ["2,8"]}
    chosen = to_settings(**typed, device="cpu", others={})
    assert chosen.entries == ("ties", "linear", "ops.gram", "ops.norms")
    assert chosen.sizes == (16_000_000, 1_000_000_000)
    assert chosen.models == (2, 8)
    assert to_settings(**NOTHING | {"op": ["all"]}, device="cpu", others={}).entries == tuple(
        f"ops.{name}" for name in OPERATIONS
    )


def test_everything_there_is_is_measured() -> None:
    assert set(OPERATIONS) == set(ops.__all__)
    entries = {point.entry for point in points(Settings())}
    assert entries == {*native_methods(), "ties-fold-only", "select", *(f"ops.{name}" for name in ops.__all__)}
    assert {point.instruction_set for point in points(Settings())} == set(native().instruction_sets())


def native_methods() -> set[str]:
    return {method["name"] for method in native().methods()}


@pytest.mark.parametrize("dtype", TORCH_DTYPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_agree_with_torch_in_every_dtype(name: str, dtype: str) -> None:
    call = OperationCall(name, [TensorSet.drawn(dtype, (33, 129), 3, seed=3)])
    call()
    assert call.wrong() == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_operation_is_found(name: str) -> None:
    call = OperationCall(name, [TensorSet.drawn("F32", (33, 129), 3, seed=3)])
    call()
    result = call._results[0]
    flat = result.view(-1)
    place = int(flat.abs().float().argmax())
    flat[place] = -flat[place] if result.dtype == torch.int8 else flat[place] * 1.5
    assert call.wrong() == ["set 0 differs from the same written in torch"]


def test_aims_say_what_was_reached() -> None:
    def row(entry: str, **found: Any) -> dict[str, Any]:
        of = {"entry": entry, "dtype": "BF16", "models": 3, "elements": 2 * 10**9, "tensors": 2}
        return of | {name: {"median": value} for name, value in found.items()}

    rows = [
        row("linear", share_of_copy=0.9),
        row("median", share_of_copy=0.8),
        row("select", selected_share_of_copy=0.61),
        row("ties", share_of_copy=0.5),
    ]
    lines = aims_table(rows).splitlines()[2:]
    assert [line.split(" | ")[-2:] for line in lines] == [
        ["90 %", "yes |"], ["80 %", "no |"], ["61 %", "yes |"], ["2.00", "yes |"],
    ]  # fmt: skip
    assert aims_table([]) == ""


def test_importing_it_needs_no_torch() -> None:
    script = "import fusion_kernels.bench, fusion_kernels.cli.bench, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0
    assert bench.__all__ == ["Outcome", "Settings", "run"]


def test_a_gpus_kernels_are_listed_with_the_share_of_the_collecting_pass() -> None:
    rate = {"min": 1.0, "median": 1.0, "max": 1.0}
    row = {
        "entry": "ties", "method": "ties", "dtype": "BF16", "instruction_set": "cuda", "threads": 0, "models": 3,
        "of": {"models": 3, "size": 10**9}, "elements": 10**9, "tensors": 1, "bytes_touched": 10 * 10**9, "rounds": 7,
        "passes": 1.0, "gigabytes_per_second": rate, "share_of_copy": rate, "elements_per_second": rate, "check": {},
        "copy_gigabytes_per_second": {"median": 3000.0},
        "kernel_seconds": {"collect_kernel": 0.005, "fold_kernel": 0.004},
    }  # fmt: skip
    machine = {"processor": "P", "cpus": 1, "memory_bytes": 0, "kernel": "L", "instruction_sets": [], "python": "3"}
    result = {
        "benchmark": "kernels", "method": "ties", "quick": False, "cache_bytes": 1, "copy": {}, "rows": [row],
        "device": {"kind": "cuda", "name": "NVIDIA H100"},
        "machine": machine | {"fusion_kernels": "0", "date": "d", "commit": "c"},
    }  # fmt: skip
    text = "\n".join(kernel_tables([result]))
    assert "collect_kernel 5 ms, 80 % of copy; fold_kernel 4 ms" in text
    assert "| ties, thresholds and fold | 1,000,000,000 | ≤ 2.5 passes" in text
    assert "### BF16, NVIDIA H100" in text

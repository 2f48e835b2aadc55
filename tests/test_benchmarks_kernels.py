"""The kernels' benchmark runs, checks what it times, shows it; what it compares with are the same methods."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import Case
from engine_calls import Merge, method_table, model_count, registered, run_oracle, wider

from fusion_kernels._native import native
from fusion_kernels.bench.methods import METHODS, settings
from fusion_kernels.bench.torch_expressions import EXPRESSIONS, random, ranked

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
# Every method, with the base it is given; without one too where it may be left out.
BASES = [
    (name, base)
    for name in registered()
    for base in {"required": [True], "optional": [True, False]}.get(method_table()[name]["base"], [False])
]


MARKS = "".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in ("benchmark-table", "device-table"))


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a quick run over every method, and what it printed."""
    folder = tmp_path_factory.mktemp("kernels")
    small = ["--quick", "--method", "all", "--dtype", "BF16", "--threads", "1,2", "--no-compile"]
    done = run("bench_kernels.py", *small, "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_every_method_is_timed_and_checked_on_every_instruction_set(quick: tuple[Path, str]) -> None:
    results = [json.loads(path.read_text()) for path in quick[0].glob("kernels-*.json")]
    assert {result["method"] for result in results} == {*method_table(), "ties-fold-only", "select"}
    for result in results:
        assert result["machine"]["date"]
        assert result["machine"]["instruction_sets"] == native().instruction_sets()
        assert result["device"]["kind"] == "cpu"
        assert result["copy"]["1"]["way"] in result["copy"]["1"]["gigabytes_per_second"]
        assert {(row["instruction_set"], row["threads"]) for row in result["rows"]} == {
            (isa, threads) for isa in native().instruction_sets() for threads in (1, 2)
        }
        assert len({tuple(row["check"]["checksums"]) for row in result["rows"]}) == 1
        for row in result["rows"]:
            assert row["bytes_touched"] >= 5 * result["cache_bytes"]
            assert row["tensors"] >= 2
            assert row["seconds"]["min"] > 0
            assert row["check"]["oracle_elements"] == (61 * 1024 if result["method"] in registered() else 0) or (
                result["method"] in ("ties-fold-only", "select")
            )


def test_bytes_are_those_the_method_reads_and_writes(quick: tuple[Path, str]) -> None:
    rows = {path.stem.split("-", 2)[2]: json.loads(path.read_text())["rows"][0] for path in quick[0].glob("*.json")}
    linear, selecting = rows["linear"], rows["ties"]
    assert linear["passes"] == 1
    assert linear["bytes_touched"] == linear["elements"] * 2 * (linear["models"] + 1)
    fastest = linear["bytes_touched"] / linear["seconds"]["min"] / 1e9
    assert linear["gigabytes_per_second"]["max"] == pytest.approx(fastest, rel=0.01)
    assert rows["ties-fold-only"]["passes"] == 1 < selecting["passes"]
    assert linear["torch_over_ours"]["min"] > 0


def test_the_table_and_the_pictures_show_what_was_measured(quick: tuple[Path, str], tmp_path: Path) -> None:
    folder, printed = quick
    assert "Quick run" in printed
    assert "### BF16, one core, copy " in printed
    assert "\n| linear | 1.00 | " in printed
    for name in ("kernels-1.png", "kernels-2.png"):
        picture = (folder / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 20_000
    page, readme = tmp_path / "page.md", tmp_path / "readme.md"
    readme.write_text(MARKS)
    assert run("report.py", "--results", str(folder), "--page", str(page), "--readme", str(readme)).returncode == 0
    table = printed[printed.index("### BF16, one core") : printed.index("### BF16, 2 threads")]
    assert table in page.read_text()


@pytest.mark.parametrize(
    ("method", "base"), BASES, ids=lambda value: value if isinstance(value, str) else f"base={value}"
)
def test_torch_expressions_are_the_methods(method: str, base: bool) -> None:
    """On float32 numbers without equals. Random draws are torch's own, so where there are any everything is kept."""
    models = model_count(method, 3)
    tensors = Case((24, 65), "unrelated" if method == "slerp" else "fine_tunes", models).tensors("F32")
    parameters = settings(method, models)
    if method in METHODS and METHODS[method].draws:
        parameters["density"] = [1.0] * models
    values = [torch.from_numpy(np.array(codes)).view(torch.float32) for codes in (tensors.base, *tensors.models)]
    start, *rest = (value.reshape(24, 65) for value in values)
    expected = run_oracle(method, Merge(tensors, parameters, "", base), wider).value.reshape(24, 65)
    got = EXPRESSIONS[method](start if base else None, rest, parameters)
    np.testing.assert_allclose(got.double().numpy(), expected.astype(np.float64), rtol=2e-5, atol=2e-7)


@pytest.mark.parametrize("density", [0.2, 0.7])
def test_random_sparsifiers_of_torch_keep_their_share(density: float) -> None:
    torch.manual_seed(0)
    delta = torch.randn(64, 4096)
    parameters = {"density": [density], "epsilon": [0.15]}
    for sparsify in (random, ranked):
        assert sparsify(delta, parameters, 0).float().mean().item() == pytest.approx(density, abs=0.005)
    kept, magnitude = ranked(delta, parameters, 0).float(), delta.abs()
    assert kept[magnitude > 1].mean() > kept[magnitude < 0.2].mean() + 0.1


def test_every_parameter_of_every_method_has_a_value() -> None:
    for name, description in method_table().items():
        values = settings(name, 2)
        assert set(values) == {parameter["name"] for parameter in description["parameters"]}
        for parameter in description["parameters"]:
            given = values[parameter["name"]]
            assert given is not None
            assert isinstance(given, list) == parameter["per_model"]

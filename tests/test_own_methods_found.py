"""How methods written in Python are found: --load, installed packages, and not before somebody asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_checkpoint, weights

import fusion_kernels
from fusion_kernels.cli import main

METHOD = '''
"""A method of one's own."""
import fusion_kernels
from fusion_kernels import PerModel
from helper import half


@fusion_kernels.merge_method("mine", base="required", min_models=2)
def mine(tensors, base, *, info, weight: PerModel[float] = 1.0, density: float = 0.2):
    """Add what the models learned, by weight.

    density: fraction kept
    """
    return base + half() * sum(w * (tensor - base) for w, tensor in zip(weight, tensors))
'''
pytestmark = pytest.mark.usefixtures("own_methods")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three models, and a file with a method, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    base = tiny_checkpoint(tmp_path / "base", 0)
    tiny_checkpoint(tmp_path / "math", 1, near=base)
    tiny_checkpoint(tmp_path / "code", 2, near=base)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "my.py").write_text(METHOD)
    (tmp_path / "tools" / "helper.py").write_text("def half():\n    return 0.5\n")
    return tmp_path


LOAD = ["--load", "tools/my.py"]
MERGE = ["math", "code", "--base", "base", "--method", "mine", "-o", "OUT"]


def test_a_file_is_loaded_for_a_merge(models: Path) -> None:
    assert main(["merge", *MERGE, *LOAD, "-p", "weight=0.5,0.25"]) == 0
    base, math, code = (weights(models / name) for name in ("base", "math", "code"))
    for name, value in weights(models / "OUT").items():
        wanted = base[name] + np.float32(0.5) * (
            np.float32(0.5) * (math[name] - base[name]) + np.float32(0.25) * (code[name] - base[name])
        )
        np.testing.assert_array_equal(value, wanted)
    # The recipe written beside it needs the same file.
    assert main(["merge", "OUT/mergekit_config.yml", "OUT2", *LOAD]) == 0
    assert (models / "OUT/model.safetensors").read_bytes() == (models / "OUT2/model.safetensors").read_bytes()


def test_a_file_is_loaded_for_a_plan(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *MERGE, *LOAD]) == 0
    assert "ready to run" in capsys.readouterr().out
    assert not (models / "OUT").exists()


def test_a_file_is_loaded_for_its_description(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "mine", *LOAD]) == 0
    page = capsys.readouterr().out
    for text in (
        "Add what the models learned",
        "2 or more",
        "base:   required",
        "weight",
        "per model",
        "fraction kept",
    ):
        assert text in page
    assert main(["methods", *LOAD]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["methods", "mine", *LOAD, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "matrix"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*LOAD, "-p", "densty=1"], "mine has no parameter 'densty'; mine takes: weight, density. Did you mean 'dens"),
        ([*LOAD, "-p", "density=much"], "mine: density must be a number, got 'much'"),
        ([], "unknown method 'mine'"),
        (["--load", "tools/nothing.py"], "no file at tools/nothing.py"),
        (["--load", "recipe.yml"], "recipe.yml: a Python file (.py) that registers merge methods is expected"),
        (["--load", "tools/helper.py"], "tools/helper.py registers no merge method"),
        (["--load", "tools/syntax.py"], "tools/syntax.py: SyntaxError: "),
        (["--load", "tools/fails.py"], "tools/fails.py:2: ZeroDivisionError: division by zero"),
        (["--load", "tools/imports.py"], "tools/imports.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        (["--load", "tools/reserved.py"], "tools/reserved.py:2: other: 'seed' cannot be a parameter"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    models: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (models / "tools/syntax.py").write_text("def :\n")
    (models / "tools/fails.py").write_text("import fusion_kernels\n1 / 0\n")
    (models / "tools/imports.py").write_text("import nowhere\n")
    (models / "tools/reserved.py").write_text(
        "import fusion_kernels\n@fusion_kernels.merge_method('other')\n"
        "def other(tensors, base, *, info, seed: int): ...\n"
    )
    assert main(["merge", *MERGE, *words]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: {message}"), line
    assert not (models / "OUT").exists()


def test_an_error_of_the_method_is_the_methods(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = models / "tools/my.py"
    path.write_text(METHOD.replace("return base +", "return base @ 1 +"))
    assert main(["merge", *MERGE, "--load", str(path), "--no-progress"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: method 'mine': tensor 'embed.weight': TypeError: ")
    assert "defect" not in error


# ---- installed packages ------------------------------------------------------------------------------------


@pytest.fixture
def installed(models: Path) -> Path:
    """A folder of site-packages with a distribution that has methods."""
    site = models / "site"
    (site / "plugin-1.0.dist-info").mkdir(parents=True)
    (site / "plugin.py").write_text(METHOD.replace("from helper import half", "half = lambda: 0.5"))
    (site / "plugin-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (site / "plugin-1.0.dist-info/entry_points.txt").write_text("[fusion_kernels.methods]\nmine = plugin\n")
    return site


def run(site: Path, script: str) -> str:
    script = f"import sys; sys.path.insert(0, {str(site)!r})\nimport fusion_kernels\n{script}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_package_brings_methods(installed: Path) -> None:
    script = "fusion_kernels.merge(['math', 'code'], base='base', method='mine', output='OUT'); print(*sys.modules)"
    assert "plugin" in run(installed, script).split()
    assert (installed.parent / "OUT/model.safetensors").is_file()
    assert "mine" in run(installed, "print(fusion_kernels.methods())")
    assert "density" in run(installed, "print(fusion_kernels.describe('mine'))")


def test_installed_packages_are_not_looked_for_without_need(installed: Path) -> None:
    script = (
        "fusion_kernels.merge(['math', 'code'], method='linear', weight=1, output='OUT')\n"
        "fusion_kernels.describe('ties')\n"
        "print(*sys.modules)"
    )
    assert not {"plugin", "importlib.metadata"} & set(run(installed, script).split())


def test_a_package_that_cannot_be_imported_is_named(installed: Path) -> None:
    (installed / "plugin.py").write_text("import nowhere\n")
    script = (
        "fusion_kernels.describe('ties')\n"
        "for ask in (fusion_kernels.methods, lambda: fusion_kernels.describe('mine')):\n"
        "    try:\n        ask()\n    except ImportError as error:\n        print(error)\n"
    )
    first, second = run(installed, script).splitlines()
    assert first == second
    assert "the merge methods of package 'plugin' cannot be imported (entry point mine = plugin)" in first
    assert "No module named 'nowhere'" in first


def test_loading_again_is_no_conflict(models: Path) -> None:
    for _ in range(2):
        assert main(["methods", "mine", *LOAD]) == 0
    (models / "tools/other.py").write_text(METHOD)
    assert main(["methods", "mine", *LOAD, "--load", "tools/other.py"]) == 1
    assert fusion_kernels.describe("mine").info.min_models == 2

"""The command line: what it prints, where, and how it ends."""

from __future__ import annotations

import inspect
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_checkpoint, weights

import fusion_kernels
from fusion_kernels.cli import main
from fusion_kernels.cli.arguments import parse_parameters

COMMAND = [sys.executable, "-m", "fusion_kernels.cli"]


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Three models in the working directory: base, and math and code made from it."""
    monkeypatch.chdir(tmp_path)
    base = tiny_checkpoint(tmp_path / "base", 0)
    tiny_checkpoint(tmp_path / "math", 1, near=base)
    tiny_checkpoint(tmp_path / "code", 2, near=base)
    (tmp_path / "recipe.yml").write_text(
        "merge_method: task_arithmetic\nbase_model: ./base\nparameters: {weight: 0.5}\n"
        "models:\n  - model: ./math\n  - model: ./code\n    parameters: {weight: 0.25}\n"
    )
    return tmp_path


def expected_task_arithmetic(folder: Path, math: float, code: float) -> dict[str, np.ndarray]:
    base, m, c = weights(folder / "base"), weights(folder / "math"), weights(folder / "code")
    return {name: base[name] + math * (m[name] - base[name]) + code * (c[name] - base[name]) for name in base}


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-6, err_msg=name)  # fp32 sums in another order


def test_recipe(models, capsys):
    assert main(["merge", "recipe.yml", "OUT"]) == 0
    assert_same(weights(models / "OUT"), expected_task_arithmetic(models, 0.5, 0.25))
    printed = capsys.readouterr()
    for row in ("files", "tensors  4", "bytes", "seconds", "GB/s", "task_arithmetic", "OUT"):
        assert row in printed.out
    assert "\x1b" not in printed.out + printed.err


def test_models_and_options(models):
    words = ["merge", "math", "code", "--base", "base", "--method", "task_arithmetic", "-p", "weight=0.5,0.25"]
    assert main([*words, "-o", "OUT", "--threads", "1", "--memory-limit", "64MiB", "--no-model-card"]) == 0
    assert_same(weights(models / "OUT"), expected_task_arithmetic(models, 0.5, 0.25))
    assert not (models / "OUT" / "README.md").exists()


def test_parameters_by_model(models):
    words = ["merge", "m=math", "c=./code", "--base", "base", "--method", "task_arithmetic", "-o", "OUT"]
    assert main([*words, "-p", "weight.c=0.25", "-p", "weight.m=0.5"]) == 0
    assert_same(weights(models / "OUT"), expected_task_arithmetic(models, 0.5, 0.25))


def test_options_change_a_recipe(models):
    assert main(["merge", "recipe.yml", "OUT", "-p", "weight=1", "-p", "lambda=0.5", "--dtype", "float32"]) == 0
    assert_same(weights(models / "OUT"), expected_task_arithmetic(models, 0.5, 0.5))
    assert main(["merge", "recipe.yml", "OUT2", "--preset", "fusionbench"]) == 0
    assert_same(weights(models / "OUT2"), expected_task_arithmetic(models, 0.5 * 0.3, 0.25 * 0.3))


def test_every_argument_of_merge_is_an_option():
    help_text = subprocess.run([*COMMAND, "merge", "--help"], capture_output=True, text=True, check=True).stdout
    arguments = set(inspect.signature(fusion_kernels.merge).parameters)
    # `overrides` is spelled by the options themselves, the method's own parameters by -p.
    for name in arguments - {"models", "overrides", "method_parameters"}:
        assert f"--{name.replace('_', '-')}" in help_text, name
    plan_help = subprocess.run([*COMMAND, "plan", "--help"], capture_output=True, text=True, check=True).stdout
    assert help_text.partition("Options:")[2] == plan_help.partition("Options:")[2]


def test_printed_recipe_merges_to_the_same(models, capsys):
    words = ["merge", "math", "code", "--base", "base", "--method", "ties", "-p", "weight=0.7,0.3", "-p", "density=0.5"]
    assert main([*words, "--seed", "3", "-o", "OUT", "--print-recipe"]) == 0
    text = capsys.readouterr().out
    assert not (models / "OUT").exists()
    assert "seed: 3" in text
    (models / "printed.yml").write_text(text)
    assert main(["merge", "printed.yml", "A"]) == main([*words, "-o", "B"]) == 0
    assert (models / "A/model.safetensors").read_bytes() == (models / "B/model.safetensors").read_bytes()


def test_print_recipe_with_changes(models, capsys):
    assert main(["merge", "recipe.yml", "--print-recipe", "--dtype", "bfloat16"]) == 0
    assert "out_dtype: bfloat16" in capsys.readouterr().out


def test_json_result(models, capsys):
    assert main(["merge", "recipe.yml", "OUT", "--json"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["tensors"] == 4
    assert {"config.json", "model.safetensors"} <= set(report["files"])
    assert report["parameters"]["weight"] == {"math": 0.5, "code": 0.25}
    assert printed.err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["merge", "math", "--method", "tis", "-o", "OUT"], "ties"),
        (["merge", "math", "code", "--method", "ties", "--base", "base", "-p", "weigth=1", "-o", "OUT"], "weight"),
        (["merge", "math", "nowhere", "--method", "linear", "-p", "weight=1", "-o", "OUT"], "nowhere"),
        (["merge", "missing.yml", "OUT"], "missing.yml"),
        (["merge", "math", "code", "--method", "linear", "-p", "weight=1", "-o", "math"], "math"),
        (["methods", "tis"], "ties"),
    ],
)
def test_failures_are_one_line(models, capsys, words, said):
    before = sorted(models.iterdir())
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert main([*words, "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert said in error["message"]
    assert error["type"] in ("ValueError", "FileNotFoundError", "OSError")
    assert sorted(models.iterdir()) == before


@pytest.mark.parametrize(
    "words",
    [
        ["merge"],
        ["merge", "math", "-o", "OUT"],
        ["merge", "math", "code", "--method", "linear"],
        ["merge", "recipe.yml"],
        ["merge", "recipe.yml", "OUT", "OUT2"],
        ["merge", "recipe.yml", "OUT", "-o", "OUT2"],
        ["merge", "math", "--method", "linear", "-p", "weight", "-o", "OUT"],
        ["merge", "math", "--method", "linear", "-p", "weight=1", "-p", "weight=2", "-o", "OUT"],
        ["merge", "a=math", "code", "--method", "linear", "-p", "weight=1", "-o", "OUT"],
        ["merge", "math", "--threads", "many", "--method", "linear", "-o", "OUT"],
        ["merge", "math", "--preset", "papr", "--method", "linear", "-o", "OUT"],
        ["merge", "math", "--no-such-option"],
        ["frobnicate"],
    ],
)
def test_not_understood(models, capsys, words):
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "UsageError"
    assert not (models / "OUT").exists()


def test_defects_are_one_line_and_traceable(models, capsys, monkeypatch):
    def broken(*_, **__):
        raise KeyError("layers")

    monkeypatch.setattr(fusion_kernels, "merge", broken)
    assert main(["merge", "recipe.yml", "OUT"]) == 1
    assert "KeyError" in capsys.readouterr().err
    with pytest.raises(KeyError):
        main(["merge", "recipe.yml", "OUT", "--traceback"])
    monkeypatch.setenv("FUSION_KERNELS_TRACEBACK", "1")
    with pytest.raises(KeyError):
        main(["merge", "recipe.yml", "OUT"])


@pytest.fixture
def heeds_ctrl_c():
    """SIGINT as in the foreground; a shell's background jobs inherit it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(models, capsys, monkeypatch, heeds_ctrl_c, kind):
    def interrupted(*_, **__):
        os.kill(os.getpid(), kind)
        time.sleep(5)
        raise AssertionError("nothing stopped the merge")

    monkeypatch.setattr(fusion_kernels, "merge", interrupted)
    assert main(["merge", "recipe.yml", "OUT"]) == 1
    assert capsys.readouterr().err == "error: stopped; nothing was published\n"


def test_plan(models, capsys):
    assert main(["plan", "recipe.yml", "OUT"]) == 0
    assert "task_arithmetic" in capsys.readouterr().out
    assert main(["plan", "recipe.yml", "OUT", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["ok"] is True
    assert planned["writes"] == sum(value.nbytes for value in weights(models / "base").values())
    assert not (models / "OUT").exists()


def test_plan_that_cannot_run_fails(models, capsys):
    tiny = weights(models / "code")
    from safetensors.numpy import save_file

    save_file({name: value for name, value in tiny.items() if name != "head.weight"}, models / "code/model.safetensors")
    assert main(["plan", "recipe.yml", "OUT", "--json"]) == 1
    planned = json.loads(capsys.readouterr().out)
    assert any("head.weight" in problem for problem in planned["problems"])


def test_methods(capsys):
    assert main(["methods"]) == 0
    listed = capsys.readouterr().out
    names = [method.name for method in fusion_kernels.methods()]
    assert [line.split()[0] for line in listed.splitlines()] == names
    assert main(["methods", "ties"]) == 0
    described = capsys.readouterr().out
    for word in ("density", "lambda", "arxiv.org/abs/2306.01708", "fusionbench"):
        assert word in described
    assert main(["methods", "ties", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "ties"
    assert main(["methods", "--json"]) == 0
    assert [method["name"] for method in json.loads(capsys.readouterr().out)] == names


def test_devices(capsys):
    assert main(["devices"]) == 0
    assert capsys.readouterr().out.split()[0] == "cpu"
    assert main(["devices", "--json"]) == 0
    cpu, *others = json.loads(capsys.readouterr().out)
    assert cpu["name"] == "cpu"
    assert "base" in cpu["instruction_sets"]
    assert cpu["threads"] == len(os.sched_getaffinity(0))
    assert all(other["name"].startswith(("cuda:", "emulated:")) for other in others)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fusion-kernels {fusion_kernels.__version__}\n"


def test_completion_knows_the_methods():
    environment = os.environ | {"_FUSION_KERNELS_COMPLETE": "complete_bash", "COMP_WORDS": "fusion-kernels methods t"}
    done = subprocess.run(COMMAND, env=environment | {"COMP_CWORD": "2"}, capture_output=True, text=True)
    assert done.stdout.split() == ["task_arithmetic", "ties", "trimmed_mean"]


def test_a_terminal_gets_a_bar(models):
    terminal, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(
        [*COMMAND, "merge", "recipe.yml", "OUT"], stderr=theirs, stdout=subprocess.PIPE, env=environment
    )
    os.close(theirs)
    drawn = os.read(terminal, 1 << 20).decode()
    os.close(terminal)
    assert done.returncode == 0
    assert "\x1b[" in drawn
    assert "merging" in drawn
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["density=0.5"], {"density": 0.5}),
        (["k=3", "normalize=false", "elect=unweighted"], {"k": 3, "normalize": False, "elect": "unweighted"}),
        (["weight=1,0.5,-2e-1"], {"weight": [1, 0.5, -0.2]}),
        (["weight.org/llama-3.1=0.3", "weight.b=1"], {"weight": {"org/llama-3.1": 0.3, "b": 1}}),
    ],
)
def test_parameters_are_read(words, wanted):
    assert parse_parameters(words) == wanted

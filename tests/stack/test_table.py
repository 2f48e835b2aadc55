"""Tables of finished runs: means, errors, normalised scores, paired tests, formats, published figures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from typer.testing import CliRunner

from fusion_stack.cli.table import table
from fusion_stack.report.runs import read_runs
from fusion_stack.report.statistics import compared
from fusion_stack.report.table import tabulate


@pytest.fixture
def run_command() -> Any:
    import typer

    app = typer.Typer()
    app.command()(table)
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])


def write_run(
    folder: Path,
    method: str,
    scores: dict[str, Any],
    *,
    seed: int | None = 0,
    config: dict[str, Any] | None = None,
    chosen_by: str = "default",
    items: dict[str, Any] | None = None,
) -> Path:
    folder.mkdir(parents=True)
    report = {
        "metrics": scores,
        "method": {"name": method, "config": config or {}, "coefficient_chosen_by": chosen_by},
        "seed": seed,
    }
    (folder / "report.json").write_text(json.dumps(report))
    if items is not None:
        numpy.savez(folder / "items.npz", **items)
    return folder


def accuracy(**tasks: float) -> dict[str, Any]:
    return {task: {"accuracy": score, "loss": 1.0} for task, score in tasks.items()} | {"average": {"accuracy": 0.0}}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed, (x, y) in enumerate([(0.6, 0.5), (0.7, 0.6), (0.8, 0.7)]):
        write_run(tmp_path / f"ta{seed}", "task_arithmetic", accuracy(x=x, y=y), seed=seed,
                  config={"scaling_factor": 0.3}, chosen_by="validation")  # fmt: skip
        write_run(tmp_path / f"avg{seed}", "simple_average", accuracy(x=x - 0.2, y=y - 0.1), seed=seed)
        single = {"x": accuracy(x=0.8, y=0.1), "y": accuracy(x=0.1, y=0.9)}
        write_run(tmp_path / f"ind{seed}", "individual", single, seed=seed)
    return tmp_path


def test_means_errors_and_normalised_scores(runs: Path) -> None:
    rows = {row.method: row for row in tabulate(read_runs([runs])).rows}
    mean, error = rows["task_arithmetic"].scores["x"]
    assert mean == pytest.approx(0.7)
    assert error == pytest.approx(0.1 / 3**0.5)
    assert rows["task_arithmetic"].average[0] == pytest.approx(0.65)
    # (0.6/0.8 + 0.5/0.9)/2 and so on, by hand
    assert rows["task_arithmetic"].normalised[0] == pytest.approx((0.7 / 0.8 + 0.6 / 0.9) / 2)
    assert rows["individual"].scores["y"][0] == pytest.approx(0.9), "each model on the task of its name"
    assert rows["individual"].normalised[0] == pytest.approx(1.0)
    assert rows["task_arithmetic"].coefficient == "scaling_factor 0.3"
    assert rows["task_arithmetic"].chosen_by == "validation"


def test_a_paired_test_by_hand(tmp_path: Path) -> None:
    for name, x, y in (("a", 0.9, 0.8), ("b", 0.5, 0.6)):
        write_run(tmp_path / name, name, accuracy(x=x, y=y, z=x))
    runs = {run.method: [run] for run in read_runs([tmp_path])}
    (one,) = compared(runs)
    assert (one.test, one.pairs) == ("sign flips", 3)
    assert one.p_value == pytest.approx(2 / 8), "all three differ the same way: 2 of 8 sign patterns are as extreme"
    assert one.difference == pytest.approx((0.4 + 0.2 + 0.4) / 3)


def test_items_are_compared_one_by_one(tmp_path: Path) -> None:
    right = numpy.ones(20, dtype=bool)
    worse = right.copy()
    worse[:6] = False
    write_run(tmp_path / "a", "a", accuracy(x=1.0), items={"x": right})
    write_run(tmp_path / "b", "b", accuracy(x=0.7), items={"x": worse})
    (one,) = compared({run.method: [run] for run in read_runs([tmp_path])})
    assert (one.test, one.pairs) == ("McNemar", 6)
    assert one.p_value == pytest.approx(2 / 2**6)


def test_three_comparisons_are_corrected(tmp_path: Path) -> None:
    for name, score in (("a", 0.9), ("b", 0.5), ("c", 0.5)):
        write_run(tmp_path / name, name, accuracy(**{f"t{task}": score for task in range(6)}))
    found = {(one.first, one.second): one.p_value for one in compared({r.method: [r] for r in read_runs([tmp_path])})}
    assert found["a", "b"] == pytest.approx(3 * 2 / 64)
    assert found["b", "c"] == 1.0


def test_every_format(runs: Path, run_command: Any, tmp_path: Path) -> None:
    text = run_command(runs).stdout
    assert "| **task_arithmetic** | **scaling_factor 0.3** | **validation** | **70.0 ± 5.8**" in text
    assert "task_arithmetic (scaling_factor 0.3) − simple_average" in text or "simple_average −" in text
    latex = run_command(runs, "--format", "latex", "--no-tests").stdout
    assert r"\textbf{task\_arithmetic}" in latex
    assert latex.count(r"\\") == 4
    rows = list(csv.DictReader(io.StringIO(run_command(runs, "--format", "csv").stdout)))
    assert float(next(one for one in rows if one["method"] == "simple_average")["x"]) == pytest.approx(0.5)
    done = run_command(runs, "--output", tmp_path / "t.md", "--chart", tmp_path / "bars.svg")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "t.md").read_text().startswith("| method")
    assert "<svg" in (tmp_path / "bars.svg").read_text()


def test_published_figures_stand_beside_ours(tmp_path: Path, run_command: Any) -> None:
    write_run(tmp_path / "ours", "simple_average", accuracy(sun397=0.65, mnist=0.9))
    text = run_command(tmp_path, "--reference", "clip-vit-base-patch32_TA8").stdout
    assert "| simple_average (published) |" in text
    line = next(one for one in text.splitlines() if one.startswith("| WEMoE (published)"))
    assert "89.2" in line, "the average that was published"
    assert "not measured here" in text


def test_what_cannot_be_tabulated_is_said(tmp_path: Path, run_command: Any) -> None:
    for arguments, message in (
        ([tmp_path], "no report.json here"),
        ([tmp_path, "--format", "html"], "--format 'html' is not known"),
    ):
        done = run_command(*arguments)
        assert done.exit_code == 1
        assert message in done.stderr
    write_run(tmp_path / "dummy", "dummy", {"model_info": {"all_params": 3}})
    assert "no scores by task" in run_command(tmp_path).stderr
    (tmp_path / "dummy" / "report.json").write_text("{")
    assert "not a run's report" in run_command(tmp_path).stderr
    write_run(tmp_path / "more" / "two", "a", accuracy(x=0.5, y=0.5))
    assert "at least 3 tasks" in run_command(tmp_path / "more", "--radar", tmp_path / "r.png").stderr
    assert "Did you mean" in run_command(tmp_path / "more", "--reference", "clip-vit-base-patch32").stderr


def test_runs_without_scores_are_left_out_by_name(tmp_path: Path, run_command: Any, caplog: Any) -> None:
    write_run(tmp_path / "dummy", "dummy", {"model_info": {"all_params": 3}})
    write_run(tmp_path / "scored", "ties_merging", accuracy(x=0.5, y=0.6))
    done = run_command(tmp_path)
    assert done.exit_code == 0
    assert "ties_merging" in done.stdout
    assert f"no scores by task: {tmp_path / 'dummy'}" in caplog.text


SCORES = """
from fusion_stack import BaseTaskPool


class Norms(BaseTaskPool):
    takes_tasks = True

    def evaluate(self, model, tasks=("a", "b", "c")):
        norm = sum(float(one.detach().square().sum()) for one in model.parameters())
        return {task: {"accuracy": 1 / (1 + norm + number)} for number, task in enumerate(tasks)}
"""


def test_a_sweep_of_methods_ends_in_its_table(fusion_stack: Any, overrides: list[str], tmp_path: Path) -> None:
    (tmp_path / "norms.py").write_text(SCORES)
    (tmp_path / "configs" / "taskpool").mkdir(parents=True)
    (tmp_path / "configs" / "taskpool" / "norms.yaml").write_text("_target_: norms.Norms\n")
    methods = "method=simple_average,task_arithmetic,ties_merging,individual"
    sweep = ("--multirun", "--config-dir", "configs", methods, "taskpool=norms", *overrides)
    status, text, errors = fusion_stack(*sweep)
    assert status == 0, errors
    text = text[text.index("| method") :]
    assert [line.split("|")[1].strip(" *") for line in text.splitlines()[2:6]] == [
        "simple_average", "task_arithmetic", "ties_merging", "individual",
    ]  # fmt: skip
    assert text.splitlines()[5].split("|")[-2].strip() == "100.0", "individual models, divided by themselves"
    (written,) = Path("outputs/multirun").rglob("table.md")
    assert written.read_text() == text


def test_a_radar_of_three_tasks(tmp_path: Path, run_command: Any) -> None:
    for name in "ab":
        write_run(tmp_path / name, name, accuracy(x=0.5, y=0.6, z=0.7))
    assert run_command(tmp_path, "--radar", tmp_path / "radar.png").exit_code == 0
    assert (tmp_path / "radar.png").stat().st_size > 1000

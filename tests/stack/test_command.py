"""What somebody sees who types `fusion-stack`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")


def report_of(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text())


def test_a_run_merges_files_and_reports(fusion_stack: Any, overrides: list[str], modules: dict[str, Any]) -> None:
    from transformers import GPT2LMHeadModel

    status, _, errors = fusion_stack("method=task_arithmetic", "method.scaling_factor=0.5", "seed=3", *overrides)
    assert status == 0, errors
    (folder,) = Path("outputs/fabric_model_fusion").iterdir()
    parameters = sum(one.numel() for one in modules["a"].parameters())
    assert json.loads((folder / "program_report.json").read_text())["model_info"]["all_params"] == parameters
    report = report_of(folder)
    assert report["metrics"]["model_info"]["all_params"] == parameters
    assert report["method"]["name"] == "task_arithmetic"
    assert report["method"]["config"]["scaling_factor"] == 0.5
    assert report["method"]["coefficient_chosen_by"] == "given"
    assert report["seed"] == 3
    assert set(report["hashes"]["models"]) == {"_pretrained_", "a", "b", "c"}
    assert len(set(report["hashes"]["models"].values())) == 4
    assert report["cost"]["cpu_seconds"] > 0 < report["cost"]["peak_memory_bytes"]
    assert "task_arithmetic on models" in (folder / "report.md").read_text()
    merged = GPT2LMHeadModel.from_pretrained(folder / "merged_model").state_dict()
    base = modules["_pretrained_"].state_dict()
    for name, tensor in base.items():
        expected = tensor + 0.5 * sum(modules[one].state_dict()[name] - tensor for one in "abc")
        assert torch.allclose(merged[name], expected, atol=1e-6, rtol=0), name  # a few roundings in fp32


def test_a_run_of_files_loads_neither_torch_nor_transformers(overrides: list[str], tmp_path: Path) -> None:
    script = (
        "import sys; from fusion_stack.cli import main; main()\n"
        "print({'torch', 'transformers', 'datasets', 'pandas', 'matplotlib', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "method=ties_merging", *overrides], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set()"
    assert len(done.stderr.splitlines()) <= 15
    assert "merging 3 models by ties_merging: a, b, c" in done.stderr


def test_a_sweep_runs_every_value(fusion_stack: Any, overrides: list[str]) -> None:
    sweep = ("--multirun", "method=task_arithmetic", "method.scaling_factor=0.1,0.2")
    status, _, errors = fusion_stack(*sweep, *overrides)
    assert status == 0, errors
    folders = sorted(path.parent for path in Path("outputs/multirun").rglob("report.json"))
    assert [report_of(folder)["method"]["config"]["scaling_factor"] for folder in folders] == [0.1, 0.2]
    assert all((folder / "merged_model" / "config.json").is_file() for folder in folders)


def test_one_failing_job_leaves_the_others(fusion_stack: Any, overrides: list[str]) -> None:
    sweep = ("--multirun", "method=ties_merging", "method.threshold=200,20")
    status, _, errors = fusion_stack(*sweep, *overrides)
    assert status == 1
    assert "threshold=200: expected a percentage" in errors
    assert len([*Path("outputs/multirun").rglob("report.json")]) == 1
    assert "Traceback" in next(Path("outputs/multirun").rglob("error.txt")).read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method=ties_mergin"], "no configuration 'ties_mergin' in group method. Did you mean 'ties_merging'?"),
        (["--config-name", "model_fusio"], "Did you mean 'model_fusion'?"),
        (["methd=dummy"], "no key or group 'methd'. Did you mean 'method'?"),
        (["method=ties_merging", "method.treshold=20"], "ties has no parameter 'treshold'"),
        (["method=ties_merging", "method.treshold=20"], "Did you mean 'threshold'?"),
        (["method=dare/ties_merging", "method.treshold=20"], "DareTiesMerging has no parameter 'treshold'"),
        (["fabric.strategy=ddp"], "fabric.strategy has no meaning here"),
        (["fabric/loggers=csv_logger"], "fabric/loggers has no meaning here"),
        (["fabric=llama_fsdp"], "fabric=llama_fsdp has no meaning here"),
        (["fabric.accelerator=tpu"], "fabric.accelerator='tpu' is not known; choose one of auto, cpu, cuda, gpu"),
        (["fabric.devices=none"], "fabric.devices='none': expected a number"),
        (["method.engine_method=x", "method=task_arithmetic"], "unknown method 'x'"),
        (["method=task_arithmetic", "+method.lambda=0.1"], "scaling_factor and lambda both say lambda"),
        (["modelpool.models.d=/nowhere", "method=simple_average"], "/nowhere"),
        (["seed=-1"], "seed must be at least 0"),
    ],
)
def test_errors_name_the_thing_and_the_way_out(
    arguments: list[str], message: str, fusion_stack: Any, overrides: list[str]
) -> None:
    status, _, errors = fusion_stack(*overrides, *arguments)
    assert status == 1
    assert message in errors
    assert "Traceback" not in errors


def test_missing_base_and_empty_pools(fusion_stack: Any, model_folders: dict[str, str]) -> None:
    only_a = f"modelpool.models={{a: {model_folders['a']}}}"
    assert "the modelpool has no base" in fusion_stack("modelpool=models", only_a, "method=ties_merging")[2]
    assert "the modelpool has no models" in fusion_stack("modelpool=models", "method=simple_average")[2]


def test_help_lists_every_group_and_every_method(fusion_stack: Any, tmp_path: Path) -> None:
    status, text, _ = fusion_stack("--help")
    assert status == 0
    for group in ("method", "modelpool", "taskpool", "model", "dataset", "path"):
        (line,) = (one for one in text.splitlines() if one.startswith(f"  {group}="))
        assert len(line) > len(group) + 10
    for key in ("seed", "merged_model_save_path", "report_save_path", "dry_run", "fast_dev_run", "print_config"):
        assert f"  {key}=" in text
    (tmp_path / "mine" / "method").mkdir(parents=True)
    (tmp_path / "mine" / "method" / "own.yaml").write_text("# My own way.\n_target_: a.B\n")
    _, text, _ = fusion_stack("--config-dir", "mine", "--help", "method")
    assert "own" in text
    assert "My own way." in text
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines), "a method without a line about it"


def test_cfg_dry_run_and_print_config(fusion_stack: Any, overrides: list[str]) -> None:
    _, text, _ = fusion_stack("--cfg", "job", "method=ties_merging", *overrides)
    assert "threshold: 20" in text
    assert not Path("outputs").exists()
    status, text, errors = fusion_stack("dry_run=true", "print_config=true", "method=ties_merging", *overrides)
    assert status == 0, errors
    assert "threshold: 20" in text
    assert "ties" in text
    assert not [*Path("outputs").rglob("*.safetensors")]


def test_a_key_that_configurations_refer_to_is_theirs(fusion_stack: Any, overrides: list[str], tmp_path: Path) -> None:
    """As `+corruption=motion_blur` is, of FusionBench's robustness taskpools."""
    (tmp_path / "configs/taskpool").mkdir(parents=True)
    target = "_target_: fusion_stack.taskpool.DummyTaskPool\nmodel_save_path: ${where}\n"
    (tmp_path / "configs/taskpool/mine.yaml").write_text(target)
    run = ("--config-dir", "configs", "method=dummy", "taskpool=mine", *overrides)
    status, _, errors = fusion_stack(*run, "+where=there")
    assert status == 0, errors
    assert Path("there/model.safetensors").is_file()
    status, _, errors = fusion_stack(*run, "+where=there", "+elsewhere=here")
    assert status == 1
    assert "'elsewhere'" in errors


def test_where_results_go(fusion_stack: Any, overrides: list[str]) -> None:
    status, _, errors = fusion_stack(
        "method=linear/task_arithmetic_for_causallm",
        "method.model_save_path=llm",
        "report_save_path=report.json",
        *overrides,
    )
    assert status == 0, errors
    assert Path("llm/model.safetensors").is_file()
    assert Path("report.json").is_file()
    assert not [*Path("outputs").rglob("*.safetensors")], "saved twice"
    for target in ("'{log_dir}/there'", "false"):
        status, _, errors = fusion_stack("method=dummy", f"merged_model_save_path={target}", *overrides)
        assert status == 0, errors
    assert len([*Path("outputs").rglob("there/model.safetensors")]) == 1
    assert not [*Path("outputs").rglob("merged_model/*")]


def test_push_to_hub_uploads_the_folder(
    fusion_stack: Any, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    calls: list[Any] = []
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda _, name, **options: calls.append(name))
    monkeypatch.setattr(
        huggingface_hub.HfApi, "upload_folder", lambda _, repo_id, folder_path: calls.append(os.listdir(folder_path))
    )
    llm = ("method=linear/ties_merging_for_causallm", "method.merge_backbone=true", "method.push_to_hub=me/merged")
    status, _, errors = fusion_stack(*llm, *overrides)
    assert status == 0, errors
    assert calls[0] == "me/merged"
    assert "config.json" in calls[1]


@pytest.mark.parametrize("precision", ["null", "bf16-true"])
def test_devices_and_precision_are_mapped(precision: str, fusion_stack: Any, overrides: list[str]) -> None:
    status, _, errors = fusion_stack(
        "fabric.accelerator=cpu", "fabric.devices=1", f"fabric.precision={precision}", "method=dummy", *overrides
    )
    assert status == 0, errors


def test_shell_completion_completes_methods(overrides: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "COMP_LINE": "fusion-stack method=tie", "COMP_POINT": "23"}
    done = subprocess.run(
        [sys.executable, "-m", "fusion_stack.cli", "-sc", "query=bash"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert "method=ties_merging" in done.stdout, done.stderr

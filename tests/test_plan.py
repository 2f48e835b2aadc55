"""What plan() knows from headers alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_models import tiny_checkpoint

import fusion_kernels

ITEM_SIZES = {"BF16": 2, "F32": 4}


def sparse_checkpoint(
    folder: Path, tensors: dict[str, tuple[int, ...]], *, dtype: str = "BF16", shards: int = 1
) -> Path:
    """A checkpoint of any size that takes no room: headers, then holes."""
    folder.mkdir(parents=True)
    names = list(tensors)
    index: dict[str, str] = {}
    for shard in range(shards):
        file = "model.safetensors" if shards == 1 else f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        header: dict[str, Any] = {}
        end = 0
        for name in names[shard * len(names) // shards : (shard + 1) * len(names) // shards]:
            nbytes = ITEM_SIZES[dtype]
            for extent in tensors[name]:
                nbytes *= extent
            header[name] = {"dtype": dtype, "shape": tensors[name], "data_offsets": [end, end + nbytes]}
            end += nbytes
            index[name] = file
        text = json.dumps(header).encode()
        with open(folder / file, "wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            stream.truncate(8 + len(text) + end)
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


def llama(layers: int, hidden: int, inner: int, vocabulary: int, key_value: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        shapes |= {
            f"{prefix}.self_attn.q_proj.weight": (hidden, hidden),
            f"{prefix}.self_attn.k_proj.weight": (key_value, hidden),
            f"{prefix}.self_attn.v_proj.weight": (key_value, hidden),
            f"{prefix}.self_attn.o_proj.weight": (hidden, hidden),
            f"{prefix}.mlp.gate_proj.weight": (inner, hidden),
            f"{prefix}.mlp.up_proj.weight": (inner, hidden),
            f"{prefix}.mlp.down_proj.weight": (hidden, inner),
            f"{prefix}.input_layernorm.weight": (hidden,),
            f"{prefix}.post_attention_layernorm.weight": (hidden,),
        }
    return shapes | {"model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    base = tiny_checkpoint(tmp_path / "base", 0)
    return [base, *(tiny_checkpoint(tmp_path / name, seed, near=base) for seed, name in enumerate(["math", "code"], 1))]


def test_sizes_files_and_parameters_are_stated(models: list[Path], tmp_path: Path) -> None:
    base, *tuned = models
    plan = fusion_kernels.plan(
        tuned, base=base, method="ties", weight=[1, 0.5], density=0.5, dtype="bfloat16", output=tmp_path / "out"
    )
    assert plan.ok
    assert plan.problems == ()
    elements = 2 * 32 * 8 + 8 * 8 + 8
    assert (plan.tensors, plan.reads, plan.writes) == (4, 2 * 3 * 4 * elements, 2 * elements)
    assert plan.dtypes == {"BF16": 4}
    assert plan.passes == 2
    assert plan.parameters["weight"] == {"math": 1.0, "code": 0.5}
    assert plan.files == ("config.json", "README.md", "mergekit_config.yml", "model.safetensors")
    assert plan.disk is not None
    assert plan.disk_free is not None
    assert 0 < plan.writes < plan.disk < plan.disk_free
    assert plan.ram > 0
    json.dumps(plan.as_dict())
    for word in ("ties", "math", "density", "ready to run", "disk"):
        assert word in str(plan)


@pytest.mark.parametrize(
    ("method", "options", "passes"),
    [
        ("linear", {"weight": 1}, 1),
        ("ties", {"weight": 1}, 1),
        ("ties", {"weight": 1, "density": [1, 0.3]}, 2),
        ("ties", {"weight": 1, "preset": "paper", "scope": "tensor"}, 2),
        ("ties", {"weight": 1, "density": 0.3, "rescale": True}, 3),
        ("ties", {"weight": 1, "density": 0.3, "rescale": True, "rescale_by": "density"}, 2),
        ("breadcrumbs", {"weight": 1, "density": 0.3, "rescale": True}, 3),
        ("dare_ties", {"weight": 1, "density": 0.3}, 2),
        ("dare_ties", {"weight": 1}, 1),
        ("dare_ties", {"weight": 1, "density": 0.3, "rescale_by": "density"}, 1),
        ("dare_ties", {"weight": 1, "density": 0.3, "rescale": False}, 1),
        ("della_linear", {"weight": 1, "density": 0.3}, 2),
        ("median", {}, 1),
        ("slerp", {"t": 0.5}, 2),
        ("karcher", {}, 2),
        ("model_stock", {}, 2),
        ("nuslerp", {"weight": 1, "nuslerp_flatten": False, "nuslerp_row_wise": True}, 2),
    ],
)
def test_passes_and_bytes_are_those_of_the_merge(
    models: list[Path], tmp_path: Path, method: str, options: dict[str, Any], passes: int
) -> None:
    base, *tuned = models
    arguments: dict[str, Any] = {"base": base, "method": method, "output": tmp_path / "out", **options}
    plan = fusion_kernels.plan(tuned[: 1 if method == "slerp" else 2], **arguments)
    assert plan.passes == passes
    report = fusion_kernels.merge(tuned[: 1 if method == "slerp" else 2], **arguments)
    assert plan.writes == report.bytes_written
    # Tensors this small stay in memory between the passes.
    assert plan.reads == passes * report.bytes_read or options.get("density") == [1, 0.3]
    assert plan.files == report.files
    assert plan.ram >= report.workspace_bytes


# Of base, a, b: how often each is read.
READS: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("ties", {"density": [0.5, 0.5]}, (2, 2, 2)),
    ("ties", {"density": [1, 0.3]}, (2, 1, 2)),
    ("ties", {"density": [1, 1], "rescale": True}, (1, 1, 1)),
    ("ties", {"density": [0, 0]}, (1, 1, 1)),
    ("ties", {"density": [1, 0.3], "rescale": True}, (3, 2, 3)),
    ("ties", {"density": [1, 0.3], "scope": "model"}, (2, 1, 2)),
    ("breadcrumbs", {"density": [0.3, 0], "rescale": True, "scope": "model"}, (3, 3, 2)),
    ("dare_linear", {"density": [0.3, 1]}, (2, 2, 2)),
    ("dare_linear", {"density": [0.3, 1], "preset": "paper"}, (1, 1, 1)),
    ("model_stock", {}, (2, 2, 2)),
    ("model_stock", {"filter_wise": True}, (1, 1, 1)),
    ("nuslerp", {"weight": 1, "nuslerp_flatten": False}, (1, 1, 1)),
    ("nuslerp", {"weight": 1, "nuslerp_flatten": False, "nuslerp_row_wise": True}, (2, 2, 2)),
    ("multislerp", {"weight": 1}, (2, 2, 2)),
]


@pytest.mark.parametrize(("method", "options", "times"), READS, ids=[f"{name}-{given}" for name, given, _ in READS])
def test_bytes_of_large_tensors_are_exact(
    tmp_path: Path, method: str, options: dict[str, Any], times: tuple[int, int, int]
) -> None:
    random = np.random.default_rng(0)
    models = [tmp_path / f"{name}.safetensors" for name in ("base", "a", "b")]
    for model in models:
        save_file({"w": random.standard_normal((2000, 1024), dtype=np.float32)}, model)
    # One thread: of several, one may fold the very tile it scanned last and need not read it again.
    options = {"method": method, "base": models[0], "threads": 1, **options}
    if "density" in options:
        options["weight"] = 1
    plan = fusion_kernels.plan(models[1:], output=tmp_path / "out", **options)
    report = fusion_kernels.merge(models[1:], output=tmp_path / "out", **options)
    assert plan.reads == sum(times) * 4 * 2000 * 1024
    assert plan.passes == max(times)
    assert (plan.reads, plan.writes) == (report.bytes_read, report.bytes_written)


def test_one_row_has_no_rows_to_bring_along(models: list[Path]) -> None:
    base, *tuned = models
    plan = fusion_kernels.plan(tuned, base=base, method="model_stock", filter_wise=True)
    matrices, vector = 2 * 32 * 8 + 8 * 8, 8
    assert plan.passes == 2
    assert plan.reads == 3 * 4 * (matrices + 2 * vector)


def test_trimming_a_whole_model_wants_one_precision(tmp_path: Path) -> None:
    models = [tmp_path / f"{name}.safetensors" for name in ("base", "a")]
    for model in models:
        save_file({"half": np.ones(4, np.float32), "whole": np.ones(4, np.float64)}, model)
    options: dict[str, Any] = {"base": models[0], "method": "ties", "preset": "paper"}
    (problem,) = fusion_kernels.plan(models[1:], **options).problems
    assert "scope='model'" in problem
    assert "give one dtype for all" in problem
    assert fusion_kernels.plan(models[1:], **options, dtype="float32").ok


def test_nothing_is_written(models: list[Path], tmp_path: Path) -> None:
    base, *tuned = models
    plan = fusion_kernels.plan(tuned, base=base, method="task_arithmetic", weight=1, output=tmp_path / "new" / "out")
    assert plan.ok
    assert sorted(os.listdir(tmp_path)) == ["base", "code", "math"]


def test_every_problem_is_listed_at_once(models: list[Path], tmp_path: Path) -> None:
    base, tuned, _ = models
    plan = fusion_kernels.plan(
        [tuned, tmp_path / "nowhere"], base=base, method="tiess", memory_limit="lots", output=tuned / "inside"
    )
    text = " | ".join(plan.problems)
    assert not plan.ok
    for word in ("tiess", "'ties'", "nowhere", "lots", "inside the folder of input model 'math'"):
        assert word in text
    assert "cannot run" in str(plan)


def test_output_on_an_input(models: list[Path], tmp_path: Path) -> None:
    base, tuned, _ = models
    (tmp_path / "link").symlink_to(tuned)
    for output in (tuned, tmp_path / "link", tuned / "below" / "it", tmp_path / "link" / "in"):
        plan = fusion_kernels.plan(
            [tuned], base=base, method="task_arithmetic", weight=1, output=output, overwrite=True
        )
        assert "input model 'math'" in " ".join(plan.problems), output


def test_a_single_file_input_is_protected_and_its_neighbourhood_is_not(models: list[Path], tmp_path: Path) -> None:
    source = models[0] / "model.safetensors"
    arguments: dict[str, Any] = {"method": "passthrough", "overwrite": True}
    for output in (source, models[0]):
        plan = fusion_kernels.plan([source], output=output, **arguments)
        assert "would replace" in " ".join(plan.problems)
    assert fusion_kernels.plan([source], output=models[0] / "merged", **arguments).ok
    (tmp_path / "alias.safetensors").symlink_to(source)
    plan = fusion_kernels.plan([tmp_path / "alias.safetensors"], output=source, **arguments)
    assert "would replace" in " ".join(plan.problems)


def test_a_full_disk_is_seen_beforehand(models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion_kernels.publish.Target.free_bytes", lambda self: 1000)
    plan = fusion_kernels.plan([models[0]], method="passthrough", output=tmp_path / "out")
    (problem,) = plan.problems
    assert "1000 bytes" in problem
    assert str(plan.disk) in problem
    with pytest.raises(OSError, match="too full"):
        fusion_kernels.merge([models[0]], method="passthrough", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_result_larger_than_memory_asks_for_an_output(tmp_path: Path) -> None:
    huge = sparse_checkpoint(tmp_path / "huge", {"w": (1 << 20, 1 << 22)})
    plan = fusion_kernels.plan([huge], method="passthrough")
    assert "output" in " ".join(plan.problems)
    assert "memory" in " ".join(plan.problems)


def test_more_than_two_billion_elements_have_exact_sizes(tmp_path: Path) -> None:
    shape = (1 << 16, (1 << 16) + 1)
    model = sparse_checkpoint(tmp_path / "big", {"w": shape, "empty": (0,), "scalar": ()})
    plan = fusion_kernels.plan([model], method="passthrough", output=tmp_path / "out", dtype="float32")
    assert plan.writes == 4 * (shape[0] * shape[1] + 1)


@pytest.mark.alone
def test_seventy_billion_parameters_plan_in_seconds(tmp_path: Path) -> None:
    shapes = llama(layers=80, hidden=8192, inner=28672, vocabulary=128256, key_value=1024)
    names = ["base", "math", "code", "chat"]
    base, *tuned = [sparse_checkpoint(tmp_path / name, shapes, shards=30) for name in names]
    recipe = tmp_path / "recipe.yml"
    models = "".join(f"  - model: {path}\n    parameters: {{weight: 0.5, density: 0.2}}\n" for path in tuned)
    recipe.write_text(f"merge_method: ties\nbase_model: {base}\nmodels:\n{models}dtype: bfloat16\n")
    started = time.perf_counter()
    plan = fusion_kernels.plan(recipe, output=tmp_path / "out", memory_limit="256MiB")
    seconds = time.perf_counter() - started
    assert plan.writes == pytest.approx(141e9, rel=0.01)
    assert plan.reads == 2 * 4 * plan.writes
    assert plan.ram <= 256 * 2**20
    assert len([file for file in plan.files if file.endswith(".safetensors")]) == 30
    assert all("disk" in problem for problem in plan.problems)  # the machine that tests this need not have 141 GB free
    assert seconds < 5

"""The weights a merge writes: shards, headers, index, bytes, and what else is left in the folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tiny_models import tiny_checkpoint, weights

import fusion_kernels


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    base = tiny_checkpoint(tmp_path / "base", 0)
    return [base, *(tiny_checkpoint(tmp_path / name, seed, near=base) for seed, name in enumerate(["math", "code"], 1))]


def average(models: list[Path], output: Path, **options: Any) -> fusion_kernels.MergeReport:
    return fusion_kernels.merge(models, method="linear", weight=1, output=output, **options)


def header(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return {**json.loads(raw[8 : 8 + length]), "start": 8 + length, "size": len(raw)}


def test_the_result_is_the_average_of_the_inputs(models: list[Path], tmp_path: Path) -> None:
    report = average(models, tmp_path / "out")
    inputs = [weights(model) for model in models]
    for name, merged in weights(tmp_path / "out").items():
        expected = np.mean([one[name].astype(np.float64) for one in inputs], axis=0)
        np.testing.assert_allclose(merged, expected, rtol=3e-7, atol=1e-7)  # three float32 roundings
    assert report.atomic
    assert report.tensors == 4
    assert report.bytes_read == 3 * report.bytes_written == 3 * 4 * (2 * 256 + 64 + 8)
    assert sorted(report.files) == sorted(os.listdir(tmp_path / "out"))
    assert report.parameters == {"weight": {"base": 1.0, "math": 1.0, "code": 1.0}, "normalize": True}
    assert json.loads(json.dumps(report.as_dict()))["files"] == list(report.files)
    assert "linear" in str(report)


def test_headers_are_what_loaders_expect(models: list[Path], tmp_path: Path) -> None:
    average(models, tmp_path / "out", dtype="bfloat16")
    written = header(tmp_path / "out" / "model.safetensors")
    assert written.pop("__metadata__") == {"format": "pt"}
    assert written.pop("start") % 8 == 0
    ends = sorted(entry["data_offsets"] for name, entry in written.items() if name != "size")
    assert ends[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(ends))
    with safe_open(tmp_path / "out" / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}
        assert set(file.keys()) == set(weights(models[0]))


@pytest.mark.parametrize("size", [1100, "1.1KB"])
def test_shards_and_their_index(models: list[Path], tmp_path: Path, size: int | str) -> None:
    average(models, tmp_path / "whole")
    report = average(models, tmp_path / "out", max_shard_size=size)
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert report.files[-1] == "model.safetensors.index.json"
    whole = weights(tmp_path / "whole")
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in whole.values())
    assert list(index["weight_map"]) == sorted(whole)
    shards = sorted(set(index["weight_map"].values()))
    assert shards == [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    assert len(shards) > 1
    for shard in shards:
        loaded = load_file(tmp_path / "out" / shard)
        assert sum(array.nbytes for array in loaded.values()) <= 1100
        for name, array in loaded.items():
            assert index["weight_map"][name] == shard
            assert array.tobytes() == whole[name].tobytes()


def test_a_tensor_larger_than_a_shard_gets_one_of_its_own(models: list[Path], tmp_path: Path) -> None:
    average(models, tmp_path / "out", max_shard_size=1)
    assert len(list((tmp_path / "out").glob("model-*-of-00004.safetensors"))) == 4


def test_no_index_for_one_file(models: list[Path], tmp_path: Path) -> None:
    average(models, tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors.index.json").exists()


def test_an_output_named_safetensors_is_one_file(models: list[Path], tmp_path: Path) -> None:
    report = average(models, tmp_path / "merged.safetensors", max_shard_size=1)
    assert report.files == ("merged.safetensors",)
    assert load_file(tmp_path / "merged.safetensors").keys() == weights(models[0]).keys()
    assert sorted(os.listdir(tmp_path)) == ["base", "code", "math", "merged.safetensors"]


def test_mixed_dtypes_stay_aligned(tmp_path: Path) -> None:
    """An odd number of half-width elements must not push a wider tensor off its natural alignment."""
    tensors = {"a": np.ones(3, np.float16), "b": np.ones(2, np.float64), "c": np.ones(5, np.float32)}
    save_file(tensors, tmp_path / "in.safetensors")
    fusion_kernels.merge([tmp_path / "in.safetensors"], method="passthrough", output=tmp_path / "out.safetensors")
    written = header(tmp_path / "out.safetensors")
    for name, array in tensors.items():
        assert (written["start"] + written[name]["data_offsets"][0]) % array.itemsize == 0
        assert load_file(tmp_path / "out.safetensors")[name].tobytes() == array.tobytes()


def test_the_same_merge_writes_the_same_bytes(models: list[Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        average(models, tmp_path / name / "out", threads=1 if name == "one" else 2)
    for path in (tmp_path / "one" / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / "out" / path.name).read_bytes(), path.name


def test_overwrite_replaces_only_what_the_merge_writes(models: list[Path], tmp_path: Path) -> None:
    average(models, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        average(models, tmp_path / "out", dtype="float16")
    report = average(models, tmp_path / "out", dtype="float16", overwrite=True, durable=True)
    assert not report.atomic
    assert "not atomic" in " ".join(report.notes)
    assert (tmp_path / "out" / "notes.txt").read_text() == "kept"
    assert {array.dtype.name for array in weights(tmp_path / "out").values()} == {"float16"}


def test_a_git_clone_is_filled(models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "clone" / ".git").mkdir(parents=True)
    report = average(models, tmp_path / "clone", durable=True)
    assert not report.atomic
    assert (tmp_path / "clone" / ".git").is_dir()
    assert weights(tmp_path / "clone").keys() == weights(models[0]).keys()


def test_inputs_sharded_differently_merge_to_the_same_bytes(models: list[Path], tmp_path: Path) -> None:
    average(models, tmp_path / "plain")
    for number, size in ((1, 1100), (2, 600)):
        fusion_kernels.merge(
            [models[number]], method="passthrough", output=tmp_path / f"cut{number}", max_shard_size=size
        )
    average([models[0], tmp_path / "cut1", tmp_path / "cut2"], tmp_path / "out")
    assert (tmp_path / "plain" / "model.safetensors").read_bytes() == (
        tmp_path / "out" / "model.safetensors"
    ).read_bytes()


def test_values_beyond_the_output_s_range_are_counted(tmp_path: Path) -> None:
    save_file({"w": np.array([1, 1000, -1000, 2], np.float32)}, tmp_path / "in.safetensors")
    report = fusion_kernels.merge(
        [tmp_path / "in.safetensors"], method="passthrough", output=tmp_path / "out", dtype="float8_e4m3fn"
    )
    assert "2 values exceeded the range of F8_E4M3" in " ".join(report.notes)
    assert "w (2)" in " ".join(report.notes)


def test_inputs_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    save_file({"w": np.array([1, np.nan, np.inf, 2], np.float32)}, tmp_path / "in.safetensors")
    report = fusion_kernels.merge(
        [tmp_path / "in.safetensors"], method="linear", weight=1, output=tmp_path / "out", allow_nonfinite=True
    )
    assert "NaN or infinite" in " ".join(report.notes)
    assert "w (2)" in " ".join(report.notes)


def test_progress_ends_at_everything_done(models: list[Path], tmp_path: Path) -> None:
    seen: list[Any] = []
    average(models, tmp_path / "out", progress=seen.append)
    last = seen[-1]
    assert last.bytes_done == last.bytes_total == 4 * 4 * (2 * 256 + 64 + 8)
    assert last.tensors_done == last.tensors_total == 4


def test_what_progress_raises_stops_the_merge(models: list[Path], tmp_path: Path) -> None:
    def stop(progress: object) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        average(models, tmp_path / "out", progress=stop)
    assert sorted(os.listdir(tmp_path)) == ["base", "code", "math"]


@pytest.mark.parametrize("damage", ["vanish", "change"])
def test_an_input_that_changes_after_planning_publishes_nothing(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    from fusion_kernels import running

    opens: Callable[..., Any] = running.into_files

    def meddle(prepared: Any, **options: Any) -> Any:
        path = models[1] / "model.safetensors"
        if damage == "vanish":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes() + b"x")
        return opens(prepared, **options)

    monkeypatch.setattr(running, "into_files", meddle)
    with pytest.raises(OSError, match=re.escape(str(models[1]))):
        average(models, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["base", "code", "math"]


@pytest.mark.alone
def test_forty_thousand_tiny_tensors(tmp_path: Path) -> None:
    import time

    random = np.random.default_rng(0)
    names = [f"layers.{index // 8}.part{index % 8}.weight" for index in range(40_000)]
    for model in ("base", "a", "b"):
        block = random.standard_normal((len(names), 4, 4), dtype=np.float32)
        save_file(dict(zip(names, block, strict=True)), tmp_path / f"{model}.safetensors")
    started = time.perf_counter()
    report = fusion_kernels.merge(
        [tmp_path / "a.safetensors", tmp_path / "b.safetensors"],
        base=tmp_path / "base.safetensors",
        method="ties",
        weight=1,
        density=0.5,
        output=tmp_path / "out",
    )
    assert report.tensors == 40_000
    assert time.perf_counter() - started < 10

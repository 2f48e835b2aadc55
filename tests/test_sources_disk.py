"""Models on disk: folders with and without an index, single files, and the ways out where there is no model."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from header_files import entries, entry, write_file, write_index, write_raw, write_sharded
from safetensors.numpy import save_file

from fusion_kernels.sources import open_source, open_sources


def test_tensors_are_where_the_header_says(tmp_path: Path) -> None:
    values = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3, dtype=np.int64)}
    save_file(values, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with open_source(tmp_path) as checkpoint:
        buffers = checkpoint.open()
        assert checkpoint.label == tmp_path.name
        assert checkpoint.folder == tmp_path
        assert len(buffers) == len(checkpoint.buffers) == 1
        for name, value in values.items():
            info = checkpoint.tensors[name]
            assert (info.dtype, info.shape) == ({"w": "F32", "b": "I64"}[name], value.shape)
            assert info.numel == value.size
            descriptor = buffers[info.buffer]
            assert isinstance(descriptor, int)
            assert os.pread(descriptor, info.nbytes, info.offset) == value.tobytes()
        assert checkpoint.open() == buffers
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_sharded_folder(tmp_path: Path) -> None:
    shards = {"model-00001-of-00002.safetensors": {"a": [2], "b": [3]}, "model-00002-of-00002.safetensors": {"c": [4]}}
    checkpoint = open_source(str(write_sharded(tmp_path / "m", shards)))
    assert [(info.name, info.buffer) for info in checkpoint.tensors.values()] == [("a", 0), ("b", 0), ("c", 1)]
    assert [file.name for file in checkpoint.files] == list(shards)


def test_index_decides_where_a_tensor_is_read(tmp_path: Path) -> None:
    folder = write_sharded(tmp_path / "m", {"a.safetensors": {"w": [2]}, "b.safetensors": {"w": [2], "rest": [1]}})
    checkpoint = open_source(write_index(folder, {"w": "b.safetensors"}))
    assert [file.name for file in checkpoint.files] == ["b.safetensors"]
    assert list(checkpoint.tensors) == ["w"]
    assert "'m'" in checkpoint.notes[0]
    assert "rest" in checkpoint.notes[0]


def test_shard_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = write_sharded(tmp_path / "m", {"part/a.safetensors": {"w": [2]}, "part/b.safetensors": {"v": [2]}})
    assert set(open_source(folder).tensors) == {"w", "v"}


def test_links_as_in_the_cache_of_the_hub(tmp_path: Path) -> None:
    write_file(tmp_path / "blobs" / "0f", {"w": [4]})
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "a.safetensors").symlink_to("../../blobs/0f")
    write_index(snapshot, {"w": "a.safetensors"})
    with open_source(snapshot) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]
        checkpoint.open()


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.safetensors", "model.fp16.safetensors"])
def test_the_only_file_is_the_model(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / name, {"w": [4]})
    assert list(open_source(tmp_path).tensors) == ["w"]


def test_model_safetensors_wins_over_its_neighbours(tmp_path: Path) -> None:
    write_file(tmp_path / "model.safetensors", {"w": [4]})
    write_file(tmp_path / "model.fp16.safetensors", {"w": [4]}, "F16")
    assert open_source(tmp_path).tensors["w"].dtype == "F32"


def test_config_may_be_empty_or_absent(tmp_path: Path) -> None:
    write_file(tmp_path / "model.safetensors", {"w": [4]})
    assert open_source(tmp_path).config is None
    (tmp_path / "config.json").write_text(" \n")
    assert open_source(tmp_path).config is None
    (tmp_path / "config.json").write_text("{}")
    assert open_source(tmp_path).config == {}
    assert open_source(tmp_path).tied is None


@pytest.mark.parametrize(
    ("config", "tied"),
    [
        ({"tie_word_embeddings": True}, True),
        ({"tie_word_embeddings": False}, False),
        ({"text_config": {"tie_word_embeddings": False}}, False),
        ({"tie_word_embeddings": True, "text_config": {"tie_word_embeddings": False}}, None),
        ({"hidden_size": 4}, None),
    ],
)
def test_tied(tmp_path: Path, config: dict[str, object], tied: bool | None) -> None:
    write_file(tmp_path / "model.safetensors", {"w": [4]})
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert open_source(tmp_path).tied is tied


def test_single_file(tmp_path: Path) -> None:
    checkpoint = open_source(write_file(tmp_path / "anime.safetensors", {"w": [4]}))
    assert checkpoint.label == "anime"
    assert checkpoint.folder is None


def test_scalars_empty_tensors_and_huge_ones(tmp_path: Path) -> None:
    header, data_bytes = entries(
        {"scalar": [], "empty": [0], "wide": [0, 5], "huge": [3, 1 << 30], "last": [1]}, "BF16"
    )
    write_raw(tmp_path / "model.safetensors", json.dumps(header).encode(), data_bytes)
    tensors = open_source(tmp_path).tensors
    assert [tensors[name].numel for name in ("scalar", "empty", "wide", "huge", "last")] == [1, 0, 0, 3 << 30, 1]
    assert tensors["scalar"].shape == ()
    assert tensors["huge"].nbytes == 6 << 30


def test_padded_header_and_formats_below_a_byte(tmp_path: Path) -> None:
    header = json.dumps({"w": entry("F4", [2, 3], 0, 3), "__metadata__": {"format": "pt"}}).encode()
    write_raw(tmp_path / "model.safetensors", header.ljust(256), 3)
    assert open_source(tmp_path).tensors["w"].nbytes == 3


def test_several_files_without_an_index(tmp_path: Path) -> None:
    for number in range(1, 9):
        write_file(tmp_path / f"model-0000{number}-of-00008.safetensors", {f"w{number}": [4]})
    with pytest.raises(ValueError, match=r"8 \.safetensors files and no model\.safetensors\.index\.json.*\(3 more\)"):
        open_source(tmp_path)


def test_both_an_index_and_a_single_file(tmp_path: Path) -> None:
    write_sharded(tmp_path, {"a.safetensors": {"w": [4]}})
    write_file(tmp_path / "model.safetensors", {"w": [4]})
    with pytest.raises(ValueError, match=r"both model\.safetensors and model\.safetensors\.index\.json.*remove one"):
        open_source(tmp_path)


def test_missing_shards_are_all_named(tmp_path: Path) -> None:
    folder = write_sharded(tmp_path / "m", {f"{letter}.safetensors": {letter: [4]} for letter in "abc"})
    (folder / "a.safetensors").unlink()
    (folder / "c.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"2 of the 3 files .* 'a\.safetensors', 'c\.safetensors'"):
        open_source(folder)


def test_names_in_an_index_do_not_reach_the_terminal(tmp_path: Path) -> None:
    folder = write_index(tmp_path / "model", {"w": "\x1b[2J\n.safetensors"})
    with pytest.raises(FileNotFoundError, match=r"\\x1b\[2J\\n\.safetensors'") as caught:
        open_source(folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt"])
def test_pickles_say_how_to_convert(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x02")
    with pytest.raises(FileNotFoundError, match=rf"only pickled weights \({name}\).*save_pretrained"):
        open_source(tmp_path)
    with pytest.raises(ValueError, match=rf"{name}: a pickle.*convert it"):
        open_source(tmp_path / name)


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model in this folder; expected model\.safetensors"):
        open_source(tmp_path)
    write_raw(tmp_path / "model.safetensors", b"{}", 0)
    with pytest.raises(ValueError, match="holds no tensors"):
        open_source(tmp_path)


def test_adapters_are_refused_by_name(tmp_path: Path) -> None:
    write_file(tmp_path / "adapter_model.safetensors", {"lora_A.weight": [4]})
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(NotImplementedError, match=r"LoRA adapter.*merge_and_unload"):
        open_source(tmp_path)
    with pytest.raises(NotImplementedError, match=r"LoRA adapter.*merge_and_unload"):
        open_source(f"org/model+{tmp_path}")


@pytest.mark.parametrize("source", ["./nowhere", "/no/where", "a/b/c", "~/nowhere-at-all", "missing.safetensors"])
def test_paths_that_do_not_exist_are_not_asked_of_the_hub(source: str) -> None:
    with pytest.raises(FileNotFoundError, match="no folder or file"):
        open_source(source)


@pytest.mark.parametrize("source", [None, 3, ["a"], ""])
def test_what_is_no_source(source: object) -> None:
    with pytest.raises(ValueError, match=r"hub id"):
        open_source(source)


def test_a_file_that_changes_after_planning(tmp_path: Path) -> None:
    path = write_file(tmp_path / "model.safetensors", {"w": [4]})
    checkpoint = open_source(tmp_path, label="math")
    os.utime(path, ns=(1, 1))
    with pytest.raises(OSError, match=r"model\.safetensors: the file of model 'math' changed"):
        checkpoint.open()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        checkpoint.open()


def test_labels_tell_models_apart(tmp_path: Path) -> None:
    folders = [tmp_path / run / "checkpoint-500" for run in ("math", "code")]
    for folder in folders:
        write_file(folder / "model.safetensors", {"w": [4]})
    assert [one.label for one in open_sources(folders)] == ["math/checkpoint-500", "code/checkpoint-500"]
    assert [one.label for one in open_sources({"a": folders[0], "b": folders[1]})] == ["a", "b"]
    same = [one.label for one in open_sources([folders[0], folders[0]])]
    assert len(set(same)) == 2
    given = open_source(folders[0], label="checkpoint-500")
    both = open_sources([given, folders[1]])
    assert both[0].label == "checkpoint-500"
    assert both[1].label != "checkpoint-500"


def test_more_shards_than_the_soft_limit_of_open_files(tmp_path: Path) -> None:
    shards = {f"{number}.safetensors": {f"w{number}": [1]} for number in range(200)}
    folder = write_sharded(tmp_path / "m", shards)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    code = (
        "import resource; from fusion_kernels.sources import open_source; checkpoint = open_source({!r});"
        "resource.setrlimit(resource.RLIMIT_NOFILE, ({}, {})); print(len(checkpoint.open()))"
    )
    rooms = code.format(str(folder), 64, hard)
    assert subprocess.run([sys.executable, "-c", rooms], capture_output=True, text=True, check=True).stdout == "200\n"
    small = subprocess.run([sys.executable, "-c", code.format(str(folder), 64, 64)], capture_output=True, text=True)
    assert "ulimit -n" in small.stderr


def test_forty_thousand_tensors_are_parsed_quickly(tmp_path: Path) -> None:
    """0.2 s of processor time where measured; the bound only catches a quadratic reader."""
    write_file(tmp_path / "model.safetensors", {f"layers.{i}.experts.{i % 64}.weight": [4, 4] for i in range(40_000)})
    start = time.process_time()
    assert len(open_source(tmp_path).tensors) == 40_000
    assert time.process_time() - start < 3

"""Models on the hub: headers by ranges, shards only when read, the cache, offline mode, errors with a way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import COMMIT, Hub, serving
from header_files import write_file, write_index, write_sharded

SCRIPT = """
import json, sys
from fusion_kernels.sources import open_source
result = {}
try:
    checkpoint = open_source(sys.argv[1])
    names = ("label", "source", "reference", "config", "revision", "notes")
    result = {name: getattr(checkpoint, name) for name in names}
    result["tensors"] = {name: [info.dtype, info.shape, info.buffer] for name, info in checkpoint.tensors.items()}
    result["folder"] = str(checkpoint.folder)
    result["planned"] = [str(file) for file in checkpoint.files if file.exists()]
    if sys.argv[2] == "open":
        with checkpoint:
            result["buffers"] = len(checkpoint.open())
        result["files"] = [str(file) for file in checkpoint.files]
except Exception as error:
    result["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(result))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serving(tmp_path / "hub") as server:
        yield server


def ask(tmp_path: Path, source: str, action: str = "plan", *, endpoint: str = "", **environment: str) -> dict[str, Any]:
    """Opens a source in a process of its own, as the hub's client reads its settings once, when it is imported."""
    settings = {
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": endpoint or "http://127.0.0.1:9",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        **environment,
    }
    unwanted = (
        "HF_",
        "HUGGING",
        "TRANSFORMERS_",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    )
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, source, action],
        cwd=tmp_path, env=inherited | settings, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def sharded(root: Path, name: str = "org/model") -> Path:
    folder = write_sharded(
        root / name, {"model-1.safetensors": {"a": [3000, 8], "b": [2]}, "model-2.safetensors": {"c": [60_000]}}
    )
    (folder / "config.json").write_text('{"tie_word_embeddings": false}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "code.py").write_text("x = 1")
    (folder / "pytorch_model.bin").write_bytes(b"\0" * 1000)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"\0" * 1000)
    (folder / "onnx" / "code.py").write_text("x = 2")
    return folder


def test_a_plan_reads_headers_and_small_files_only(tmp_path: Path, hub: Hub) -> None:
    sharded(hub.root)
    result = ask(tmp_path, "org/model", endpoint=hub.endpoint)
    assert "error" not in result, result
    assert (result["label"], result["reference"], result["revision"]) == ("model", "org/model", COMMIT)
    assert result["tensors"] == {"a": ["F32", [3000, 8], 0], "b": ["F32", [2], 0], "c": ["F32", [60_000], 1]}
    assert result["config"] == {"tie_word_embeddings": False}
    assert result["planned"] == []
    assert "2 files are downloaded from the hub" in result["notes"][0]
    assert [asked for asked, _ in hub.fetched("model-1.safetensors")] == ["bytes=0-99999"]
    in_cache = {path.name for path in Path(result["folder"]).iterdir()}
    assert in_cache == {"config.json", "tokenizer.json", "code.py", "model.safetensors.index.json"}
    assert not hub.fetched("pytorch_model.bin")
    assert not hub.fetched("onnx/code.py")


def test_opening_fetches_the_named_shards_once(tmp_path: Path, hub: Hub) -> None:
    folder = sharded(hub.root)
    write_file(folder / "model-3.safetensors", {"unused": [4]})
    result = ask(tmp_path, "org/model", "open", endpoint=hub.endpoint)
    assert result["buffers"] == 2, result
    for file in result["files"]:
        assert Path(file).read_bytes() == (folder / Path(file).name).read_bytes()
    assert not hub.fetched("model-3.safetensors")
    before = len(hub.requests)
    again = ask(tmp_path, "org/model", "open", endpoint=hub.endpoint)
    assert again["notes"] == []
    assert again["tensors"] == result["tensors"]
    assert not [path for method, path, _, _ in hub.requests[before:] if method == "GET" and "resolve" in path]
    offline = ask(tmp_path, "org/model", "open", HF_HUB_OFFLINE="1")
    assert (offline["buffers"], offline["revision"], offline["reference"]) == (2, COMMIT, "org/model"), offline


def test_one_file_and_a_revision(tmp_path: Path, hub: Hub) -> None:
    write_file(hub.root / "org" / "small" / "model.safetensors", {"w": [4]})
    result = ask(tmp_path, "org/small@v2", "open", endpoint=hub.endpoint)
    assert (result["buffers"], result["source"], result["config"]) == (1, "org/small@v2", None), result
    missing = ask(tmp_path, "org/small@v3", endpoint=hub.endpoint)
    assert missing["error"].startswith("FileNotFoundError: org/small")
    assert "no revision 'v3'" in missing["error"]


def test_long_header_takes_a_second_range(tmp_path: Path, hub: Hub) -> None:
    write_file(hub.root / "org" / "many" / "model.safetensors", {f"layers.{i}.weight": [1] for i in range(3000)})
    result = ask(tmp_path, "org/many", endpoint=hub.endpoint)
    assert len(result["tensors"]) == 3000
    asked = [asked for asked, _ in hub.fetched("model.safetensors")]
    assert len(asked) == 2
    assert asked[1] is not None
    assert asked[1].startswith("bytes=100000-")


def test_server_without_ranges(tmp_path: Path, hub: Hub) -> None:
    """The file is not read to its end: 40 MB stay with the server."""
    write_file(hub.root / "org" / "big" / "model.safetensors", {f"layers.{i}.weight": [10_000] for i in range(1000)})
    hub.ranges = False
    result = ask(tmp_path, "org/big", endpoint=hub.endpoint)
    assert len(result["tensors"]) == 1000, result
    assert all(sent < 20_000_000 for _, sent in hub.fetched("model.safetensors"))


def test_connection_that_ends_early(tmp_path: Path, hub: Hub) -> None:
    write_file(hub.root / "org" / "big" / "model.safetensors", {f"layers.{i}.weight": [100] for i in range(1000)})
    hub.cut_after = 50_000
    error = ask(tmp_path, "org/big", endpoint=hub.endpoint)["error"]
    assert "org/big: reading the header of model.safetensors" in error
    assert "cannot be reached" in error
    assert len(hub.fetched("model.safetensors")) == 3


def test_busy_servers_are_asked_again(tmp_path: Path, hub: Hub) -> None:
    write_file(hub.root / "org" / "model" / "model.safetensors", {"w": [4]})
    hub.busy = 2
    result = ask(tmp_path, "org/model", endpoint=hub.endpoint)
    assert list(result.get("tensors", ())) == ["w"], result


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"", "0 bytes"), (b"version https://git-lfs", "git lfs pull"), (b"\xff" * 100, "more than the 100000000")],
)
def test_hostile_remote_files(tmp_path: Path, hub: Hub, content: bytes, part: str) -> None:
    (hub.root / "org" / "bad").mkdir(parents=True)
    (hub.root / "org" / "bad" / "model.safetensors").write_bytes(content)
    error = ask(tmp_path, "org/bad", endpoint=hub.endpoint)["error"]
    assert error.startswith("ValueError: org/bad/model.safetensors on the hub: ")
    assert part in error


def test_hostile_remote_index(tmp_path: Path, hub: Hub) -> None:
    write_index(hub.root / "org" / "bad", {"w": "../../secret.safetensors"})
    error = ask(tmp_path, "org/bad", endpoint=hub.endpoint)["error"]
    assert error.startswith("ValueError")
    assert "'../../secret.safetensors'" in error
    write_index(hub.root / "org" / "part", {"w": "model-1.safetensors"})
    error = ask(tmp_path, "org/part", endpoint=hub.endpoint)["error"]
    assert error.startswith("FileNotFoundError: org/part on the hub")
    assert "model-1.safetensors" in error


def test_what_the_hub_says_no_to(tmp_path: Path, hub: Hub) -> None:
    sharded(hub.root, "org/gated")
    hub.gated.add("org/gated")
    gated = ask(tmp_path, "org/gated", endpoint=hub.endpoint)["error"]
    assert gated.startswith("PermissionError: org/gated")
    assert "hf auth login" in gated
    absent = ask(tmp_path, "org/absent", endpoint=hub.endpoint)["error"]
    assert absent.startswith("FileNotFoundError: org/absent")
    assert "a folder or file of that name does not exist either" in absent
    (hub.root / "org" / "pickles").mkdir()
    (hub.root / "org" / "pickles" / "pytorch_model.bin").write_bytes(b"\0")
    pickles = ask(tmp_path, "org/pickles", endpoint=hub.endpoint)["error"]
    assert "org/pickles on the hub: holds only pickled weights (pytorch_model.bin)" in pickles


def test_an_existing_path_wins(tmp_path: Path, hub: Hub) -> None:
    sharded(hub.root)
    write_file(tmp_path / "org" / "model" / "model.safetensors", {"mine": [1]})
    result = ask(tmp_path, "org/model", endpoint=hub.endpoint)
    assert list(result["tensors"]) == ["mine"]
    assert result["reference"] is None
    assert hub.requests == []


def handmade_cache(tmp_path: Path, *shards: str) -> Path:
    repository = tmp_path / "home" / "hub" / "models--org--model"
    write_file(repository / "blobs" / "aa", {"a": [4]})
    write_file(repository / "blobs" / "bb", {"b": [4]})
    (repository / "blobs" / "cc").write_text('{"model_type": "llama"}')
    snapshot = repository / "snapshots" / COMMIT
    write_index(snapshot, {"a": "1.safetensors", "b": "2.safetensors"})
    for name, blob in [("1.safetensors", "aa"), ("2.safetensors", "bb"), ("config.json", "cc")]:
        if name in shards or name == "config.json":
            (snapshot / name).symlink_to(f"../../blobs/{blob}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return snapshot


def test_offline_with_the_model_in_the_cache(tmp_path: Path) -> None:
    snapshot = handmade_cache(tmp_path, "1.safetensors", "2.safetensors")
    for source in ("org/model", "org/model@main", f"org/model@{COMMIT}"):
        result = ask(tmp_path, source, "open", HF_HUB_OFFLINE="1")
        assert (result["buffers"], result["revision"]) == (2, COMMIT), result
        assert result["folder"] == str(snapshot)
        assert result["config"] == {"model_type": "llama"}


def test_offline_with_a_part_of_the_model(tmp_path: Path) -> None:
    handmade_cache(tmp_path, "1.safetensors")
    error = ask(tmp_path, "org/model", HF_HUB_OFFLINE="1")["error"]
    assert error.startswith("FileNotFoundError: org/model: offline mode (HF_HUB_OFFLINE) is on")
    assert "1 of the 2 files" in error
    assert "2.safetensors" in error
    assert "hf download org/model" in error


def test_offline_without_the_model_says_what_would_have_been_fetched(tmp_path: Path) -> None:
    error = ask(tmp_path, "org/model@v2", HF_HUB_OFFLINE="1")["error"]
    assert error.startswith(
        "FileNotFoundError: org/model: no folder or file of that name; offline mode (HF_HUB_OFFLINE)"
    )
    assert "would have fetched http://127.0.0.1:9/org/model at revision v2: config.json, model.safetensors" in error
    assert str(tmp_path / "home") in error


def test_no_connection_uses_the_cache_with_a_note(tmp_path: Path, hub: Hub) -> None:
    handmade_cache(tmp_path, "1.safetensors", "2.safetensors")
    result = ask(tmp_path, "org/model", "open")
    assert result["buffers"] == 2, result
    assert "the hub cannot be reached" in result["notes"][0]
    hub.broken = True
    broken = ask(tmp_path, "org/model", "open", endpoint=hub.endpoint)
    assert broken["buffers"] == 2, broken
    assert "503" in broken["notes"][0]
    error = ask(tmp_path, "org/other")["error"]
    assert "the hub cannot be reached" in error
    assert "would have fetched" in error


def test_weights_that_change_between_plan_and_merge(tmp_path: Path, hub: Hub) -> None:
    """The download is not the file whose header was read: refused, not merged."""
    folder = hub.root / "org" / "moving"
    write_file(folder / "model.safetensors", {"w": [4]})
    code = SCRIPT.replace(
        'if sys.argv[2] == "open":',
        "import os, pathlib; os.replace(sys.argv[3], sys.argv[4])\n    if True:",
    )
    new = write_file(tmp_path / "new.safetensors", {"w": [2, 2]})
    environment = os.environ | {
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_XET": "1",
    }
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-c", code, "org/moving", "open", str(new), str(folder / "model.safetensors")]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert "not the file whose header was read from the hub" in json.loads(run.stdout)["error"]

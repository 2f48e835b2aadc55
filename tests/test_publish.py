"""Where a merge may write, and what is left behind when it cannot finish."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fusion_kernels.publish import Staging, Target

FILES = ["config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json"]


def stage(target: Path, files: list[str] = FILES, *, durable: bool = False) -> bool:
    with Staging(Target(target), durable=durable) as staging:
        for file in files:
            (staging.folder / file).write_text(f"new {file}")
        return staging.publish(files)


def test_a_new_folder_appears_by_one_rename(tmp_path: Path) -> None:
    assert stage(tmp_path / "deep" / "out") is True
    assert sorted(os.listdir(tmp_path / "deep" / "out")) == sorted(FILES)
    assert os.listdir(tmp_path / "deep") == ["out"]


def test_an_empty_folder_is_replaced_by_one_rename(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert stage(tmp_path / "out", durable=True) is True
    assert sorted(os.listdir(tmp_path / "out")) == sorted(FILES)


def test_new_folder_and_files_have_the_rights_of_any_other(tmp_path: Path) -> None:
    stage(tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_files_already_there_stay_unless_they_have_our_names(tmp_path: Path) -> None:
    target = tmp_path / "clone"
    (target / ".git").mkdir(parents=True)
    (target / "notes.txt").write_text("kept")
    (target / "config.json").write_text("old")
    assert stage(target, durable=True) is False
    assert (target / "notes.txt").read_text() == "kept"
    assert (target / "config.json").read_text() == "new config.json"
    assert os.listdir(tmp_path) == ["clone"]


def test_the_index_is_the_last_file_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "clone"
    (target / ".git").mkdir(parents=True)
    renamed: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (renamed.append(Path(b).name), replace(a, b))[1])
    stage(target)
    assert renamed == FILES


def test_a_single_file_is_replaced_by_one_rename(tmp_path: Path) -> None:
    target = tmp_path / "merged.safetensors"
    target.write_text("old")
    assert stage(target, ["merged.safetensors"]) is True
    assert target.read_text() == "new merged.safetensors"
    assert os.listdir(tmp_path) == ["merged.safetensors"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with Staging(Target(tmp_path / "new" / "parent" / "out")) as staging:
            (staging.folder / "half").write_text("written")
            raise error

    with pytest.raises(error):
        fail()
    assert os.listdir(tmp_path) == []


def test_a_target_filled_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def race() -> None:
        with Staging(Target(tmp_path / "out")) as staging:
            (staging.folder / "a").write_text("ours")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "b").write_text("theirs")
            staging.publish(["a"])

    with pytest.raises(FileExistsError, match="filled by someone else"):
        race()
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["b"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    stage(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert sorted(os.listdir(tmp_path / "disk")) == sorted(FILES)


def problems(target: Path, *, overwrite: bool = False, writes: list[str] = FILES) -> list[Exception]:
    return Target(target).problems(overwrite=overwrite, writes=writes)


def test_a_folder_with_files_needs_overwrite(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (error,) = problems(tmp_path)
    assert isinstance(error, FileExistsError)
    assert "notes.txt" in str(error)
    assert "overwrite=True" in str(error)
    assert problems(tmp_path, overwrite=True) == []


def test_dot_files_do_not_count_and_a_clone_may_hold_other_files(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitattributes").write_text("*.safetensors filter=lfs")
    assert problems(tmp_path) == []
    (tmp_path / "notes.txt").write_text("x")
    assert problems(tmp_path) == []
    (tmp_path / "config.json").write_text("{}")
    assert "config.json" in str(problems(tmp_path)[0])


def test_weights_that_would_be_loaded_in_place_of_ours_are_a_problem(tmp_path: Path) -> None:
    """Transformers loads model.safetensors before it looks for an index."""
    (tmp_path / "model.safetensors").write_text("old")
    (error,) = problems(tmp_path, overwrite=True)
    assert "model.safetensors" in str(error)
    assert "delete" in str(error)


def test_a_file_in_the_place_of_a_folder_and_the_reverse(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.safetensors").mkdir()
    assert "is a file" in str(problems(tmp_path / "file")[0])
    assert "is a folder" in str(problems(tmp_path / "folder.safetensors")[0])
    assert "is a file" in str(problems(tmp_path / "file" / "out")[0])
    (tmp_path / "one.safetensors").write_text("x")
    assert "overwrite=True" in str(problems(tmp_path / "one.safetensors")[0])


def test_a_parent_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and access(path, mode))
    (error,) = problems(tmp_path / "out")
    assert isinstance(error, PermissionError)
    assert str(tmp_path) in str(error)


def test_a_folder_on_another_filesystem_is_filled_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mounted folder cannot be replaced by a rename, and a sibling would lie on the wrong disk."""
    mounted = tmp_path / "volume"
    mounted.mkdir()
    monkeypatch.setattr(Target, "_stages_inside", property(lambda self: True))
    assert Target(mounted).staging_parent == mounted
    assert stage(mounted) is False
    assert sorted(os.listdir(mounted)) == sorted(FILES)

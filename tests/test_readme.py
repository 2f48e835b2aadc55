"""README and quick start do what they say: their code is run as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tiny_models import tiny_checkpoint, weights

from fusion_kernels.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICKSTART = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found
    return found


def commands(text: str) -> list[list[str]]:
    """The `fusion-kernels` lines of all bash blocks, without the program's name."""
    lines = "\n".join(blocks(text, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("fusion-kernels")]


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = tiny_checkpoint(tmp_path / "base", 0)
    tiny_checkpoint(tmp_path / "math", 1, near=base)
    tiny_checkpoint(tmp_path / "code", 2, near=base)
    (recipe,) = blocks(QUICKSTART, "yaml")
    (tmp_path / "recipe.yml").write_text(recipe)
    return tmp_path


def test_readme_merge(models, capsys):
    (code,) = blocks(README, "python")
    exec(compile(code, "README.md", "exec"), {})
    assert "ties" in capsys.readouterr().out
    merged, base = weights(models / "merged"), weights(models / "base")
    assert merged.keys() == base.keys()
    assert all((merged[name] != base[name]).any() for name in base)


def test_readme_commands(models):
    every = commands(README)
    assert {words[0] for words in every} >= {"merge", "plan", "methods", "devices"}
    for words in every:
        assert main(words) == 0, words
    assert (models / "OUT" / "model.safetensors").is_file()
    assert (models / "OUT2" / "model.safetensors").is_file()


def test_quickstart_commands(models):
    for words in commands(QUICKSTART):
        assert main([*words, "--overwrite"]) == 0, words


def test_quickstart_python(models):
    (code,) = blocks(QUICKSTART, "python")
    exec(compile(code, "quickstart.md", "exec"), {})
    # The recipe and the call above it say the same.
    assert main(["merge", "recipe.yml", "BY_RECIPE"]) == 0
    assert (models / "OUT/model.safetensors").read_bytes() == (models / "BY_RECIPE/model.safetensors").read_bytes()


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    documents = "".join(
        path.read_text(encoding="utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    )
    for target in set(
        re.findall(r"`?make ([a-z-]+)`?", "\n".join(re.findall(r"`make [a-z-]+`|^make [a-z-]+", documents, re.M)))
    ):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target

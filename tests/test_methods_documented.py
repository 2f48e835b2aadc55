"""What is written about the methods: notes on each, and entries to cite."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import fusion_kernels
from fusion_kernels.citation import bibtex

DOCS = Path(__file__).resolve().parents[1] / "docs"
NATIVE = [one for one in fusion_kernels.methods() if one.info.kind != "matrix"]
NAMES = [one.name for one in NATIVE]


@pytest.fixture(scope="module")
def page() -> str:
    sys.path.insert(0, str(DOCS))
    try:
        import hooks
    finally:
        sys.path.remove(str(DOCS))
    return str(hooks.on_page_markdown((DOCS / "methods.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_each_method_has_its_notes(name: str, page: str) -> None:
    notes = DOCS / "method_notes" / f"{name}.md"
    assert notes.is_file(), f"write {notes}: what happens at equals, zeros and NaN, and what other tools do differently"
    text = notes.read_text(encoding="utf-8").strip()
    assert "**Elsewhere.**" in text
    section = re.split(r"^## ", page.partition(f"\n## {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    assert text in section
    described = fusion_kernels.describe(name)
    for parameter in described.info.parameters:
        assert f"| `{parameter.name}` |" in section
    assert described.info.formula in section
    assert described.bibtex in section


def test_there_are_no_notes_on_what_does_not_exist() -> None:
    assert {path.stem for path in (DOCS / "method_notes").glob("*")} == set(NAMES)


@pytest.mark.parametrize("name", [one.name for one in NATIVE if one.info.paper])
def test_a_paper_can_be_cited(name: str) -> None:
    described = fusion_kernels.describe(name)
    entry, paper = described.bibtex, described.info.paper
    assert re.match(rf"@misc\{{[a-z]+{paper['year']}[a-z0-9]+,\n", entry)
    assert f"{{{{{paper['title']}}}}}" in entry
    assert f"{{{paper['url']}}}" in entry
    assert "et al" not in entry
    assert entry.count("{") == entry.count("}")


def test_the_entry_of_ties_can_be_pasted() -> None:
    assert fusion_kernels.describe("ties").bibtex.splitlines() == [
        "@misc{yadav2023tiesmerging,",
        "  title         = {{TIES-Merging: resolving interference when merging models}},",
        "  author        = {Yadav and others},",
        "  year          = {2023},",
        "  eprint        = {2306.01708},",
        "  archivePrefix = {arXiv},",
        "  url           = {https://arxiv.org/abs/2306.01708},",
        "}",
    ]


def test_authors_addresses_and_odd_characters_are_written_as_bibtex_wants_them() -> None:
    entry = bibtex({"title": "The 5% & more", "authors": "Davari & Belilovsky", "url": "https://doi.org/10.1/x"})
    assert "@misc{davari5," in entry
    assert r"{{The 5\% \& more}}" in entry
    assert "{Davari and Belilovsky}" in entry
    assert "doi           = {10.1/x}" in entry
    assert "year" not in entry
    assert bibtex({}) == ""
    assert fusion_kernels.describe("passthrough").bibtex == ""


@pytest.mark.parametrize("file", ["README.md", "CHANGELOG.md"])
def test_the_lists_of_methods_are_complete(file: str) -> None:
    text = (DOCS.parent / file).read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in text] == []

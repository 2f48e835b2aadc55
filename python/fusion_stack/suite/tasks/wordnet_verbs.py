"""Definitions of WordNet's verbs, by lexicographer file ("supersense")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from fusion_stack.suite.debian import wordnet_verbs
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task

# The lexicographer files for verbs, in the order of their numbers, which start at 29.
FILES = (
    "body", "change", "cognition", "communication", "competition", "consumption", "contact", "creation", "emotion",
    "motion", "perception", "possession", "social", "stative", "weather",
)  # fmt: skip
FIRST_FILE = 29
_EXAMPLES = re.compile(r'"[^"]*"')


def read_glosses(lines: Iterable[str]) -> list[Sample]:
    """(definition, lexicographer file): the gloss alone, without its usage examples and without the verb itself."""
    samples = []
    for line in lines:
        if line.startswith("  "):  # the licence at the top
            continue
        fields, _, gloss = line.partition("|")
        definition = _EXAMPLES.sub("", gloss).strip(" ;\n")
        if len(definition) > 8:
            samples.append((definition, FILES[int(fields.split()[1]) - FIRST_FILE]))
    return samples


def _read(cache: Path) -> tuple[list[Sample], None]:
    return read_glosses(wordnet_verbs(cache).read_text("latin-1").splitlines(True)), None


TASK = Task(
    name="wordnet_verbs",
    title="WordNet verbs",
    origin="wordnet-base (Debian)",
    terms="WordNet 3.0 licence (permissive), Princeton University",
    prompt="a definition of something to do with {}",
    classes={name: name for name in FILES}
    | {
        "contact": "touching, hitting or moving things",
        "social": "social or political activity",
        "stative": "being or having",
    },
    read=_read,
    permissive=True,
)

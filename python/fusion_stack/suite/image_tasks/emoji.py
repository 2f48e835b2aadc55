"""Emoji in colour, by the group that Unicode's list puts them in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fusion_stack.suite.debian import package_files
from fusion_stack.suite.image import glyphs
from fusion_stack.suite.image.glyphs import Pen
from fusion_stack.suite.image.pixels import as_text, fingerprint
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task

FONT_PACKAGE, LIST_PACKAGE = "fonts-noto-color-emoji", "unicode-data"
FONT, LIST = "NotoColorEmoji.ttf", "emoji-test.txt"
BITMAP_SIZE = 109  # the only one the font has
SELECTOR = "FE0F"  # asks for the coloured form; it has no form of its own


def read_groups(lines: Iterable[str]) -> list[tuple[str, str]]:
    """(character, group) of every emoji in emoji-test.txt that is one character.

    Flags, families and skin tones are sequences: they need a shaping library, and hardly differ from one another.
    """
    group, found = "", {}
    for line in lines:
        if line.startswith("# group:"):
            group = line.partition(":")[2].strip()
        elif "; fully-qualified" in line:
            points = [point for point in line.partition(";")[0].split() if point != SELECTOR]
            if len(points) == 1:
                found[chr(int(points[0], 16))] = group
    return list(found.items())


def _read(cache: Path) -> tuple[list[Sample], None]:
    font = package_files(cache, FONT_PACKAGE, {f"usr/share/fonts/truetype/noto/{FONT}": None}) / FONT
    listed = package_files(cache, LIST_PACKAGE, {f"usr/share/unicode/emoji/{LIST}": None}) / LIST
    pen = Pen(font, colour_size=BITMAP_SIZE)
    known = read_groups(listed.read_text(encoding="utf-8").splitlines())
    return [(as_text(pen.draw(character)), group) for character, group in known if pen.draws(character)], None


TASK = Task(
    name="emoji",
    title="emoji",
    origin=f"{FONT_PACKAGE}, {LIST_PACKAGE} (Debian)",
    terms="font: SIL OFL 1.1, drawings: Apache-2.0, (c) Google; groups: Unicode licence",
    prompt="{}",
    classes={
        "Activities": "activities",
        "Animals & Nature": "animals and nature",
        "Food & Drink": "food and drink",
        "Objects": "objects",
        "People & Body": "people and body",
        "Smileys & Emotion": "smileys and emotion",
        "Symbols": "symbols",
        "Travel & Places": "travel and places",
    },
    read=_read,
    permissive=True,
    fingerprint=fingerprint,
    modules=(glyphs,),
)

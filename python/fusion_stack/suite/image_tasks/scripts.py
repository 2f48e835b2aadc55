"""Letters in black on white, in two weights, by script; no letter stands on both sides of the split."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Mapping
from pathlib import Path

from fusion_stack.suite.debian import package_files
from fusion_stack.suite.image import glyphs
from fusion_stack.suite.image.glyphs import Pen
from fusion_stack.suite.image.pixels import as_text, fingerprint
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task

PACKAGE = "fonts-noto-core"
FOLDER = "usr/share/fonts/truetype/noto"
FONTS = {  # script, as the names of its letters begin: family of fonts
    "ARABIC": "NotoSansArabic",
    "ARMENIAN": "NotoSansArmenian",
    "BENGALI": "NotoSansBengali",
    "CANADIAN SYLLABICS": "NotoSansCanadianAboriginal",
    "CYRILLIC": "NotoSans",
    "DEVANAGARI": "NotoSansDevanagari",
    "ETHIOPIC": "NotoSansEthiopic",
    "GEORGIAN": "NotoSansGeorgian",
    "GREEK": "NotoSans",
    "GUJARATI": "NotoSansGujarati",
    "HEBREW": "NotoSansHebrew",
    "KANNADA": "NotoSansKannada",
    "KHMER": "NotoSansKhmer",
    "LATIN": "NotoSans",
    "MALAYALAM": "NotoSansMalayalam",
    "MYANMAR": "NotoSansMyanmar",
    "SINHALA": "NotoSansSinhala",
    "TAMIL": "NotoSansTamil",
    "TELUGU": "NotoSansTelugu",
    "THAI": "NotoSansThai",
}
WEIGHTS = ("Regular", "Bold")
MOST = 60  # letters of one script, spread over its range
TEST_SHARE = 4  # one letter in so many is a test item


def letters(script: str) -> list[str]:
    """The script's letters in the Basic Multilingual Plane, by code point."""
    characters = map(chr, range(0x10000))
    return [
        one
        for one in characters
        if unicodedata.category(one) in ("Lu", "Ll", "Lo") and unicodedata.name(one, "").startswith(f"{script} ")
    ]


def drawn(pens: Mapping[str, list[Pen]]) -> tuple[list[Sample], list[Sample]]:
    """(image, script) for training and for testing; `pens`: {script: those that draw it}. A letter has one side."""
    sides: tuple[list[Sample], list[Sample]] = [], []
    for script, own in pens.items():
        known = [letter for letter in letters(script) if all(pen.draws(letter) for pen in own)]
        chosen = known if len(known) <= MOST else [known[len(known) * index // MOST] for index in range(MOST)]
        for letter in chosen:
            side = sides[zlib.crc32(letter.encode()) % TEST_SHARE == 0]
            side += [(as_text(pen.draw(letter)), script) for pen in own]
    return sides


def _read(cache: Path) -> tuple[list[Sample], list[Sample]]:
    files = {f"{family}-{weight}.ttf" for family in FONTS.values() for weight in WEIGHTS}
    folder = package_files(cache, PACKAGE, {f"{FOLDER}/{name}": None for name in sorted(files)})
    return drawn(
        {script: [Pen(folder / f"{family}-{weight}.ttf") for weight in WEIGHTS] for script, family in FONTS.items()}
    )


TASK = Task(
    name="scripts",
    title="scripts",
    origin=f"{PACKAGE} (Debian)",
    terms="SIL OFL 1.1, (c) Google",
    prompt="{}",
    classes={script: f"{script.title()} letter" for script in FONTS},
    read=_read,
    permissive=True,
    fingerprint=fingerprint,
    modules=(glyphs,),
)

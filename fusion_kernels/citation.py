"""Writes the BibTeX entry of the paper a method comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["bibtex"]

_PAD = 13  # of the longest field name, archivePrefix


def bibtex(paper: Mapping[str, Any]) -> str:
    """The entry of ``paper`` (title, authors, year, url); empty where there is no paper.

    Authors are those declared: family names, "et al." as BibTeX's "others". arXiv and DOI addresses fill their fields.
    """
    title = str(paper.get("title", ""))
    if not title:
        return ""
    authors, year, url = (str(paper.get(key, "")) for key in ("authors", "year", "url"))
    names = re.split(r"\s*(?:,|&|\band\b)\s*", re.sub(r",?\s+et al\.?$", " & others", authors))
    arxiv = re.fullmatch(r"https?://arxiv\.org/abs/(\d+\.\d+)(?:v\d+)?", url)
    doi = re.fullmatch(r"https?://(?:dx\.)?doi\.org/(\S+)", url)
    fields = {
        "title": f"{{{_escaped(title)}}}",  # doubly braced: the case is the title's own
        "author": " and ".join(map(_escaped, filter(None, names))),
        "year": year,
        **({"eprint": arxiv[1], "archivePrefix": "arXiv"} if arxiv else {}),
        **({"doi": doi[1]} if doi else {}),
        "url": url,
    }
    lines = [f"  {name:<{_PAD}} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{_key(names[0], year, title)},", *lines, "}"])


def _key(author: str, year: str, title: str) -> str:
    """As people name entries: yu2024language."""
    words = [re.sub(r"[^a-z0-9]", "", word.lower()) for word in title.split()]
    first = next((word for word in words if word not in ("", "a", "an", "the", "on")), "")
    return re.sub(r"[^a-z]", "", author.lower()) + year + first


def _escaped(text: str) -> str:
    return re.sub(r"([&%$#_])", r"\\\1", text)

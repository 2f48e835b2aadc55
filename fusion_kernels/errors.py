"""How an error talks to its reader: suggestions for misspelt names, short listings, one-line quotes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["listing", "quoted", "suggest"]  # and DeviceError, see __getattr__


def suggest(name: object, known: Iterable[str]) -> str:
    """The sentence to append to an error about an unknown name.

    Returns ``" Did you mean 'density'?"`` (with the leading space) when one of ``known`` is near, else ``""``.
    Near means a small edit distance, a difference in case or punctuation, or one name inside the other
    (``ties_merging`` suggests ``ties``).
    """
    wanted = _plain(str(name))
    if not wanted:
        return ""
    spelled = {_plain(one): one for one in known}
    close = difflib.get_close_matches(wanted, spelled, n=1, cutoff=0.6)
    if not close:
        inside = [one for one in spelled if len(one) > 2 and (one in wanted or (len(wanted) > 2 and wanted in one))]
        close = sorted(inside, key=lambda one: (-len(one), one))[:1]
    return f" Did you mean {spelled[close[0]]!r}?" if close else ""


def listing(names: Iterable[object], *, limit: int = 12) -> str:
    """Names joined by commas; past ``limit`` the rest is counted, so that a message stays one readable line."""
    every = [str(one) for one in names]
    if len(every) <= limit:
        return ", ".join(every)
    return ", ".join(every[:limit]) + f" ... ({len(every) - limit} more)"


def quoted(value: object, *, limit: int = 80) -> str:
    """``repr(value)`` on one line, cut to ``limit`` characters for use inside a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def __getattr__(name: str) -> Any:
    # DeviceError is a class of the native module; asking for it must not make this module load the engine.
    if name == "DeviceError":
        from fusion_kernels._native import native

        return native().DeviceError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

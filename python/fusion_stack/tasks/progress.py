"""Progress bars: on a terminal, gone when done, silent in a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def progress(items: Iterable[Any], description: str, *, total: int | None = None, unit: str = "batch") -> Any:
    """Iterates over `items` with a bar, which takes `set_postfix(metric=value)`."""
    from tqdm.auto import tqdm

    return tqdm(items, desc=description, total=total, unit=unit, leave=False, dynamic_ncols=True, disable=None)

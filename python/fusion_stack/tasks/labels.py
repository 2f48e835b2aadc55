"""Whether a dataset's labels are those that a head or a list of class names stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fusion_stack.tasks import TaskError


def label_names(dataset: Any, column: str | int) -> list[str] | None:
    """The names a dataset gives its labels, by a `datasets.ClassLabel` or an attribute `classes`; None for none."""
    feature = (getattr(dataset, "features", None) or {}).get(column)
    names = getattr(feature, "names", None) or getattr(dataset, "classes", None)
    return None if names is None else [str(name) for name in names]


def require_same_labels(task: str, expected: Sequence[str], found: Sequence[str] | None, whose: str) -> None:
    """Raises TaskError where `found` differs in number, or has the names of `expected` in another order.

    Spelling may differ ("polka-dotted", "polka_dotted"; "0", "zero"), so names are compared only when the two sets are
    the same but for case and punctuation. found: None is trusted.
    """
    if found is None:
        return
    if len(found) != len(expected):
        raise TaskError(
            f"task {task!r}: its dataset has {len(found)} labels, {whose} {len(expected)}; "
            f"the first labels of the dataset are {', '.join(map(repr, found[:3]))}"
        )
    ours, theirs = ([re.sub(r"[^a-z0-9]", "", name.lower()) for name in names] for names in (expected, found))
    if "" in ours or ours == theirs or sorted(ours) != sorted(theirs):
        return
    first = next(number for number, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other)
    raise TaskError(
        f"task {task!r}: its labels stand in another order than {whose}: label {first} is {found[first]!r} in the "
        f"dataset, {expected[first]!r} expected"
    )


def require_known_labels(task: str, labels: Any, num_classes: int) -> None:
    """Raises TaskError for a label that is not one of 0..num_classes − 1. labels: torch tensor (N,)."""
    known = (labels >= 0) & (labels < num_classes) & (labels == labels.floor())
    if not known.all():
        wrong = f"{labels[~known][0].item():g}"
        hint = "; a test split without labels?" if wrong == "-1" else ""
        raise TaskError(f"task {task!r}: the dataset has label {wrong}, {num_classes} classes are known{hint}")

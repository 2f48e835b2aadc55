"""Disjoint training, validation and test items from samples, with near-duplicates removed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from fusion_stack.suite.samples import Sample

NOT_A_WORD = re.compile(r"\W+")
FINGERPRINT_LENGTH = 160  # characters; more than the tokens the model gets to see
FEWEST_TEST_ITEMS = 300  # a small data set gives this many before training goes short
LEAST_TRAINING = 0.5  # of the training items asked for


class TooFewSamplesError(ValueError):
    """A data set is smaller than the training and test items asked of it."""


@dataclass(frozen=True)
class Split:
    """Items for training, for choosing coefficients, and for the one final test."""

    train: list[Sample]
    validation: list[Sample]
    test: list[Sample]

    def majority(self) -> float:
        """Accuracy (in %) of always answering the test set's most frequent class."""
        labels = [label for _, label in self.test]
        return 100 * max(labels.count(label) for label in set(labels)) / len(labels)


def fingerprint(text: str) -> str:
    """Equal for texts that begin with the same words, whatever their case and punctuation."""
    return NOT_A_WORD.sub(" ", text.lower()).strip()[:FINGERPRINT_LENGTH]


def split(
    samples: Sequence[Sample],
    official_test: Sequence[Sample] | None,
    classes: Container[str],
    *,
    train_items: int,
    validation_items: int,
    test_items: int,
    seed: int,
    fingerprint: Callable[[str], str] = fingerprint,
) -> Split:
    """Draws test items first (from the official test set if there is one), then others like none of them.

    No two items, on whichever side, share a fingerprint. Samples of classes not asked for are left out. Without an
    official test set, more than `FEWEST_TEST_ITEMS` test items are taken only from what training leaves over.
    Raises TooFewSamplesError.
    """
    draw = random.Random(seed)
    seen: set[str] = set()
    pool = _unlike(samples if official_test is None else official_test, classes, seen, fingerprint)
    draw.shuffle(pool)
    if official_test is None:
        left_over = len(pool) - train_items - validation_items
        test_items = min(test_items, max(left_over, FEWEST_TEST_ITEMS))
    test, rest = pool[:test_items], pool[test_items:]
    if official_test is not None:
        rest = _unlike(samples, classes, seen, fingerprint)
        draw.shuffle(rest)
    validation, train = rest[:validation_items], rest[validation_items : validation_items + train_items]
    if len(test) < min(test_items, FEWEST_TEST_ITEMS) or len(train) < LEAST_TRAINING * train_items:
        raise TooFewSamplesError(
            f"{test_items} test and {train_items} training items were asked for, beside {validation_items} for "
            f"validation; there are {len(test)} and {len(train)} different ones"
        )
    return Split(train, validation, test)


def _unlike(
    samples: Sequence[Sample], classes: Container[str], seen: set[str], mark_of: Callable[[str], str]
) -> list[Sample]:
    kept = []
    for text, label in samples:
        mark = mark_of(text)
        if label in classes and mark not in seen:
            seen.add(mark)
            kept.append((text, label))
    return kept

"""Texts to what a model reads: token ids, class indices, and the frozen head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.demo.model import embed, load_encoder, load_tokenizer
from examples.demo.readers import Sample
from examples.demo.settings import Settings
from examples.demo.tasks import Prepared

LONGEST_TEXT = 2000  # characters given to the tokenizer, far more than the tokens kept


@dataclass(frozen=True)
class Encoded:
    """Token ids and class index of every text, and the task's frozen head: one unit vector per class."""

    tokens: list[list[int]]
    classes: list[int]
    head: list[list[float]]


def encode(prepared: Sequence[Prepared], base: Path, settings: Settings) -> list[tuple[Encoded, Encoded]]:
    """(training, test) of each task.

    A head is the base's own embedding of the task's class descriptions: the untouched base therefore answers every
    task to some degree, and all fine-tunes share it.
    """
    import torch

    tokenizer, encoder = load_tokenizer(base), load_encoder(base)

    def token_ids(texts: Sequence[str]) -> list[list[int]]:
        cut = [text[:LONGEST_TEXT] for text in texts]
        return tokenizer(cut, truncation=True, max_length=settings.max_tokens)["input_ids"]

    def items(samples: Sequence[Sample], labels: list[str], head: list[list[float]]) -> Encoded:
        texts, found = zip(*samples, strict=True)
        return Encoded(token_ids(texts), [labels.index(label) for label in found], head)

    pairs = []
    for each in prepared:
        with torch.inference_mode():
            head = embed(encoder, token_ids(each.task.prompts)).tolist()
        labels = each.task.labels
        pairs.append((items(each.split.train, labels, head), items(each.split.test, labels, head)))
    return pairs

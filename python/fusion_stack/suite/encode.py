"""Texts to what a model reads: token ids, class indices, and the frozen head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fusion_stack.suite.encoder import encoder_pool
from fusion_stack.suite.items import Prepared
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.settings import Settings

PARTS = ("train", "validation", "test")
LONGEST_TEXT = 2000  # characters given to the tokenizer, far more than the tokens kept


@dataclass(frozen=True)
class Encoded:
    """Token ids and class index of every text, and the task's frozen head: one unit vector per class."""

    tokens: list[list[int]]
    classes: list[int]
    head: list[list[float]]


def encode(
    prepared: Sequence[Prepared], base: Path, settings: Settings, parts: Sequence[str] = PARTS
) -> dict[str, dict[str, Encoded]]:
    """{task: {part: its items}}, for the parts of each task's split that are asked for.

    A head is the base's own embedding of the task's class descriptions: the untouched base therefore answers every
    task to some degree, and all fine-tunes share it.
    """
    import torch

    pool = encoder_pool(base)
    tokenizer, encoder = pool.load_tokenizer(), pool.load_pretrained_model()

    def token_ids(texts: Sequence[str]) -> list[list[int]]:
        cut = [text[:LONGEST_TEXT] for text in texts]
        ids: list[list[int]] = tokenizer(cut, truncation=True, max_length=settings.max_tokens)["input_ids"]
        return ids

    def items(samples: Sequence[Sample], labels: list[str], head: list[list[float]]) -> Encoded:
        return Encoded(token_ids([text for text, _ in samples]), [labels.index(label) for _, label in samples], head)

    encoded = {}
    for each in prepared:
        with torch.inference_mode():
            head = pool.embed(encoder, token_ids(each.task.prompts)).tolist()
        labels, name = each.task.labels, each.task.name
        encoded[name] = {part: items(getattr(each.split, part), labels, head) for part in parts}
    return encoded

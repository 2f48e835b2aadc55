"""Which test items a model folder gets right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from examples.demo.encode import Encoded
from examples.demo.model import embed, length_buckets, load_encoder

BATCH = 50


def correct(folder: Path, data: Encoded, *, bf16: bool) -> list[bool]:
    """For each test item, whether the nearest class description is the right one."""
    import torch

    encoder = load_encoder(folder)
    head = torch.tensor(data.head)
    hits = [False] * len(data.tokens)
    with torch.inference_mode():
        for batch in length_buckets(data.tokens, BATCH):
            answers = (embed(encoder, [data.tokens[index] for index in batch], bf16=bf16) @ head.T).argmax(1)
            for index, answer in zip(batch, answers.tolist(), strict=True):
                hits[index] = answer == data.classes[index]
    return hits


def accuracy(hits: Sequence[bool]) -> float:
    """Share of hits in %."""
    return 100 * sum(hits) / len(hits)


def standard_error(per_task: Sequence[Sequence[bool]]) -> float:
    """Standard error (in points) of the average over tasks of their accuracies, test items being the random part."""
    variances = [accuracy(hits) * (100 - accuracy(hits)) / len(hits) for hits in per_task]
    return math.sqrt(sum(variances)) / len(per_task)


def paired_standard_error(left: Sequence[Sequence[bool]], right: Sequence[Sequence[bool]]) -> float:
    """Standard error (in points) of the difference of two averages over tasks, measured on the same items."""
    variances = []
    for one, other in zip(left, right, strict=True):
        differences = [100 * (int(a) - int(b)) for a, b in zip(one, other, strict=True)]
        mean = sum(differences) / len(differences)
        variances.append(sum((d - mean) ** 2 for d in differences) / len(differences) ** 2)
    return math.sqrt(sum(variances)) / len(left)

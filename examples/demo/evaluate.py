"""Which test items a model folder gets right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from examples.demo.encode import Encoded
from examples.demo.model import embed, length_buckets, load_encoder

BATCH = 50


def evaluate(
    folder: Path, tests: Mapping[str, Encoded], *, bf16: bool, progress: Callable[[int], None]
) -> dict[str, list[bool]]:
    """For each task's test items, whether the nearest class description is the right one.

    `progress` is told the number of items answered since the last call.
    """
    import torch

    encoder = load_encoder(folder)
    hits = {task: [False] * len(items.tokens) for task, items in tests.items()}
    for task, items in tests.items():
        head = torch.tensor(items.head)
        for batch in length_buckets(items.tokens, BATCH):
            with torch.inference_mode():
                answers = (embed(encoder, [items.tokens[index] for index in batch], bf16=bf16) @ head.T).argmax(1)
            for index, answer in zip(batch, answers.tolist(), strict=True):
                hits[task][index] = answer == items.classes[index]
            progress(len(batch))
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

"""Which items a model gets right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from fusion_stack.suite.encode import Encoded
from fusion_stack.suite.encoder import length_buckets

if TYPE_CHECKING:
    import torch

    from fusion_stack.modelpool import SentenceEncoderPool

BATCH = 50


def evaluate(
    pool: SentenceEncoderPool,
    encoder: torch.nn.Module,
    items: Mapping[str, Encoded],
    *,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    batch_size: int = BATCH,
    progress: Callable[[int], Any] = lambda count: None,
) -> dict[str, list[bool]]:
    """For each task's items, whether the nearest class description is the right one.

    pool: says how texts become vectors. encoder: one of its models, where its weights are. autocast: around the forward
        pass; embeddings are compared in fp32.
    progress: told the number of items answered since the last call.
    """
    import torch

    hits = {task: [False] * len(one.tokens) for task, one in items.items()}
    for task, one in items.items():
        head = torch.tensor(one.head)
        for batch in length_buckets(one.tokens, batch_size):
            with torch.inference_mode(), autocast():
                vectors = pool.embed(encoder, [one.tokens[index] for index in batch]).cpu()
            answers = (vectors @ head.T).argmax(1)
            for index, answer in zip(batch, answers.tolist(), strict=True):
                hits[task][index] = answer == one.classes[index]
            progress(len(batch))
    return hits

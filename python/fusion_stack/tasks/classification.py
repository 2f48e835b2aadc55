"""Top-1 accuracy and cross-entropy of a classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fusion_stack.tasks.labels import require_known_labels
from fusion_stack.tasks.progress import progress


def classify(
    batches: Iterable[Any],
    logits_of: Callable[[Any], Any],
    *,
    num_classes: int,
    task: str,
    keep_items: Callable[[str, list[bool]], None],
) -> dict[str, float]:
    """{"accuracy", "loss"}, both means over the items, whatever the size of the last batch.

    batches: pairs (inputs, labels (N,) int64). logits_of: from inputs to logits (N, num_classes), scored in fp32.
    keep_items: is told the task, and of every item whether it was right. Raises TaskError for a label without a class.
    """
    from torch.nn.functional import cross_entropy
    from torchmetrics import MeanMetric

    loss = MeanMetric()
    correct: list[bool] = []
    hits = 0
    bar = progress(batches, task)
    for inputs, labels in bar:
        require_known_labels(task, labels, num_classes)
        logits = logits_of(inputs).float().cpu()
        loss.update(cross_entropy(logits, labels), weight=len(labels))
        batch = (logits.argmax(dim=-1) == labels).tolist()
        correct += batch
        hits += sum(batch)
        bar.set_postfix(accuracy=f"{hits / len(correct):.3f}", refresh=False)
    keep_items(task, correct)
    return {"accuracy": hits / len(correct), "loss": loss.compute().item()}

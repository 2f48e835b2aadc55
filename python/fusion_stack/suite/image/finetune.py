"""One short fine-tune of the base on one image task, or on several in turn, saved as a folder."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from fusion_stack.suite.cache import publish
from fusion_stack.suite.finetune import RECORD, learning_rate_factor
from fusion_stack.suite.image.efficientnet import load, save
from fusion_stack.suite.image.encode import EncodedImages
from fusion_stack.suite.settings import ImageSettings


def finetune(
    base: Path,
    target: Path,
    data: Sequence[EncodedImages],
    settings: ImageSettings,
    *,
    progress: Callable[[int], None],
) -> None:
    """Trains all weights with AdamW (linear warm-up, cosine decay), heads frozen, and publishes the folder `target`.

    BatchNorm normalizes by the base's statistics throughout: under those of a batch, activations would be others than
    those the frozen head was made of, and one set of statistics for all models is one that any merge of them can use.
    """
    started, processor = time.perf_counter(), time.process_time()
    torch.manual_seed(settings.seed)
    model = load(base)  # in evaluation mode, which it stays in
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    classes = [torch.tensor(one.classes) for one in data]
    draws = [batches(len(one.classes), settings) for one in data]
    losses = []
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_factor(step, settings)  # type: ignore[arg-type]
        task = step % len(data)
        batch = next(draws[task])
        logits = data[task].logits(model(data[task].batch(batch)))
        loss: Any = torch.nn.functional.cross_entropy(logits, classes[task][batch])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        progress(step + 1)
    with publish(target) as unfinished:
        save(model, unfinished)
        record = {
            "settings": settings.as_dict(),
            "tasks": len(data),
            "seconds": round(time.perf_counter() - started, 1),
            "cpu_seconds": round(time.process_time() - processor, 1),
            "loss_of_first_10_steps": round(sum(losses[:10]) / len(losses[:10]), 4),
            "loss_of_last_10_steps": round(sum(losses[-10:]) / len(losses[-10:]), 4),
        }
        (unfinished / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def batches(count: int, settings: ImageSettings) -> Iterator[list[int]]:
    """Batches of indices in random order, all of one size; full passes without end."""
    draw, size = random.Random(settings.seed), min(settings.batch_size, count)
    while True:
        order = list(range(count))
        draw.shuffle(order)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))

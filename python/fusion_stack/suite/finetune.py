"""One short fine-tune of the base, on one task or on several in turn, saved as a Hugging Face folder."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fusion_stack.suite.cache import publish
from fusion_stack.suite.encode import Encoded
from fusion_stack.suite.encoder import TRAINED, encoder_pool
from fusion_stack.suite.settings import Settings

RECORD = "training.json"
CHUNK = 8  # batches that are sorted by length together


def finetune(
    base: Path,
    target: Path,
    data: Sequence[Encoded],
    settings: Settings,
    *,
    bf16: bool,
    progress: Callable[[int], None],
) -> None:
    """Trains `encoder.layer.*` with AdamW (linear warm-up, cosine decay) and publishes the model folder `target`.

    With several tasks in `data` each step takes a batch of the next one. Heads and word embeddings stay frozen: all
    fine-tunes live in one space, so that merged models need no merged heads.
    """
    import torch

    started, processor = time.perf_counter(), time.process_time()
    torch.manual_seed(settings.seed)
    pool = encoder_pool(base)
    encoder = pool.load_pretrained_model().train()
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name.startswith(TRAINED))
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, settings))
    heads, classes = [torch.tensor(one.head) for one in data], [torch.tensor(one.classes) for one in data]
    draws = [batches(one.tokens, settings) for one in data]
    losses = []
    for step in range(settings.steps):
        task = step % len(data)
        batch = next(draws[task])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            embedding = pool.embed(encoder, [data[task].tokens[index] for index in batch])
        logits = settings.scale * embedding @ heads[task].T
        loss: Any = torch.nn.functional.cross_entropy(logits, classes[task][batch])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        progress(step + 1)
    with publish(target) as unfinished:
        encoder.save_pretrained(unfinished)
        pool.load_tokenizer().save_pretrained(unfinished)
        record = {
            "settings": settings.as_dict(),
            "tasks": len(data),
            "bf16": bf16,
            "seconds": round(time.perf_counter() - started, 1),
            "cpu_seconds": round(time.process_time() - processor, 1),
            "loss_of_first_10_steps": round(sum(losses[:10]) / len(losses[:10]), 4),
            "loss_of_last_10_steps": round(sum(losses[-10:]) / len(losses[-10:]), 4),
        }
        (unfinished / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def learning_rate_factor(step: int, settings: Settings) -> float:
    """Share of the full learning rate at a step counted from 0: up linearly, then down along a cosine."""
    up = min(1.0, (step + 1) / (settings.warmup * settings.steps))
    return up * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def batches(tokens: Sequence[Sequence[int]], settings: Settings) -> Iterator[list[int]]:
    """Batches of indices in random order, each of texts about equally long; full passes without end."""
    draw = random.Random(settings.seed)
    size = settings.batch_size
    ready: list[list[int]] = []
    while True:
        if not ready:
            order = list(range(len(tokens)))
            draw.shuffle(order)
            chunks = [order[start : start + size * CHUNK] for start in range(0, len(order), size * CHUNK)]
            order = [index for chunk in chunks for index in sorted(chunk, key=lambda index: len(tokens[index]))]
            ready = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
            draw.shuffle(ready)
        yield ready.pop()

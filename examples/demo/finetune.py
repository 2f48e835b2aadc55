"""One short fine-tune of the base on one task, saved as a Hugging Face folder."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from examples.demo.cache import publish
from examples.demo.encode import Encoded
from examples.demo.model import TRAINED, embed, load_encoder, load_tokenizer
from examples.demo.settings import Settings

RECORD = "training.json"
CHUNK = 8  # batches that are sorted by length together


def finetune(
    base: Path, target: Path, data: Encoded, settings: Settings, *, bf16: bool, progress: Callable[[int], None]
) -> None:
    """Trains `encoder.layer.*` with AdamW (linear warm-up, cosine decay) and publishes the model folder `target`.

    Heads and word embeddings stay frozen: all fine-tunes live in one space, so that merged models need no merged heads.
    """
    import torch

    started = time.perf_counter()
    torch.manual_seed(settings.seed)
    encoder = load_encoder(base).train()
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name.startswith(TRAINED))
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, settings))
    head, classes = torch.tensor(data.head), torch.tensor(data.classes)
    losses = []
    for step, batch in enumerate(batches(data.tokens, settings)):
        embedding = embed(encoder, [data.tokens[index] for index in batch], bf16=bf16)
        loss = torch.nn.functional.cross_entropy(settings.scale * embedding @ head.T, classes[batch])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        progress(step + 1)
    with publish(target) as unfinished:
        encoder.save_pretrained(unfinished)
        load_tokenizer(base).save_pretrained(unfinished)
        record = {
            "settings": settings.as_dict(),
            "bf16": bf16,
            "seconds": round(time.perf_counter() - started, 1),
            "loss_of_first_10_steps": round(sum(losses[:10]) / len(losses[:10]), 4),
            "loss_of_last_10_steps": round(sum(losses[-10:]) / len(losses[-10:]), 4),
        }
        (unfinished / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def learning_rate_factor(step: int, settings: Settings) -> float:
    """Share of the full learning rate at a step counted from 0: up linearly, then down along a cosine."""
    up = min(1.0, (step + 1) / (settings.warmup * settings.steps))
    return up * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def batches(tokens: Sequence[Sequence[int]], settings: Settings) -> Iterator[list[int]]:
    """`steps` batches of indices in random order, each of texts about equally long; full passes as often as needed."""
    draw = random.Random(settings.seed)
    size = settings.batch_size
    ready: list[list[int]] = []
    for _ in range(settings.steps):
        if not ready:
            order = list(range(len(tokens)))
            draw.shuffle(order)
            chunks = [order[start : start + size * CHUNK] for start in range(0, len(order), size * CHUNK)]
            order = [index for chunk in chunks for index in sorted(chunk, key=lambda index: len(tokens[index]))]
            ready = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
            draw.shuffle(ready)
        yield ready.pop()

"""Numbers the demo runs with."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Settings:
    """Everything that decides the result, and so everything that enters a fine-tune's cache key."""

    seed: int = 0
    steps: int = 60
    batch_size: int = 16
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.1  # share of the steps
    max_tokens: int = 32  # longer texts are cut: class and cost are both decided early in a text
    scale: float = 20.0  # logits = scale * cosine(text, class description)
    train_items: int = 960
    test_items: int = 300

    def as_dict(self) -> dict[str, int | float]:
        return asdict(self)

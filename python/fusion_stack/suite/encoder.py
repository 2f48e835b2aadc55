"""all-MiniLM-L6-v2 as a text classifier: sentence embeddings against frozen class descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusion_stack.modelpool import SentenceEncoderPool

TRAINED = "encoder.layer."  # everything else, word embeddings and heads included, stays as in the base


def encoder_pool(base: Path, models: Mapping[str, Path] | None = None) -> SentenceEncoderPool:
    """The modelpool of a base and its fine-tunes, {task: folder}; its embeddings are means scaled to length 1."""
    from fusion_stack.modelpool import SentenceEncoderPool

    members = {task: str(folder) for task, folder in (models or {}).items()}
    return SentenceEncoderPool({"_pretrained_": str(base), **members}, pooling="mean")


def has_fast_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices in hardware; without that, bf16 is slower than fp32."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def length_buckets(sequences: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Indices in batches of texts about equally long, so that little is computed on padding."""
    order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    for start in range(0, len(order), size):
        yield order[start : start + size]

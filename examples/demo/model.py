"""all-MiniLM-L6-v2 as a text classifier: sentence embeddings against frozen class descriptions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import BertModel, PreTrainedTokenizerBase

TRAINED = "encoder.layer."  # everything else, word embeddings and heads included, stays as in the base


def has_fast_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices in hardware; without that, bf16 is slower than fp32."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, from disk alone."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def load_encoder(folder: Path) -> BertModel:
    """The encoder of a model folder in fp32, from disk alone.

    Raises ValueError if the folder lacks a weight: transformers would fill it with random numbers.
    """
    import torch
    from transformers import BertModel
    from transformers.utils import logging as messages

    # The base holds one buffer (position_ids) that today's transformers computes itself; it would report that.
    messages.set_verbosity_error()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    messages.disable_progress_bar()
    encoder, found = BertModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True, output_loading_info=True
    )
    if found["missing_keys"]:
        raise ValueError(f"{folder} lacks weights: {', '.join(sorted(found['missing_keys']))}")
    return encoder.eval()


def pad(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both int64 of shape [texts, longest text]."""
    import torch

    ids = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids, mask


def embed(encoder: BertModel, sequences: Sequence[Sequence[int]], *, bf16: bool = False) -> torch.Tensor:
    """Mean of the last hidden states over a text's tokens, scaled to length 1: fp32 of shape [texts, 384]."""
    import torch

    ids, mask = pad(sequences)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    weight = mask.unsqueeze(-1).float()
    mean = (hidden.float() * weight).sum(1) / weight.sum(1)
    return torch.nn.functional.normalize(mean, dim=-1)


def length_buckets(sequences: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Indices in batches of texts about equally long, so that little is computed on padding."""
    order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    for start in range(0, len(order), size):
        yield order[start : start + size]

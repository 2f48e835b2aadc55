"""What tensor names say: derived buffers, output heads and the embeddings they may be tied to, common prefixes.

The names are those of checkpoints in the wild: transformers (Llama, GPT-2, NeoX, T5, BERT families), timm and torch.nn.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import takewhile

# Computed from the configuration or counted in training, never learned.
_DERIVED = re.compile(
    r"(^|\.)(inv_freq|original_inv_freq|position_ids|token_type_ids|num_batches_tracked|relative_position_index"
    r"|masked_bias|cos_cached|sin_cached|rotary_emb\..+|rotary_pos_emb\..+)$"
)
_CAUSAL_MASK = re.compile(r"(^|\.)(attn|attention)\.bias$")
_HEAD = re.compile(r"(^|\.)(lm_head|output|embed_out|lm_head\.decoder|cls\.predictions\.decoder)\.weight$")
_EMBEDDING = re.compile(
    r"(^|\.)(embed_tokens|wte|embed_in|tok_embeddings|word_embeddings|word_embedding|shared|embeddings|embedding)\.weight$"
)
_NUMBERED = re.compile(r"(^|\.)\d+\.")  # a block of a stack: heads and embeddings are outside


def is_derived(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is a buffer that its module computes itself, such as inv_freq or GPT-2's causal mask.

    `attn.bias` is a causal mask where its shape is (1, 1, n, n), and a learned bias otherwise.
    """
    if _CAUSAL_MASK.search(name):
        return len(shape) == 4 and shape[:2] == (1, 1) and shape[2] == shape[3]
    return _DERIVED.search(name) is not None


def is_head(name: str) -> bool:
    """Whether a tensor is an output projection that models may tie to their embedding."""
    return _HEAD.search(name) is not None and _NUMBERED.search(name) is None


def is_embedding(name: str) -> bool:
    """Whether a tensor is a token embedding."""
    return _EMBEDDING.search(name) is not None and _NUMBERED.search(name) is None


def common_prefixes(names: Collection[str]) -> list[str]:
    """Returns every prefix, ending in a dot, that all names share, shortest first: ["model.", "model.decoder."]."""
    first, last = min(names, default=""), max(names, default="")  # in order, so what these two share, all share
    shared = "".join(letter for letter, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    return [shared[: end + 1] for end, letter in enumerate(shared) if letter == "."][:8]  # names nest no deeper


def prefix_difference(names: Collection[str], reference: Collection[str]) -> tuple[str, str] | None:
    """Returns (prefix to remove, prefix to add) that makes `names` those of `reference`, None where no prefix does.

    One of the two is empty. The prefix must be on all names of one side; half of the names must then be found on both
    sides, and far more than without it.
    """
    wanted = reference if isinstance(reference, (set, frozenset)) else set(reference)
    options = [(prefix, "") for prefix in common_prefixes(names)] + [("", prefix) for prefix in common_prefixes(wanted)]
    best, found = None, 2 * sum(name in wanted for name in names)
    for remove, add in options:
        count = sum(add + name[len(remove) :] in wanted for name in names)
        if count > found and 2 * count >= min(len(names), len(wanted)):
            best, found = (remove, add), count
    return best

"""Models, tokenizers and processors that a taskpool names in its configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fusion_stack.serialization import instantiate


def loaded(value: Any, load: Callable[[str], Any], key: str) -> Any:
    """What a configuration's entry stands for: a path or hub id for `load`, a mapping with `_target_`, or an object.

    Raises OSError naming the key where files are missing, or where the hub would be asked and cannot be reached.
    """
    try:
        if isinstance(value, str):
            return load(value)
        return instantiate(value) if hasattr(value, "keys") and "_target_" in value else value
    except OSError as error:
        source = value if isinstance(value, str) else value.get("pretrained_model_name_or_path", value["_target_"])
        raise OSError(
            f"taskpool.{key}: {source!r} is neither a local folder nor to be had from the hub: {error}"
        ) from error


def tokenizer_from(path: str) -> Any:
    """The tokenizer of a folder or hub id. One without a padding token pads with its unknown or its end token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer

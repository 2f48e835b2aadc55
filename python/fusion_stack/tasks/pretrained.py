"""Models, tokenizers and processors that a taskpool names in its configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fusion_stack.hub import hub_or_cache
from fusion_stack.modelpool.loading import quiet
from fusion_stack.serialization import instantiate, is_configuration


def loaded(value: Any, load: Callable[[str], Any], key: str) -> Any:
    """What a configuration's entry stands for: a path or hub id for `load`, a mapping with `_target_`, or an object.

    Raises OSError naming the key where files are missing, or where the hub would be asked and cannot be reached.
    """
    if not isinstance(value, str) and not is_configuration(value):
        return value
    source = value if isinstance(value, str) else value.get("pretrained_model_name_or_path")
    try:
        with quiet(), hub_or_cache(source):
            return load(value) if isinstance(value, str) else instantiate(value)
    except OSError as error:
        source = source or value["_target_"]
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

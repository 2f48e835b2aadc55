"""Gathers the files that make merged weights a loadable model: configuration, tokenizer, remote code.

Each group comes from one model: the base, or else the first merged model that has it, so the choice never varies.
Only config.json is changed: its dtype follows the merged weights, and a head that the merge untied is said to be so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_kernels.sources import Checkpoint

CONFIG = "config.json"
# Glob patterns relative to a model's folder. One group is copied from one model, never mixed.
GROUPS: dict[str, tuple[str, ...]] = {
    "generation settings": ("generation_config.json",),
    "tokenizer": (
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.*",
        "merges.txt",
        "*.model",
        "*.tiktoken",
        "chat_template.*",
        "additional_chat_templates/*.jinja",
    ),
    "processor": (
        "preprocessor_config.json",
        "processor_config.json",
        "image_processor_config.json",
        "video_preprocessor_config.json",
        "feature_extractor_config.json",
    ),
    "sentence embedding": (
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "[0-9]*_*/config.json",
    ),
    "remote code": ("*.py",),
}
_DTYPE_KEYS = ("torch_dtype", "dtype")


def find(checkpoints: Sequence[Checkpoint]) -> dict[str, Path]:
    """Output name -> file to copy, for every group. `checkpoints`: the base, if any, then the models."""
    found: dict[str, Path] = {}
    for patterns in GROUPS.values():
        for checkpoint in checkpoints:
            files = _matches(checkpoint.folder, patterns) if checkpoint.folder is not None else {}
            if files:
                found |= files
                break
    return dict(sorted(found.items()))


def config_source(checkpoints: Sequence[Checkpoint]) -> Checkpoint | None:
    """The checkpoint whose config.json the output gets."""
    return next((checkpoint for checkpoint in checkpoints if checkpoint.config is not None), None)


def config_text(source: Checkpoint, *, dtype: str | None, add_dtype: bool = False, untied: bool = False) -> str:
    """The output's config.json.

    `dtype`: the torch name (such as "bfloat16") of every floating tensor written, None to leave the entries as they
    are; it replaces `torch_dtype` or `dtype`, whichever the source uses, and `add_dtype` adds it where there is none.
    `untied`: the output has a head of its own although the source ties it to the embedding.
    """
    original: dict[str, Any] = source.config or {}
    patched = _with_dtype(original, dtype) if dtype is not None else dict(original)
    if dtype is not None and add_dtype and "model_type" in patched and not any(key in patched for key in _DTYPE_KEYS):
        patched["torch_dtype"] = dtype
    if untied:
        patched = _untied(patched)
    path = source.folder / CONFIG if source.folder is not None else None
    if patched == original and path is not None and path.is_file():
        text = path.read_text(encoding="utf-8")
        if json.loads(text) == patched:  # the checkpoint may stand for a part of what lies in its folder
            return text
    return json.dumps(patched, indent=2, ensure_ascii=False, default=str) + "\n"


def _with_dtype(config: dict[str, Any], dtype: str) -> dict[str, Any]:
    patched: dict[str, Any] = {}
    for key, value in config.items():
        if key in _DTYPE_KEYS and isinstance(value, str):
            patched[key] = dtype
        elif key.endswith("_config") and isinstance(value, dict) and key != "quantization_config":
            patched[key] = _with_dtype(value, dtype)
        else:
            patched[key] = value
    return patched


def _untied(config: dict[str, Any]) -> dict[str, Any]:
    patched = dict(config)
    text = patched.get("text_config")
    if isinstance(text, dict) and "tie_word_embeddings" in text:
        patched["text_config"] = text | {"tie_word_embeddings": False}
    patched["tie_word_embeddings"] = False
    return patched


def _matches(folder: Path, patterns: Sequence[str]) -> dict[str, Path]:
    if patterns == GROUPS["remote code"] and not _names_remote_code(folder):
        return {}  # scripts that happen to lie beside the weights
    paths = (path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _names_remote_code(folder: Path) -> bool:
    # Transformers finds a model's own classes through `auto_map`.
    configs = [folder / CONFIG, *(folder / name for name in ("tokenizer_config.json", *GROUPS["processor"]))]
    return any('"auto_map"' in path.read_text(encoding="utf-8") for path in configs if path.is_file())

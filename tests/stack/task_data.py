"""Tiny models of true architectures and tiny datasets in true formats, for the taskpools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

WORDS = ["good", "bad", "film", "plot", "a", "the", "very", "dull", "fine"]
SENTENCES = ["a good film", "the plot", "a very very dull film", "fine", "the bad bad plot"]
OTHERS = ["a film", "the very plot", "dull", "a fine good plot", "bad"]
COLORS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


class Run:
    """Stands for the running program: a taskpool asks it for the modelpool and the hardware."""

    fast_dev_run, seed = False, 3

    def __init__(self, modelpool: Any, log_dir: Path = Path()) -> None:
        from fusion_stack.hardware import Hardware

        self.modelpool, self.hardware, self.items, self.log_dir = modelpool, Hardware("cpu"), {}, log_dir


def images(labels: Sequence[int], size: int = 24, seed: int = 0) -> list[Any]:
    """A PIL image a label, of noise tinted by the label's color."""
    import numpy as np
    from PIL import Image

    draws = np.random.default_rng(seed)
    tints = np.array(list(COLORS.values()))
    return [
        Image.fromarray((0.5 * draws.integers(0, 256, (size, size + 4, 3)) + 0.5 * tints[one]).astype(np.uint8))
        for one in labels
    ]


def image_dataset(labels: Sequence[int], names: Iterable[str] = COLORS, seed: int = 0) -> Any:
    """A datasets.Dataset with columns "image" and "label"."""
    from datasets import ClassLabel, Dataset, Features, Image

    features = Features(image=Image(), label=ClassLabel(names=list(names)))
    return Dataset.from_dict({"image": images(labels, seed=seed), "label": list(labels)}, features=features)


def text_dataset(names: Sequence[str], **columns: Sequence[Any]) -> Any:
    """A datasets.Dataset with a column "label", of a ClassLabel where there are names."""
    from datasets import ClassLabel, Dataset

    dataset = Dataset.from_dict({name: list(column) for name, column in columns.items()})
    return dataset.cast_column("label", ClassLabel(names=list(names))) if names else dataset


def save_clip(folder: Path) -> None:
    """A CLIP model with its image processor and a tokenizer that spells."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    special = ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {one: number for number, one in enumerate([*letters, *(one + "</w>" for one in letters), *special])}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    side = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = CLIPConfig(
        text_config={
            **side, "vocab_size": len(vocabulary), "max_position_embeddings": 77,
            "eos_token_id": vocabulary[special[1]], "bos_token_id": vocabulary[special[0]],
        },
        vision_config={**side, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )  # fmt: skip
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(folder)


def save_word_tokenizer(folder: Path, words: Iterable[str], *, end: bool = False) -> Any:
    """A tokenizer of whole words, padding at the end; `end` closes every text with </s>, as T5's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(["<pad>", "</s>", "<unk>", *words]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if end:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
        )
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, padding_side="right", model_max_length=64, **names
    ).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)

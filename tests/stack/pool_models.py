"""Tiny models of true architectures on disk: a base and fine-tunes that differ from it by small noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

NAMES = ("_pretrained_", "a", "b")
WORDS = ("the", "a", "cat", "dog", "sat", "ran", "good", "bad", "film")


def save_family(make: Callable[[], Any], folder: Path, names: Iterable[str] = NAMES) -> dict[str, str]:
    """Saves one module per name under `folder`, all of the same architecture; returns {name: path}."""
    import torch

    torch.manual_seed(0)
    module = make()
    base = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    paths = {}
    for number, name in enumerate(names):
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for key, tensor in module.state_dict().items():
                if tensor.is_floating_point() and number:
                    tensor.copy_(base[key] + 0.02 * torch.randn(tensor.shape, generator=generator))
        module.save_pretrained(folder / name)
        paths[name] = str(folder / name)
    return paths


def save_tokenizer(folder: Path, words: Iterable[str] = WORDS) -> None:
    """A word-level tokenizer in the form that BERT's has."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)  # fmt: skip


def write_yaml(path: Path, target: str, models: Mapping[str, Any], **keys: Any) -> Path:
    """A pool's configuration, as a user writes it."""
    from omegaconf import OmegaConf

    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save({"_target_": f"fusion_stack.modelpool.{target}", "models": dict(models), **keys}, path)
    return path


def tensors(path: str | Path) -> dict[str, Any]:
    """The tensors of a folder's model.safetensors."""
    from safetensors.torch import load_file

    return load_file(Path(path) / "model.safetensors")


def assert_task_arithmetic(merged: Mapping[str, Any], paths: Mapping[str, str], scale: float) -> None:
    """Compares a merged model's floating tensors with base + scale * sum(model - base), computed by torch in fp32.

    A prefix that all of the merged names have and none of the base's is passed over.
    """
    import torch

    files = {name: tensors(path) for name, path in paths.items()}
    base = files.pop("_pretrained_")
    prefix = min(merged).removesuffix(min(base))
    assert set(merged) == {prefix + name for name in base}
    for name, tensor in base.items():
        if not tensor.is_floating_point():
            assert torch.equal(merged[prefix + name], tensor), name
            continue
        expected = tensor + scale * sum(file[name] - tensor for file in files.values())
        # A handful of fp32 roundings of values below 8, in another order.
        assert torch.allclose(merged[prefix + name], expected, atol=4e-6, rtol=0), name

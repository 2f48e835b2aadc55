"""Classifiers: backbones are merged, heads stay with their tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from pool_models import assert_task_arithmetic, save_family, save_tokenizer, tensors, write_yaml

CLASSES = {"a": 2, "b": 3}


def save_classifiers(folder: Path, base: Any, classifier: Any, make_config: Any) -> dict[str, str]:
    """A base of class `base`, and classifiers on it with heads of different sizes."""
    paths = save_family(lambda: base(make_config()), folder / "base", ["_pretrained_"])
    for name, classes in CLASSES.items():
        torch.manual_seed(classes)
        module = classifier(make_config(num_labels=classes))
        backbone = getattr(module, module.base_model_prefix)
        inner = base.from_pretrained(paths["_pretrained_"])
        state = getattr(inner, inner.base_model_prefix, inner).state_dict()
        noisy = {
            key: value + 0.02 * torch.randn(value.shape) if value.is_floating_point() else value
            for key, value in state.items()
        }
        backbone.load_state_dict(
            {key: noisy[key].abs() if key.endswith("running_var") else noisy[key] for key in backbone.state_dict()}
        )
        module.save_pretrained(folder / name)
        paths[name] = str(folder / name)
    return paths


def backbones(paths: dict[str, str], folder: Path) -> dict[str, str]:
    """The models' backbones alone, by transformers' own AutoModel."""
    from transformers import AutoModel

    result = {}
    for name, path in paths.items():
        AutoModel.from_pretrained(path).save_pretrained(folder / name)
        result[name] = str(folder / name)
    return result


def merge(path: Path) -> Any:
    from fusion_stack import BaseModelPool
    from fusion_stack.method import EngineMethod

    return EngineMethod("task_arithmetic", scaling_factor=0.3).run(BaseModelPool.from_yaml(path))


def test_gpt2_classifiers(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel

    def config(**more: Any) -> Any:
        return GPT2Config(
            n_embd=16, n_layer=1, n_head=2, vocab_size=32, n_positions=32, bos_token_id=3, eos_token_id=3, **more
        )

    paths = save_classifiers(tmp_path / "gpt2", GPT2LMHeadModel, GPT2ForSequenceClassification, config)
    save_tokenizer(Path(paths["_pretrained_"]))
    target = "transformers.GPT2Model.from_pretrained"
    models = {name: {"_target_": target, "pretrained_model_name_or_path": path} for name, path in paths.items()}
    merged = merge(write_yaml(tmp_path / "pool.yaml", "GPT2ForSequenceClassificationPool", models))
    assert_task_arithmetic(tensors(merged.path), backbones(paths, tmp_path / "backbones"), 0.3)
    backbone, pool = merged.load(), merged.pool
    assert type(backbone).__name__ == "GPT2Model"
    tokenizer = pool.load_tokenizer()
    inputs = tokenizer(["the cat", "a dog sat ran"], padding=True, return_tensors="pt")
    own = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    for name, classes in CLASSES.items():
        classifier = pool.load_classifier(name, backbone).eval()
        assert classifier(**own).logits.shape == (2, classes)
        assert classifier.transformer is backbone
        assert torch.equal(classifier.score.weight, tensors(paths[name])["score.weight"])


def test_roberta_leaves_its_pooler_and_language_head_to_the_base(tmp_path: Path) -> None:
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification, RobertaModel

    def config(**more: Any) -> Any:
        return RobertaConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            vocab_size=32,
            max_position_embeddings=34,
            **more,
        )

    paths = save_classifiers(tmp_path / "roberta", RobertaForMaskedLM, RobertaForSequenceClassification, config)
    # The hub's roberta-base has a pooler, too, which no classifier reads.
    from safetensors.torch import save_file

    base = tensors(paths["_pretrained_"])
    pooler = {f"roberta.pooler.{key}": value for key, value in RobertaModel(config()).pooler.state_dict().items()}
    save_file(base | pooler, Path(paths["_pretrained_"]) / "model.safetensors", metadata={"format": "pt"})
    merged = merge(write_yaml(tmp_path / "pool.yaml", "SequenceClassificationModelPool", paths))
    expected = backbones(paths, tmp_path / "backbones")
    for path in expected.values():
        state = {key: value for key, value in tensors(path).items() if not key.startswith("pooler.")}
        save_file(state, Path(path) / "model.safetensors", metadata={"format": "pt"})
    assert_task_arithmetic(tensors(merged.path), expected, 0.3)
    backbone = merged.load()
    assert merged.pool.load_classifier("b", backbone)(torch.tensor([[0, 5, 2]])).logits.shape == (1, 3)


def test_heads_of_one_task_are_merged_on_demand(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=32,
        max_position_embeddings=16,
    )
    paths = save_family(lambda: BertForSequenceClassification(config), tmp_path)
    merged = merge(write_yaml(tmp_path / "pool.yaml", "SequenceClassificationModelPool", paths, merge_heads=True))
    assert_task_arithmetic(tensors(merged.path), paths, 0.3)
    assert type(merged.load()).__name__ == "BertForSequenceClassification"
    alone = merge(write_yaml(tmp_path / "alone.yaml", "SequenceClassificationModelPool", paths))
    assert not any(name.startswith("classifier") for name in tensors(alone.path))
    assert any("pooler" in name for name in tensors(alone.path))  # BERT's classifiers read it


def resnet() -> tuple[Any, Any, Any]:
    from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

    return (
        ResNetModel,
        ResNetForImageClassification,
        lambda **more: ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **more),
    )


def convnext() -> tuple[Any, Any, Any]:
    from transformers import ConvNextConfig, ConvNextForImageClassification, ConvNextModel

    return (
        ConvNextModel,
        ConvNextForImageClassification,
        lambda **more: ConvNextConfig(
            num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], patch_size=2, image_size=16, **more
        ),
    )


def dinov2() -> tuple[Any, Any, Any]:
    from transformers import Dinov2Config, Dinov2ForImageClassification, Dinov2Model

    return (
        Dinov2Model,
        Dinov2ForImageClassification,
        lambda **more: Dinov2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8, **more
        ),
    )


@pytest.mark.parametrize("architecture", [resnet, convnext, dinov2])
def test_image_classifiers(architecture: Any, tmp_path: Path) -> None:
    paths = save_classifiers(tmp_path / "models", *architecture())
    as_fusionbench_has_it = {"config_path": paths["_pretrained_"], "pretrained": True, "dataset_name": None}
    models = paths | {"_pretrained_": as_fusionbench_has_it}
    merged = merge(write_yaml(tmp_path / "pool.yaml", "ImageClassificationModelPool", models))
    assert_task_arithmetic(tensors(merged.path), backbones(paths, tmp_path / "backbones"), 0.3)
    backbone = merged.load()
    classifier = merged.pool.load_classifier("b", backbone).eval()
    with torch.no_grad():
        assert classifier(torch.zeros(1, 3, 16, 16)).logits.shape == (1, 3)


def test_a_task_without_a_head_is_refused(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2Model

    from fusion_stack.modelpool import GPT2ForSequenceClassificationPool

    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=32, n_positions=32, bos_token_id=3, eos_token_id=3)
    paths = save_family(lambda: GPT2Model(config), tmp_path, ["_pretrained_", "a"])
    pool = GPT2ForSequenceClassificationPool(paths)
    with pytest.raises(ValueError, match=r"lacks 1 weights of a GPT2ForSequenceClassification: score\.weight"):
        pool.load_classifier("a")
    with pytest.raises(KeyError, match="Did you mean 'a'"):
        pool.load_classifier("A")

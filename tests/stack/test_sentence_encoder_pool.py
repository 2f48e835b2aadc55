"""Sentence encoders: from YAML to a merged folder, and from texts to vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from pool_models import assert_task_arithmetic, save_family, save_tokenizer, tensors, write_yaml

TEXTS = ["the cat sat", "a dog", "the good film ran the dog"]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoders")
    config = BertConfig(
        vocab_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    paths = save_family(lambda: BertModel(config), folder)
    save_tokenizer(folder / "_pretrained_")
    return paths


@pytest.fixture
def pool(encoders: dict[str, str], tmp_path: Path) -> Any:
    from fusion_stack.modelpool import SentenceEncoderPool

    return SentenceEncoderPool.from_yaml(write_yaml(tmp_path / "pool.yaml", "SentenceEncoderPool", encoders))


def test_merges_files_and_the_result_encodes(pool: Any, encoders: dict[str, str]) -> None:
    from fusion_stack.method import EngineMethod

    merged = EngineMethod("task_arithmetic", **{"lambda": 0.5}).run(pool)
    assert_task_arithmetic(tensors(merged.path), encoders, 0.5)
    vectors = pool.encode(merged.load(), TEXTS)
    assert vectors.shape == (3, 16)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_padding_and_batching_do_not_show(pool: Any, encoders: dict[str, str], pooling: str) -> None:
    from fusion_stack.modelpool import SentenceEncoderPool

    pool = SentenceEncoderPool(encoders, pooling=pooling, normalize=False)
    model = pool.load_model("a").eval()
    together = pool.encode(model, TEXTS, batch_size=2)
    for text, vector in zip(TEXTS, together, strict=True):
        ids = torch.tensor(pool.tokenize([text]))
        with torch.no_grad():
            hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        expected = {"mean": hidden.mean(0), "cls": hidden[0], "max": hidden.max(0).values}[pooling]
        assert torch.allclose(vector, expected, atol=1e-5)  # attention sums a padded row in another order


def test_the_folder_says_how_to_pool(encoders: dict[str, str], tmp_path: Path) -> None:
    import shutil

    from fusion_stack.modelpool import SentenceEncoderPool

    folder = tmp_path / "base"
    shutil.copytree(encoders["_pretrained_"], folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    pool = SentenceEncoderPool({"_pretrained_": str(folder), "a": encoders["a"]})
    assert pool.pooling == "cls"


def test_gradients_reach_the_encoder(pool: Any) -> None:
    model = pool.load_model("a")
    pool.embed(model, pool.tokenize(TEXTS)).sum().backward()
    assert model.encoder.layer[0].output.dense.weight.grad.abs().sum() > 0


def test_unknown_pooling_and_a_folder_without_the_weights(encoders: dict[str, str], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from fusion_stack.modelpool import SentenceEncoderPool

    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        SentenceEncoderPool(encoders, pooling="means")
    (tmp_path / "config.json").write_text(Path(encoders["a"], "config.json").read_text())
    kept = {name: tensor for name, tensor in tensors(encoders["a"]).items() if "output.dense" not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 4 weights of a BertModel: .*output\.dense"):
        SentenceEncoderPool({"a": str(tmp_path)}).load_model("a")

"""The demo's training and testing, on a BERT of one layer made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from examples.demo.encode import Encoded, encode
from examples.demo.evaluate import evaluate
from examples.demo.finetune import RECORD, finetune
from examples.demo.model import TRAINED, load_encoder
from examples.demo.settings import Settings
from examples.demo.splits import Split
from examples.demo.tasks import Prepared, Task

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "wheat", "corn", "oil", "gas", "about", "grain", "crude"]
SETTINGS = Settings(steps=60, batch_size=4, learning_rate=1e-2, max_tokens=6)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("base")
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    BertWordPieceTokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    torch.manual_seed(0)
    sizes = {"vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": 8}
    BertModel(BertConfig(num_hidden_layers=1, num_attention_heads=2, **sizes)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def items(base: Path) -> tuple[Encoded, Encoded]:
    task = Task("crops", "crops", "here", "free", "about {}", {"g": "grain", "o": "crude"}, lambda cache: ([], None))
    texts = [("wheat", "g"), ("corn", "g"), ("oil", "o"), ("gas", "o"), ("wheat corn wheat corn wheat corn", "g")]
    (pair,) = encode([Prepared(task, Split(train=texts * 4, test=texts))], base, SETTINGS)
    return pair


@pytest.fixture(scope="module")
def tuned(base: Path, items: tuple[Encoded, Encoded], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "tuned"
    steps: list[int] = []
    finetune(base, folder, items[0], SETTINGS, bf16=False, progress=steps.append)
    assert steps == list(range(1, SETTINGS.steps + 1))
    return folder


def test_texts_become_token_ids_class_indices_and_one_unit_vector_per_class(items: tuple[Encoded, Encoded]):
    _, test = items
    assert test.classes == [0, 0, 1, 1, 0]
    assert test.tokens[0] == [WORDS.index(word) for word in ("[CLS]", "wheat", "[SEP]")]
    assert len(test.tokens[4]) == SETTINGS.max_tokens
    assert [len(vector) for vector in test.head] == [16, 16]
    for vector in test.head:
        assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-5)


def test_a_fine_tune_changes_the_encoder_layers_and_nothing_else(base: Path, tuned: Path):
    before, after = load_file(base / "model.safetensors"), load_file(tuned / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed
    assert all(name.startswith(TRAINED) for name in changed)


def test_a_fine_tune_is_a_complete_folder_with_its_record(tuned: Path):
    names = {path.name for path in tuned.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", RECORD} <= names
    assert [path.name for path in tuned.parent.iterdir()] == ["tuned"]


def test_a_fine_tune_is_the_same_every_time(base: Path, items: tuple[Encoded, Encoded], tuned: Path, tmp_path: Path):
    finetune(base, tmp_path / "again", items[0], SETTINGS, bf16=False, progress=lambda step: None)
    first, again = load_file(tuned / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    assert all(first[name].equal(again[name]) for name in first)


def test_testing_answers_every_item_in_its_place(tuned: Path, items: tuple[Encoded, Encoded]):
    _, test = items
    answered: list[int] = []
    hits = evaluate(tuned, {"crops": test}, bf16=False, progress=answered.append)["crops"]
    assert sum(answered) == len(hits) == 5
    assert all(hits)  # five texts it was trained on
    swapped = Encoded(test.tokens, [1 - index for index in test.classes], test.head)
    wrong = evaluate(tuned, {"crops": swapped}, bf16=False, progress=lambda count: None)["crops"]
    assert wrong == [not hit for hit in hits]


def test_a_model_that_lacks_a_weight_is_refused(base: Path, tmp_path: Path):
    weights = load_file(base / "model.safetensors")
    del weights["encoder.layer.0.output.dense.bias"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((base / "config.json").read_text())
    with pytest.raises(ValueError, match=r"lacks weights: encoder\.layer\.0\.output\.dense\.bias"):
        load_encoder(tmp_path)

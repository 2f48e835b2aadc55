"""The suite's training and testing, on a BERT of one layer made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from suite_models import WORDS, tiny_encoder

from fusion_stack.suite.encode import Encoded, encode
from fusion_stack.suite.encoder import TRAINED, encoder_pool
from fusion_stack.suite.evaluate import evaluate
from fusion_stack.suite.finetune import RECORD, finetune
from fusion_stack.suite.items import Prepared
from fusion_stack.suite.settings import Settings
from fusion_stack.suite.splits import Split
from fusion_stack.suite.task import Task

SETTINGS = Settings(steps=60, batch_size=4, learning_rate=1e-2, max_tokens=6)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def items(base: Path) -> tuple[Encoded, Encoded]:
    task = Task("crops", "crops", "here", "free", "about {}", {"g": "grain", "o": "crude"}, lambda cache: ([], None))
    texts = [("wheat", "g"), ("corn", "g"), ("oil", "o"), ("gas", "o"), ("wheat corn wheat corn wheat corn", "g")]
    parts = encode(
        [Prepared(task, Split(train=texts * 4, validation=[], test=texts))], base, SETTINGS, ["train", "test"]
    )
    return parts["crops"]["train"], parts["crops"]["test"]


@pytest.fixture(scope="module")
def tuned(base: Path, items: tuple[Encoded, Encoded], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "tuned"
    steps: list[int] = []
    finetune(base, folder, [items[0]], SETTINGS, bf16=False, progress=steps.append)
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
    finetune(base, tmp_path / "again", [items[0]], SETTINGS, bf16=False, progress=lambda step: None)
    first, again = load_file(tuned / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    assert all(first[name].equal(again[name]) for name in first)


def test_joint_training_takes_the_tasks_in_turn(base: Path, items: tuple[Encoded, Encoded], tmp_path: Path):
    swapped = Encoded(items[0].tokens, [1 - index for index in items[0].classes], items[0].head[::-1])
    finetune(base, tmp_path / "joint", [items[0], swapped], SETTINGS, bf16=False, progress=lambda step: None)
    both = {"crops": items[1], "swapped": Encoded(items[1].tokens, [1, 1, 0, 0, 1], swapped.head)}
    assert answers(tmp_path / "joint", both) == {"crops": [True] * 5, "swapped": [True] * 5}


def answers(folder: Path, items: dict[str, Encoded], progress: Any = lambda count: None) -> dict[str, list[bool]]:
    pool = encoder_pool(folder)
    return evaluate(pool, pool.load_pretrained_model().eval(), items, progress=progress)


def test_testing_answers_every_item_in_its_place(tuned: Path, items: tuple[Encoded, Encoded]):
    _, test = items
    answered: list[int] = []
    hits = answers(tuned, {"crops": test}, answered.append)["crops"]
    assert sum(answered) == len(hits) == 5
    assert all(hits)  # five texts it was trained on
    swapped = Encoded(test.tokens, [1 - index for index in test.classes], test.head)
    assert answers(tuned, {"crops": swapped})["crops"] == [not hit for hit in hits]

"""GLUE as text to text by Flan-T5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from task_data import OTHERS, SENTENCES, WORDS, save_word_tokenizer, text_dataset

from fusion_stack.taskpool import FlanT5GLUETextGenerationTaskPool
from fusion_stack.tasks.glue import GLUE

ANSWERS = ["positive", "negative", "4.0", "2.0", "1.0"]


def make_flan(tmp_path: Path, seed: int) -> tuple[Any, Any]:
    """A tiny random T5 that says nothing but a word of ANSWERS, and its tokenizer, deaf to what all prompts share."""
    from transformers import T5Config, T5ForConditionalGeneration

    prompts = [_prompt(task, row) for task in ("sst2", "stsb") for row in zip(SENTENCES, OTHERS, strict=True)]
    heard = [word for word in " ".join(prompts).split() if word.strip("',.") in WORDS]
    tokenizer = save_word_tokenizer(tmp_path, [*ANSWERS, *heard], end=True)
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config).eval()
    model.shared.weight.data[tokenizer.unk_token_id] = 0
    say_only(model, tokenizer, ANSWERS)
    return model, tokenizer


def say_only(model: Any, tokenizer: Any, words: list[str]) -> None:
    allowed = tokenizer.convert_tokens_to_ids(words)
    model.generation_config.suppress_tokens = [one for one in range(len(tokenizer)) if one not in allowed]


def _prompt(task: str, row: tuple[str, str]) -> str:
    return GLUE[task].prompt.format(sentence=row[0], sentence1=row[0], sentence2=row[1])


def said(model: Any, tokenizer: Any, task: str, words: list[str]) -> list[str]:
    """The likeliest of the words to begin each answer with, one prompt at a time."""
    allowed = tokenizer.convert_tokens_to_ids(words)
    answers = []
    for row in zip(SENTENCES, OTHERS, strict=True):
        inputs = tokenizer([_prompt(task, row)], return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = model(input_ids=inputs, decoder_input_ids=torch.tensor([[0]])).logits[0, -1, allowed]
        answers.append(words[int(logits.argmax())])
    return answers


def test_flan_t5_is_right_where_it_says_the_answer(tmp_path: Path) -> None:
    model, tokenizer = make_flan(tmp_path, 4)
    words, labels = ANSWERS[:2], [1, 1, 0, 0, 1]
    sst2 = text_dataset(GLUE["sst2"].labels, sentence=SENTENCES, label=labels)
    pool = FlanT5GLUETextGenerationTaskPool({"sst2": sst2}, tokenizer=tokenizer, batch_size=2, max_new_tokens=1)
    say_only(model, tokenizer, words)
    answers = said(model, tokenizer, "sst2", words)
    assert set(answers) == set(words)  # else the test could not tell right from wrong
    right = [answer == words[1 - label] for answer, label in zip(answers, labels, strict=True)]
    assert pool.evaluate(model)["sst2"] == {"accuracy": sum(right) / 5}
    say_only(model, tokenizer, ANSWERS[2:])
    assert pool.evaluate(model)["sst2"] == {"accuracy": 0.0}


def test_flan_t5_rates_similarity(tmp_path: Path) -> None:
    from scipy.stats import spearmanr

    model, tokenizer = make_flan(tmp_path, 3)
    words, scores = ANSWERS[2:], [5.0, 0.2, 3.2, 1.6, 0.4]
    stsb = text_dataset((), sentence1=SENTENCES, sentence2=OTHERS, label=scores)
    say_only(model, tokenizer, words)
    numbers = [float(one) for one in said(model, tokenizer, "stsb", words)]
    assert len(set(numbers)) == 3
    sst2 = text_dataset(GLUE["sst2"].labels, sentence=SENTENCES, label=[1, 1, 0, 0, 1])
    pool = FlanT5GLUETextGenerationTaskPool(
        {"sst2": sst2, "glue-stsb": stsb}, tokenizer=tokenizer, batch_size=2, max_new_tokens=1
    )
    report = pool.evaluate(model)
    rho = spearmanr(numbers, scores).statistic
    assert report["glue-stsb"] == {"spearman_rho": pytest.approx(rho, abs=1e-6), "unparsed": 0.0}
    assert report["average"]["score"] == pytest.approx((report["sst2"]["accuracy"] + rho) / 2)


def test_flan_t5_answers_that_are_no_number_and_labels_that_are_none(tmp_path: Path) -> None:
    model, tokenizer = make_flan(tmp_path, 0)
    say_only(model, tokenizer, ANSWERS[:2])
    stsb = text_dataset((), sentence1=SENTENCES, sentence2=OTHERS, label=[5.0, 0.2, 3.2, 1.6, 0.4])
    hidden = text_dataset((), sentence=SENTENCES, label=[-1] * 5)
    swapped = text_dataset(("positive", "negative"), sentence=SENTENCES, label=[0] * 5)
    pool = FlanT5GLUETextGenerationTaskPool(
        {"stsb": stsb, "sst2": hidden, "glue-sst2": swapped, "sst": hidden}, tokenizer=tokenizer
    )
    report = pool.evaluate(model)
    assert report["stsb"] == {"spearman_rho": 0.0, "unparsed": 1.0}
    assert "label -1" in report["sst2"]["error"]
    assert "another order" in report["glue-sst2"]["error"]
    assert "Did you mean 'sst2'?" in report["sst"]["error"]

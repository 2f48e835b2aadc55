"""Causal language models: perplexity, lm-eval."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from task_data import SENTENCES, WORDS, Run, save_word_tokenizer

from fusion_stack.modelpool import BaseModelPool
from fusion_stack.taskpool import CausalLMPerplexityTaskPool, LMEvalHarnessTaskPool


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return save_word_tokenizer(tmp_path_factory.mktemp("words"), WORDS)


@pytest.fixture(scope="module")
def language_model(tokenizer: Any) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=len(tokenizer), n_positions=16, bos_token_id=1)
    model = GPT2LMHeadModel(config).eval()
    model.transformer.wte.weight.data *= 10
    return model


def test_perplexity_is_what_the_model_says_of_its_loss(language_model: Any, tokenizer: Any) -> None:
    from datasets import Dataset

    short = Dataset.from_dict({"text": SENTENCES[:3]})
    tokens = tokenizer("\n\n".join(SENTENCES[:3]), return_tensors="pt")["input_ids"]
    with torch.no_grad():
        loss = language_model(input_ids=tokens, labels=tokens).loss.item()
    report = CausalLMPerplexityTaskPool({"short": short}, tokenizer=tokenizer).evaluate(language_model)
    assert report["short"]["loss"] == pytest.approx(loss, rel=1e-5)
    assert report["short"]["perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)


def test_perplexity_of_texts_longer_than_the_model(language_model: Any, tokenizer: Any) -> None:
    """Windows of 16 tokens, every 6th: each token is predicted once, from 10 to 15 before it if there are so many."""
    from datasets import Dataset

    texts = Dataset.from_dict({"text": SENTENCES * 3})
    tokens = tokenizer("\n\n".join(SENTENCES * 3), return_tensors="pt")["input_ids"][0]
    assert len(tokens) == 45
    losses = []
    for position in range(1, 45):
        start = 0 if position < 16 else 6 * math.ceil((position - 15) / 6)
        with torch.no_grad():
            logits = language_model(input_ids=tokens[None, start:position]).logits[0, -1]
        losses.append(-logits.log_softmax(0)[tokens[position]].item())
    pool = CausalLMPerplexityTaskPool({"long": texts}, tokenizer=tokenizer, stride=6, batch_size=2)
    assert pool.evaluate(language_model)["long"]["loss"] == pytest.approx(sum(losses) / 44, rel=1e-5)
    nothing = CausalLMPerplexityTaskPool({"long": texts}, tokenizer=tokenizer, text_column="body")
    assert "taskpool.text_column" in nothing.evaluate(language_model)["long"]["error"]
    with pytest.raises(ValueError, match="stride=17"):
        CausalLMPerplexityTaskPool({}, window=16, stride=17)


def test_lm_eval_on_a_task_of_ones_own(language_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    questions = [{"question": "the film", "choices": ["good", "bad"], "gold": number % 2} for number in range(4)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, questions)))
    (tmp_path / "films.yaml").write_text(
        f"task: films\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path / 'items.jsonl'}}}}}\n"
        "test_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{question}}'\ndoc_to_choice: '{{choices}}'\n"
        "doc_to_target: '{{gold}}'\nmetric_list: [{metric: acc}]\n"
    )
    (tmp_path / "absent.yaml").write_text(
        (tmp_path / "films.yaml").read_text().replace("films", "absent").replace("items.jsonl", "gone.jsonl")
    )
    pool = LMEvalHarnessTaskPool(["films", "absent"], tokenizer=tokenizer, include_path=str(tmp_path))
    pool._program = Run(BaseModelPool({}), tmp_path)  # type: ignore[assignment]
    report = pool.evaluate(language_model)
    assert report["films"]["acc"] == 0.5  # the same question four times, two answers
    assert "gone.jsonl" in report["absent"]["error"]
    assert report["average"] == {"acc": 0.5}
    assert json.loads((tmp_path / "lm_eval_results/films.json").read_text())["results"]["films"]["acc,none"] == 0.5
    with pytest.raises(ValueError, match=r"no task 'flims'.*Did you mean 'films'\?"):
        LMEvalHarnessTaskPool("flims", tokenizer=tokenizer, include_path=str(tmp_path)).evaluate(language_model)


def test_without_lm_eval_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, language_model: Any) -> None:
    for name in [*(one for one in sys.modules if one.startswith("lm_eval.")), "lm_eval"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"fusion_kernels\[lm-eval\]"):
        LMEvalHarnessTaskPool("hellaswag").evaluate(language_model)

"""Text classification: GLUE by GPT-2 and RoBERTa."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from task_data import OTHERS, SENTENCES, WORDS, Run, save_word_tokenizer, text_dataset

from fusion_stack.modelpool import BaseModelPool
from fusion_stack.taskpool import GPT2TextClassificationTaskPool, TextClassificationTaskPool
from fusion_stack.tasks.glue import GLUE


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return save_word_tokenizer(tmp_path_factory.mktemp("words"), WORDS)


def glue_datasets(tmp_path: Path) -> dict[str, Any]:
    """sst2, one sentence, and rte, two, saved to disk; as configurations that load them."""
    sst2 = text_dataset(GLUE["sst2"].labels, sentence=SENTENCES, label=[1, 0, 0, 1, 0])
    rte = text_dataset(GLUE["rte"].labels, sentence1=SENTENCES, sentence2=OTHERS, label=[1, 0, 0, 1, 1])
    for name, dataset in (("sst2", sst2), ("rte", rte)):
        dataset.save_to_disk(tmp_path / name)
    load = {"_target_": "datasets.load_from_disk"}
    return {name: {**load, "dataset_path": str(tmp_path / name)} for name in ("sst2", "rte")}


def classifier(architecture: str, tokenizer: Any, labels: int = 2, seed: int = 0) -> Any:
    import transformers

    torch.manual_seed(seed)
    if architecture == "GPT2":
        config = transformers.GPT2Config(
            n_embd=16, n_layer=1, n_head=2, vocab_size=len(tokenizer), n_positions=64, num_labels=labels, pad_token_id=0
        )
    else:
        config = transformers.RobertaConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            vocab_size=len(tokenizer), max_position_embeddings=70, num_labels=labels, pad_token_id=0,
        )  # fmt: skip
    model = getattr(transformers, f"{architecture}ForSequenceClassification")(config).eval()
    for parameter in model.parameters():
        parameter.data *= 8  # so that logits differ by more than rounding
    return model


def one_by_one(model: Any, tokenizer: Any, columns: list[list[str]]) -> Any:
    """Logits (N, labels) of unpadded texts."""
    with torch.no_grad():
        rows = [model(**tokenizer(*texts, return_tensors="pt")).logits[0] for texts in zip(*columns, strict=True)]
    return torch.stack(rows)


class Classifiers(BaseModelPool):
    def load_classifier(self, name: str) -> Any:
        return self.load_model(name)


@pytest.mark.parametrize("architecture", ["GPT2", "Roberta"])
def test_a_merged_backbone_under_the_heads_of_its_tasks(architecture: str, tokenizer: Any, tmp_path: Path) -> None:
    heads = {task: classifier(architecture, tokenizer, seed=seed) for seed, task in enumerate(("sst2", "rte"))}
    merged = classifier(architecture, tokenizer, seed=7)
    backbone = getattr(merged, merged.base_model_prefix)
    cls = GPT2TextClassificationTaskPool if architecture == "GPT2" else TextClassificationTaskPool
    pool = cls(glue_datasets(tmp_path), tokenizer=tokenizer, batch_size=3)
    pool._program = Run(Classifiers(heads))  # type: ignore[assignment]
    report = pool.evaluate(backbone)
    for task, columns in (("sst2", [SENTENCES]), ("rte", [SENTENCES, OTHERS])):
        setattr(heads[task], heads[task].base_model_prefix, backbone)
        logits = one_by_one(heads[task], tokenizer, columns)
        labels = torch.tensor(pool.load_test_dataset(task)["label"])
        # Padded batches here, single texts there: a few roundings of fp32.
        loss = torch.nn.functional.cross_entropy(logits, labels).item()
        assert report[task]["loss"] == pytest.approx(loss, rel=1e-4)
        assert report[task]["accuracy"] == pytest.approx((logits.argmax(-1) == labels).float().mean().item())
    assert report["average"]["accuracy"] == (report["sst2"]["accuracy"] + report["rte"]["accuracy"]) / 2


def test_a_regression_is_measured_by_rank_correlation(tokenizer: Any) -> None:
    from scipy.stats import spearmanr

    scores = [4.2, 0.5, 3.0, 2.75, 1.0]
    stsb = text_dataset((), sentence1=SENTENCES, sentence2=OTHERS, label=scores)
    sst2 = text_dataset(GLUE["sst2"].labels, sentence=SENTENCES, label=[1, 0, 0, 1, 0])
    model = classifier("Roberta", tokenizer, labels=1)
    report = TextClassificationTaskPool({"stsb": stsb, "sst2": sst2}, tokenizer=tokenizer).evaluate(model)
    rho = spearmanr(one_by_one(model, tokenizer, [SENTENCES, OTHERS])[:, 0], scores).statistic
    assert report["stsb"] == {"spearman_rho": pytest.approx(rho, abs=1e-6)}
    assert "2 labels" in report["sst2"]["error"]
    several = TextClassificationTaskPool({"stsb": stsb}, tokenizer=tokenizer).evaluate(classifier("Roberta", tokenizer))
    assert "label 4.2" in several["stsb"]["error"]


def test_columns_and_labels_that_do_not_fit(tokenizer: Any) -> None:
    sst2 = text_dataset(("positive", "negative"), sentence=SENTENCES, label=[1, 0, 0, 1, 0])
    own = text_dataset(("no", "yes"), text=SENTENCES, label=[1, 0, 0, 1, 0])
    model = classifier("GPT2", tokenizer)
    model.config.id2label = {0: "negative", 1: "positive"}
    datasets = {"sst2": sst2, "cola": own, "mine": own}
    report = TextClassificationTaskPool(datasets, tokenizer=tokenizer).evaluate(model)
    assert "label 0 is 'positive' in the dataset, 'negative' expected" in report["sst2"]["error"]
    assert "no column 'sentence'" in report["cola"]["error"]
    assert "taskpool.text_columns.mine" in report["mine"]["error"]
    named = TextClassificationTaskPool({"mine": own}, tokenizer=tokenizer, text_columns={"mine": ["text"]})
    assert named.evaluate(model)["mine"].keys() == {"accuracy", "loss"}

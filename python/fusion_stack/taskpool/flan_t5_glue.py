"""GLUE as text to text by Flan-T5: `FlanT5GLUETextGenerationTaskPool`."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fusion_stack.taskpool.dataset_pool import DatasetTaskPool
from fusion_stack.tasks import TaskError
from fusion_stack.tasks.correlation import rank_correlation
from fusion_stack.tasks.glue import GLUETask, glue_task, require_columns
from fusion_stack.tasks.labels import label_names, require_same_labels
from fusion_stack.tasks.pretrained import loaded, tokenizer_from
from fusion_stack.tasks.progress import progress


class FlanT5GLUETextGenerationTaskPool(DatasetTaskPool):
    """Accuracy, the share of answers generated word for word; Spearman's rho for STS-B, with "unparsed" the share of
    its answers that are no number, which count as 0.

    Answers are generated greedily, of at most `max_new_tokens` tokens.
    """

    score: ClassVar[tuple[str, ...]] = ("accuracy", "spearman_rho")
    _config_mapping = DatasetTaskPool._config_mapping | {
        "_tokenizer": "tokenizer",
        "max_length": "max_length",
        "max_new_tokens": "max_new_tokens",
    }

    def __init__(
        self,
        test_datasets: Mapping[str, Any],
        *,
        tokenizer: Any,
        max_length: int = 512,
        max_new_tokens: int = 9,
        **kwargs: Any,
    ) -> None:
        """`tokenizer`: a path or hub id, a mapping with `_target_`, or the object. max_length: tokens of a prompt."""
        self._tokenizer = tokenizer
        self.max_length, self.max_new_tokens = max_length, max_new_tokens
        super().__init__(test_datasets, **kwargs)

    @functools.cached_property
    def tokenizer(self) -> Any:
        return loaded(self._tokenizer, tokenizer_from, "tokenizer")

    def evaluate_task(self, model: Any, task: str, dataset: Any) -> dict[str, float]:
        glue = self._glue(task)
        require_columns(task, glue.columns, dataset)
        if glue.labels:
            require_same_labels(task, glue.labels, label_names(dataset, "label"), f"GLUE's {task}")
        generated: list[str] = []
        labels: list[float] = []
        bar = progress(self.batches(dataset, _PromptBatch(self.tokenizer, glue, self.max_length)), task)
        for inputs, batch_labels in bar:
            self._require_answers(task, glue, batch_labels)
            tokens = model.generate(
                **inputs.to(model.device), max_new_tokens=self.max_new_tokens, do_sample=False, num_beams=1
            )
            generated += self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
            labels += batch_labels
        if not glue.answers:
            numbers = [_number(text) for text in generated]
            rho = rank_correlation([0.0 if one is None else one for one in numbers], labels)
            return {"spearman_rho": rho, "unparsed": numbers.count(None) / len(numbers)}
        right = [text == glue.answer(label) for text, label in zip(generated, labels, strict=True)]
        self.keep_items(task, right)
        return {"accuracy": sum(right) / len(right)}

    def _glue(self, task: str) -> GLUETask:
        try:
            return glue_task(task)
        except KeyError as error:
            raise TaskError(f"task {task!r}: {error.args[0]}") from None

    def _require_answers(self, task: str, glue: GLUETask, labels: Sequence[float]) -> None:
        wrong = [label for label in labels if glue.answers and int(label) not in range(len(glue.answers))]
        if wrong:
            hint = "; a test split without labels?" if wrong[0] == -1 else ""
            raise TaskError(f"task {task!r}: the dataset has label {wrong[0]}, {len(glue.answers)} are known{hint}")


class _PromptBatch:
    """Collates rows to (tokens of the prompts, padded to the longest of the batch; labels)."""

    def __init__(self, tokenizer: Any, task: GLUETask, max_length: int) -> None:
        self.tokenizer, self.task, self.max_length = tokenizer, task, max_length

    def __call__(self, rows: Sequence[Any]) -> tuple[Any, list[float]]:
        prompts = [self.task.prompt.format(**{name: row[name] for name in self.task.columns}) for row in rows]
        tokens = self.tokenizer(prompts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt")
        inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        return type(tokens)(inputs), [row["label"] for row in rows]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

"""Text classification by models with a head (GPT-2, RoBERTa, ...), GLUE above all: `TextClassificationTaskPool`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fusion_stack.taskpool.dataset_pool import DatasetTaskPool
from fusion_stack.tasks import TaskError
from fusion_stack.tasks.classification import classify
from fusion_stack.tasks.correlation import rank_correlation
from fusion_stack.tasks.glue import glue_task, require_columns
from fusion_stack.tasks.heads import classifier_for, label_list
from fusion_stack.tasks.labels import label_names, require_same_labels
from fusion_stack.tasks.progress import progress


class TextClassificationTaskPool(DatasetTaskPool):
    """Accuracy and loss of each task; Spearman's rho of a regression (STS-B).

    Each task's head is that of the modelpool's model of its name, where there is one.
    """

    score: ClassVar[tuple[str, ...]] = ("accuracy", "spearman_rho")
    _config_mapping = DatasetTaskPool._config_mapping | {
        "_tokenizer": "tokenizer",
        "_text_columns": "text_columns",
        "max_length": "max_length",
    }

    def __init__(
        self,
        test_datasets: Mapping[str, Any],
        *,
        tokenizer: Any = None,
        text_columns: Mapping[str, Sequence[str]] | None = None,
        max_length: int = 512,
        **kwargs: Any,
    ) -> None:
        """`tokenizer`: a path or hub id, a mapping with `_target_`, or the object; None for the modelpool's.

        text_columns: {task: [one column or two]} for tasks outside GLUE; labels stand in the column "label".
        max_length: tokens a text, or pair of texts, is cut to.
        """
        self._tokenizer = tokenizer
        self._text_columns = text_columns
        self.max_length = max_length
        super().__init__(test_datasets, **kwargs)

    @functools.cached_property
    def tokenizer(self) -> Any:
        return self.run_tokenizer(self._tokenizer)

    def columns(self, task: str) -> tuple[str, ...]:
        """The columns with a task's texts. Raises TaskError for a task that is not GLUE's and has none configured."""
        if self._text_columns is not None and task in self._text_columns:
            return tuple(self._text_columns[task])
        try:
            return glue_task(task).columns
        except KeyError as error:
            raise TaskError(
                f"task {task!r}: {error.args[0]} Say which columns to read: +taskpool.text_columns.{task}=[text]"
            ) from None

    def evaluate_task(self, model: Any, task: str, dataset: Any) -> dict[str, float]:
        columns = self.columns(task)
        require_columns(task, columns, dataset)
        classifier = self.ready(classifier_for(task, model, self.modelpool))
        if classifier.config.pad_token_id is None:
            classifier.config.pad_token_id = self.tokenizer.pad_token_id

        def logits_of(inputs: Any) -> Any:
            return classifier(**inputs.to(classifier.device)).logits

        batches = self.batches(dataset, _TextBatch(self.tokenizer, columns, self.max_length))
        expected = label_list(classifier.config)
        whose = f"the head of {type(classifier).__name__}"
        names = label_names(dataset, "label")
        require_same_labels(task, expected, names, whose)
        if len(expected) == 1:
            predictions: list[float] = []
            targets: list[float] = []
            for inputs, labels in progress(batches, task):
                predictions += logits_of(inputs).flatten().tolist()
                targets += labels.tolist()
            return {"spearman_rho": rank_correlation(predictions, targets)}
        return classify(batches, logits_of, num_classes=len(expected), task=task, keep_items=self.keep_items)


class GPT2TextClassificationTaskPool(TextClassificationTaskPool):
    """The same under FusionBench's name for GPT-2."""


class _TextBatch:
    """Collates rows to (tokens, padded to the longest of the batch; labels (N,))."""

    def __init__(self, tokenizer: Any, columns: tuple[str, ...], max_length: int) -> None:
        self.tokenizer, self.columns = tokenizer, columns
        self.max_length = min(max_length, tokenizer.model_max_length)

    def __call__(self, rows: Sequence[Any]) -> tuple[Any, Any]:
        import torch

        texts = ([row[column] for row in rows] for column in self.columns)
        tokens = self.tokenizer(*texts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt")
        return tokens, torch.tensor([row["label"] for row in rows])

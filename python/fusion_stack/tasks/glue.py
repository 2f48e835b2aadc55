"""GLUE: which columns a task reads, the names of its labels, and the prompts of its text-to-text form.

Tasks and labels: Wang et al. 2019, arXiv:1804.07461. Prompts: those that the Flan-T5 fine-tunes of FusionBench
0.2.33 were trained with (Tang et al. 2024, arXiv:2406.03280), their spelling included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fusion_kernels.errors import listing, suggest
from fusion_stack.hub import hub_or_cache

HUB_ID = "nyu-mll/glue"


@dataclass(frozen=True)
class GLUETask:
    """columns: one sentence or two, as a classifier reads them. labels: GLUE's names, in order; none of a regression.

    prompt: with the columns in braces. answers: one text a label, none of a regression, whose answer is its score with
    one decimal.
    """

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    prompt: str
    answers: tuple[str, ...]

    def answer(self, label: float) -> str:
        """The text a model should generate."""
        return self.answers[int(label)] if self.answers else f"{label:.1f}"


_IMPLIED = ("entailment", "not_entailment")
_PARAPHRASED = ("not_equivalent", "equivalent")
GLUE = {
    "cola": GLUETask(
        ("sentence",),
        ("unacceptable", "acceptable"),
        'Indicate if the following sentence is grammatically correct or not: "{sentence}". '
        "Answere 'acceptable' or 'unacceptable'.",
        ("unacceptable", "acceptable"),
    ),
    "mnli": GLUETask(
        ("premise", "hypothesis"),
        ("entailment", "neutral", "contradiction"),
        "Does the premise: '{premise}' logically imply, contradict, or is neutral to the hypothesis: '{hypothesis}'? "
        "Answere with 'entailment', 'contradiction', or 'neutral'.",
        ("entailment", "neutral", "contradiction"),
    ),
    "mrpc": GLUETask(
        ("sentence1", "sentence2"),
        _PARAPHRASED,
        "Are the following sentences '{sentence1}' and '{sentence2}' conveying the same meaning? "
        "Answere with 'yes' or 'no'.",
        ("no", "yes"),
    ),
    "qnli": GLUETask(
        ("question", "sentence"),
        _IMPLIED,
        "Given the context: '{sentence}', does the question '{question}' have an answer based on the information "
        "provided? Answer with 'yes' or 'no'.",
        ("yes", "no"),
    ),
    "qqp": GLUETask(
        ("question1", "question2"),
        ("not_duplicate", "duplicate"),
        "Do the questions '{question1}' and '{question2}' have the same intent? Answere with 'yes' or 'no'.",
        ("no", "yes"),
    ),
    "rte": GLUETask(
        ("sentence1", "sentence2"),
        _IMPLIED,
        "Does the text: '{sentence1}' entail that '{sentence2}' is true? Provide 'yes' or 'no'.",
        ("yes", "no"),
    ),
    "sst2": GLUETask(
        ("sentence",),
        ("negative", "positive"),
        "Given the sentence '{sentence}', determine the sentiment. Is it positive or negative?",
        ("negative", "positive"),
    ),
    "stsb": GLUETask(
        ("sentence1", "sentence2"),
        (),
        "Consider the sentences '{sentence1}' and '{sentence2}'. On a scale from 1 (completely different) to 5 "
        "(completely similar), rate the similarity.",
        (),
    ),
}


def glue_task(name: str) -> GLUETask:
    """A task by its name, with or without "glue-" before it. Raises KeyError."""
    if (task := GLUE.get(name.lower().removeprefix("glue-"))) is None:
        raise KeyError(f"no GLUE task {name!r}; there are {listing(GLUE)}.{suggest(name, GLUE)}")
    return task


def load_glue(name: str, split: str = "validation", path: str = HUB_ID) -> Any:
    """A split of a GLUE task as a datasets.Dataset; the labels of GLUE's own test splits are not public."""
    from datasets import load_dataset

    glue_task(name)
    with hub_or_cache(path):
        return load_dataset(path, name.lower().removeprefix("glue-"), split=split)


def require_columns(task: str, columns: Sequence[str], dataset: Any) -> None:
    """Raises TaskError naming a column the dataset lacks."""
    from fusion_stack.tasks import TaskError

    present = list(dataset[0])
    for column in (*columns, "label"):
        if column not in present:
            raise TaskError(f"task {task!r}: no column {column!r} in its dataset, which has {listing(present)}")

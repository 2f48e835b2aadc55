"""A merged backbone under the head of one task's own fine-tune: heads differ between tasks and are not merged."""

from __future__ import annotations

from typing import Any

from fusion_stack.tasks import TaskError


def classifier_for(task: str, model: Any, pool: Any) -> Any:
    """A classifier whose backbone is the model's.

    model: a backbone (GPT2Model), or a classifier with one (GPT2ForSequenceClassification). pool: a modelpool whose
    `load_classifier(task)` is the task's fine-tune with its head; None, or one without the task, for the model's own
    head. Raises TaskError for a backbone without a head.
    """
    prefix = getattr(model, "base_model_prefix", "")
    backbone = getattr(model, prefix, model) if prefix else model
    if hasattr(pool, "load_classifier") and task in pool:
        classifier = pool.load_classifier(task)
        prefix = classifier.base_model_prefix
        own = getattr(classifier, prefix)
        if type(own) is not type(backbone):
            raise TaskError(
                f"task {task!r}: its classifier has a {type(own).__name__} under its head, "
                f"the merged model is a {type(backbone).__name__}"
            )
        setattr(classifier, prefix, backbone)
        return classifier
    if backbone is model and prefix:
        raise TaskError(
            f"task {task!r}: the merged model, a {type(model).__name__}, has no classification head, and the modelpool "
            f"has no model {task!r} to take one from"
        )
    return model


def label_list(config: Any) -> list[str]:
    """The label names of a transformers configuration; "0", "1", ... where it has only LABEL_0, LABEL_1, ..."""
    names = [str(config.id2label[number]) for number in sorted(config.id2label)]
    return [name.removeprefix("LABEL_") for name in names]

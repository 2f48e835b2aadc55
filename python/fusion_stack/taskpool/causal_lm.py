"""Perplexity of causal language models on texts: `CausalLMPerplexityTaskPool`."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from fusion_stack.taskpool.dataset_pool import DatasetTaskPool
from fusion_stack.tasks import TaskError
from fusion_stack.tasks.progress import progress

_UNSCORED = -100


class CausalLMPerplexityTaskPool(DatasetTaskPool):
    """{"perplexity", "loss"}: exp of the mean negative log-likelihood a token in nats, and that mean.

    A dataset's texts are joined by blank lines and read through a sliding window, as transformers' guide "Perplexity of
    fixed-length models" has it: every token is predicted once, from the tokens of its window before it.
    """

    score: ClassVar[tuple[str, ...]] = ()
    _config_mapping = DatasetTaskPool._config_mapping | {
        "_tokenizer": "tokenizer",
        "text_column": "text_column",
        "window": "window",
        "stride": "stride",
    }

    def __init__(
        self,
        test_datasets: Mapping[str, Any],
        *,
        tokenizer: Any = None,
        text_column: str = "text",
        window: int = 1024,
        stride: int | None = None,
        **kwargs: Any,
    ) -> None:
        """`tokenizer`: a path or hub id, a mapping with `_target_`, or the object; None for the modelpool's.

        window: tokens the model sees at once, at most its own limit. stride: tokens from window to window; the smaller,
        the more context and the longer it takes; None for the window's own length. Raises ValueError for others.
        """
        if window < 2 or not (stride is None or 1 <= stride <= window):
            raise ValueError(
                f"window={window}, stride={stride}: expected a window of 2 or more and a stride of 1 to it"
            )
        self._tokenizer = tokenizer
        self.text_column, self.window, self.stride = text_column, window, stride
        super().__init__(test_datasets, **kwargs)

    @functools.cached_property
    def tokenizer(self) -> Any:
        return self.run_tokenizer(self._tokenizer)

    def evaluate_task(self, model: Any, task: str, dataset: Any) -> dict[str, float]:
        import torch
        from torchmetrics.text import Perplexity

        if self.text_column not in dataset[0]:
            raise TaskError(
                f"task {task!r}: no column {self.text_column!r} in its dataset, which has {', '.join(dataset[0])}; "
                "taskpool.text_column names another"
            )
        text = "\n\n".join(str(one) for one in dataset[self.text_column])
        tokens = torch.tensor(self.tokenizer(text, verbose=False)["input_ids"])
        if len(tokens) < 2:
            raise TaskError(f"task {task!r}: its texts have {len(tokens)} tokens, 2 are needed")
        perplexity = Perplexity(ignore_index=_UNSCORED)
        bar = progress(self.batches(list(self._windows(tokens, model)), _padded), task)
        for inputs, mask, targets in bar:
            logits = model(input_ids=inputs.to(model.device), attention_mask=mask.to(model.device)).logits
            perplexity.update(logits[:, :-1].float().cpu(), targets[:, 1:])
        value = perplexity.compute()
        return {"perplexity": value.item(), "loss": value.log().item()}

    def _windows(self, tokens: Any, model: Any) -> Iterator[tuple[Any, Any]]:
        """Pairs (tokens, the same with those unscored that a window before has scored)."""
        window = min(self.window, getattr(model.config, "max_position_embeddings", None) or self.window)
        stride = min(self.stride or window, window)
        scored = 0
        for start in range(0, len(tokens), stride):
            end = min(start + window, len(tokens))
            targets = tokens[start:end].clone()
            targets[: max(scored - start, 0)] = _UNSCORED
            yield tokens[start:end], targets
            scored = end
            if end == len(tokens):
                return


def _padded(windows: list[tuple[Any, Any]]) -> tuple[Any, Any, Any]:
    """Tokens, attention mask and targets (N, T), padded at the end."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    inputs = pad_sequence([tokens for tokens, _ in windows], batch_first=True)
    mask = pad_sequence([torch.ones_like(tokens) for tokens, _ in windows], batch_first=True)
    targets = pad_sequence([targets for _, targets in windows], batch_first=True, padding_value=_UNSCORED)
    return inputs, mask, targets

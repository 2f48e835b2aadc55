"""Encoders that turn a text into one vector: sentence-transformers folders, BERT-like models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fusion_kernels.errors import listing, quoted, suggest
from fusion_stack.modelpool.pretrained import PretrainedModelPool

if TYPE_CHECKING:
    import torch

POOLINGS = ("mean", "cls", "max")
_BATCH = 64


class SentenceEncoderPool(PretrainedModelPool):
    """A pool of text encoders, loaded by transformers.AutoModel in fp32 weights as the files have them.

    Source of the poolings: Reimers and Gurevych 2019 (arXiv:1908.10084), section 3.
    """

    may_lack: ClassVar[Sequence[str]] = ("pooler.",)  # its output is not what is pooled here
    _config_mapping = PretrainedModelPool._config_mapping | {
        "_pooling": "pooling",
        "_normalize": "normalize",
        "_max_length": "max_length",
    }

    def __init__(
        self,
        models: Mapping[str, Any] | Sequence[Any],
        *,
        pooling: str | None = None,
        normalize: bool = True,
        max_length: int | None = None,
        **kwargs: Any,
    ) -> None:
        """`pooling`: "mean", "cls" or "max" of the last hidden states over a text's tokens; None takes what the base's
        folder says (1_Pooling/config.json of sentence-transformers), else the mean.

        normalize: whether vectors are scaled to length 1.
        max_length: tokens kept of a text; None for as many as the tokenizer allows.
        Raises ValueError for an unknown pooling.
        """
        if pooling is not None and pooling not in POOLINGS:
            raise ValueError(
                f"pooling {quoted(pooling)} is not known; choose one of {listing(POOLINGS)}."
                f"{suggest(pooling, POOLINGS)}"
            )
        super().__init__(models, **kwargs)
        self._pooling, self._normalize, self._max_length = pooling, normalize, max_length

    @property
    def pooling(self) -> str:
        """ "mean", "cls" or "max"."""
        if self._pooling is not None:
            return self._pooling
        model = self._models.get(self.pretrained_or_first_name)
        return (_pooling_of(Path(self._located(model)).expanduser()) if isinstance(model, str) else None) or "mean"

    def tokenize(self, texts: Sequence[str], tokenizer: Any = None) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut to `max_length`."""
        tokenizer = self.load_tokenizer() if tokenizer is None else tokenizer
        ids: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=self._max_length)["input_ids"]
        return ids

    def embed(self, model: Any, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """Token ids of a batch of texts to fp32 vectors, shape [texts, width], with gradients where torch records them.

        Texts are padded to the longest of the batch, on the model's device.
        """
        import torch

        device = next(model.parameters()).device
        ids, mask = (one.to(device) for one in _pad(sequences))
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        vectors = _pooled(hidden, mask, self.pooling)
        return torch.nn.functional.normalize(vectors, dim=-1) if self._normalize else vectors

    def encode(
        self, model: Any, texts: Sequence[str], *, tokenizer: Any = None, batch_size: int = _BATCH
    ) -> torch.Tensor:
        """Vectors of texts in their order, fp32 of shape [texts, width] in CPU memory, without gradients.

        Texts about equally long share a batch, so that little is computed on padding.
        """
        import torch

        sequences = self.tokenize(texts, tokenizer)
        order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
        if not order:
            raise ValueError("no texts to encode")
        vectors: list[Any] = [None] * len(order)
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                batch = order[start : start + batch_size]
                for index, vector in zip(batch, self.embed(model, [sequences[one] for one in batch]), strict=True):
                    vectors[index] = vector.cpu()
        return torch.stack(vectors)


def _pad(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both int64 of shape [texts, longest text]."""
    import torch

    ids = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
        mask[row, : len(tokens)] = 1
    return ids, mask


def _pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Hidden states [texts, tokens, width] and mask [texts, tokens] to [texts, width]."""
    if pooling == "cls":
        return hidden[:, 0]
    counted = mask.unsqueeze(-1).bool()
    if pooling == "max":
        return hidden.masked_fill(~counted, float("-inf")).amax(1)
    return hidden.masked_fill(~counted, 0).sum(1) / counted.sum(1)


def _pooling_of(folder: Path) -> str | None:
    """What sentence-transformers' configuration in a model's folder says, None where it says nothing known here."""
    modes = {"mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}
    for path in sorted(folder.glob("*_Pooling/config.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        chosen = [name for mode, name in modes.items() if config.get(f"pooling_mode_{mode}")]
        if len(chosen) == 1:
            return chosen[0]
        raise ValueError(
            f"{path}: poolings {listing(chosen) or 'unknown here'}; name one: modelpool.pooling=mean, cls or max"
        )
    return None

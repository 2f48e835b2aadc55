"""Models that write text: decoders (Llama, GPT-2, Qwen), and encoder-decoders (T5, BART)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fusion_stack.modelpool.pretrained import PretrainedModelPool


class CausalLMPool(PretrainedModelPool):
    """A pool of causal language models, loaded by AutoModelForCausalLM."""

    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    _config_mapping = PretrainedModelPool._config_mapping | {"_enable_lazy_loading": "enable_lazy_loading"}

    def __init__(
        self, models: Mapping[str, Any] | Sequence[Any], *, enable_lazy_loading: bool = True, **kwargs: Any
    ) -> None:
        """`enable_lazy_loading`: accepted either way; methods of the engine read files by tiles, always."""
        super().__init__(models, **kwargs)
        self._enable_lazy_loading = enable_lazy_loading


class Seq2SeqLMPool(PretrainedModelPool):
    """A pool of encoder-decoder language models such as Flan-T5, loaded by AutoModelForSeq2SeqLM."""

    auto_class: ClassVar[str] = "AutoModelForSeq2SeqLM"

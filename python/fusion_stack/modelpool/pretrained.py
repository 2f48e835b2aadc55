"""What pools of models in Hugging Face layout share: platform, processor, tokenizer, datasets by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.modelpool.loading import expand_kwargs, explained, load_companion, load_transformer
from fusion_stack.modelpool.platforms import locate
from fusion_stack.serialization import instantiate

_SPLITS = {"train": "train", "val": "validation", "test": "test"}


class PretrainedModelPool(BaseModelPool):
    """A pool of models that one class of transformers loads.

    auto_class: that class. may_lack: beginnings of the names of weights a folder may lack.
    """

    auto_class: ClassVar[str] = "AutoModel"
    may_lack: ClassVar[Sequence[str]] = ()
    _config_mapping = BaseModelPool._config_mapping | {
        "_processor": "processor",
        "_tokenizer": "tokenizer",
        "_platform": "platform",
        "_model_kwargs": "model_kwargs",
    }

    def __init__(
        self,
        models: Mapping[str, Any] | Sequence[Any],
        *,
        processor: Any = None,
        tokenizer: Any = None,
        platform: str = "hf",
        model_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """`processor`, `tokenizer`: a path, a hub id or a mapping with `_target_`; by default the base's own.

        platform: "hf" or "modelscope", where ids are looked up that are no paths.
        model_kwargs: for `from_pretrained`, such as {dtype: bfloat16}.
        """
        super().__init__(models, **kwargs)
        self._processor, self._tokenizer = processor, tokenizer
        self._platform = platform
        self._model_kwargs = model_kwargs

    def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Raises ValueError naming weights a folder lacks, FileNotFoundError saying what would have been fetched."""
        options = {**expand_kwargs(self._model_kwargs), **expand_kwargs(kwargs)}
        return load_transformer(self.auto_class, self._located(path), *args, may_lack=self.may_lack, **options)

    def source(self, model_name: str) -> Any:
        found = super().source(model_name)
        return self._located(found) if isinstance(found, str) else found

    def load_processor(self, *args: Any, **kwargs: Any) -> Any:
        """What turns images or other inputs into tensors."""
        return self._companion(self._processor, "AutoProcessor", *args, **kwargs)

    def load_tokenizer(self, *args: Any, **kwargs: Any) -> Any:
        """What turns texts into token ids."""
        return self._companion(self._tokenizer, "AutoTokenizer", *args, **kwargs)

    def load_dataset(self, split: str, dataset_name: str, *args: Any, **kwargs: Any) -> Any:
        """A dataset configured as a mere text is a path or hub id, of which the split of that name is taken."""
        dataset = super().load_dataset(split, dataset_name, *args, **kwargs)
        if not isinstance(dataset, str):
            return dataset
        from datasets import load_dataset

        path = locate(dataset, platform=self._platform, kind="dataset")
        with explained(path, kind="dataset"):
            return load_dataset(path, *args, split=_SPLITS[split], **kwargs)

    def _companion(self, configured: Any, class_name: str, *args: Any, **kwargs: Any) -> Any:
        if configured is None:
            configured = self.get_model_path(self.pretrained_or_first_name)
        if isinstance(configured, str):
            return load_companion(class_name, self._located(configured), *args, **kwargs)
        return instantiate(configured, *args, **kwargs)

    def _located(self, reference: str) -> str:
        return locate(reference, platform=self._platform)

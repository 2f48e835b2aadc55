"""What pools of models in Hugging Face layout share: platform, adapters, processor, tokenizer, datasets by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fusion_kernels.errors import quoted
from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.modelpool.conversion import Conversions
from fusion_stack.modelpool.loading import (
    expand_kwargs,
    explained,
    is_adapter,
    is_pickled,
    load_adapted,
    load_companion,
    load_split,
    load_transformer,
)
from fusion_stack.modelpool.platforms import locate, require_obtainable
from fusion_stack.serialization import instantiate

if TYPE_CHECKING:
    from fusion_kernels.sources import Checkpoint

_PATH = "pretrained_model_name_or_path"


class PretrainedModelPool(BaseModelPool):
    """A pool of models that one class of transformers loads: folders, hub ids, peft adapters of the base.

    A model is a path or id; a mapping with `pretrained_model_name_or_path` and what else `from_pretrained` takes; a
    mapping with `peft_model_path` and `base_model_path` (by default the pool's base); or a torch.nn.Module.

    auto_class: the class of transformers. may_lack: beginnings of the names of weights a folder may lack.
    adapter_renames: {regular expression: replacement} for names that adapters have in an older form.
    """

    auto_class: ClassVar[str] = "AutoModel"
    processor_class: ClassVar[str] = "AutoProcessor"
    may_lack: ClassVar[Sequence[str]] = ()
    adapter_renames: ClassVar[dict[str, str] | None] = None
    _config_mapping = BaseModelPool._config_mapping | {
        "_processor": "processor",
        "_tokenizer": "tokenizer",
        "_platform": "platform",
        "_model_kwargs": "model_kwargs",
        "base_model": "base_model",
    }

    def __init__(
        self,
        models: Mapping[str, Any] | Sequence[Any],
        *,
        processor: Any = None,
        tokenizer: Any = None,
        platform: str = "hf",
        model_kwargs: Mapping[str, Any] | None = None,
        base_model: str | None = None,
        **kwargs: Any,
    ) -> None:
        """`processor`, `tokenizer`: a path, a hub id or a mapping with `_target_`; by default the base's own.

        platform: "hf" or "modelscope", where ids are looked up that are no paths.
        model_kwargs: for `from_pretrained`, such as {dtype: bfloat16}.
        base_model: what other entries of a configuration refer to as ${...base_model}; not read.
        """
        super().__init__(models, **kwargs)
        self._processor, self._tokenizer = processor, tokenizer
        self._platform = platform
        self._model_kwargs = model_kwargs
        self.base_model = base_model
        self._conversions = Conversions()

    # Models

    def get_model_path(self, model_name: str) -> str:
        model = self._known(model_name)
        return str(model[_PATH]) if _describes_files(model) and _PATH in model else super().get_model_path(model_name)

    def load_model(self, model_name_or_config: Any, *args: Any, **kwargs: Any) -> Any:
        model = model_name_or_config
        if isinstance(model, str):
            model = self._known(model)
        if not _describes_files(model):
            return super().load_model(model_name_or_config, *args, **kwargs)
        options = {key: model[key] for key in model if key not in ("_target_", "_recursive_")}
        if "peft_model_path" in options:
            return self._adapted(options["peft_model_path"], options.get("base_model_path"))
        return self.from_pretrained(str(options.pop(_PATH)), *args, **{**options, **kwargs})

    def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Raises ValueError naming weights a folder lacks, FileNotFoundError saying what would have been fetched."""
        return self._load(None, path, *args, may_lack=self.may_lack, **kwargs)

    def class_for(self, path: str) -> str:
        """The class of transformers that loads a folder or hub id."""
        return self.auto_class

    def source(self, model_name: str) -> Any:
        """A Checkpoint of what is merged of a model's files; an adapter or a pickle is first made a folder, once."""
        from fusion_kernels.sources import Checkpoint

        found = self._files(model_name)
        return self.part(found) if isinstance(found, Checkpoint) else found

    def part(self, checkpoint: Checkpoint) -> Checkpoint:
        """What of a model's tensors is merged: all of them; a subclass takes some away."""
        return checkpoint

    def save_model(
        self,
        model: Any,
        path: str | os.PathLike[str],
        *,
        save_tokenizer: bool = False,
        tokenizer: Any = None,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes a model, with the pool's tokenizer where that is asked.

        The other arguments are `model_dtype` and those of `save_pretrained`, such as `max_shard_size`.
        """
        super().save_model(model, path, **kwargs)
        if save_tokenizer or tokenizer is not None:
            tokenizer = self.load_tokenizer(**(tokenizer_kwargs or {})) if tokenizer is None else tokenizer
            tokenizer.save_pretrained(os.path.expanduser(path))

    # Companions

    def load_processor(self, *args: Any, **kwargs: Any) -> Any:
        """What turns images or other inputs into tensors."""
        return self._companion(self._processor, self.processor_class, *args, **kwargs)

    def load_tokenizer(self, *args: Any, **kwargs: Any) -> Any:
        """What turns texts into token ids."""
        return self._companion(self._tokenizer, "AutoTokenizer", *args, **kwargs)

    def load_dataset(self, split: str, dataset_name: str, *args: Any, **kwargs: Any) -> Any:
        """A dataset configured as a mere text is a path or hub id, of which the split of that name is taken."""
        dataset = super().load_dataset(split, dataset_name, *args, **kwargs)
        if not isinstance(dataset, str):
            return dataset
        return load_split(dataset, split, *args, platform=self._platform, **kwargs)

    def get_model_kwargs(self) -> dict[str, Any]:
        """`model_kwargs` as `from_pretrained` takes them."""
        return expand_kwargs(self._model_kwargs)

    def _companion(self, configured: Any, class_name: str, *args: Any, **kwargs: Any) -> Any:
        if configured is None:
            configured = self.get_model_path(self.pretrained_or_first_name)
        if isinstance(configured, str):
            return load_companion(class_name, self._located(configured), *args, **kwargs)
        return instantiate(configured, *args, **kwargs)

    def _located(self, reference: str) -> str:
        return locate(reference, platform=self._platform)

    def _load(self, class_name: str | None, path: str, *args: Any, may_lack: Sequence[str] = (), **kwargs: Any) -> Any:
        path = self._located(path)
        if "cache_dir" not in kwargs:
            require_obtainable(path)
        if is_adapter(path):
            return self._adapted(path, class_name=class_name)
        options = {**self.get_model_kwargs(), **expand_kwargs(kwargs)}
        if not os.path.exists(path) and "@" in path:
            path, _, options["revision"] = path.partition("@")
        return load_transformer(class_name or self.class_for(path), path, *args, may_lack=may_lack, **options)

    # Files

    def _files(self, model_name: str) -> Any:
        """A Checkpoint of a model's folder, or what else the engine takes."""
        from fusion_kernels.sources import open_source

        model = self._known(model_name)
        if _describes_files(model) and "peft_model_path" in model:
            adapter, base = self._located(model["peft_model_path"]), model.get("base_model_path")
            key = [self._base_of(adapter, base), adapter]
            return open_source(self._converted(key, lambda: self._adapted(adapter, base)), label=model_name)
        found = model[_PATH] if _describes_files(model) else BaseModelPool.source(self, model_name)
        if not isinstance(found, str):
            return found
        path = self._located(found)
        revision = model.get("revision") if _describes_files(model) and not os.path.exists(path) else None
        try:
            return open_source(f"{path}@{revision}" if revision else path, label=model_name)
        except (FileNotFoundError, NotImplementedError):
            if is_adapter(path):
                key = [self._base_of(path), path]
            elif is_pickled(path):
                key = [path]
            else:
                raise
        return open_source(self._converted(key, lambda: self.from_pretrained(path)), label=model_name)

    def _adapted(self, adapter: str, base: str | None = None, class_name: str | None = None) -> Any:
        adapter = self._located(adapter)
        base = self._base_of(adapter, base)
        options = {"may_lack": self.may_lack, "renames": self.adapter_renames, **self.get_model_kwargs()}
        return load_adapted(class_name or self.class_for(base), base, adapter, **options)

    def _base_of(self, adapter: str, base: str | None = None) -> str:
        """The model an adapter belongs to: as given, else the pool's base, else the one it names itself."""
        from peft import PeftConfig

        if base is not None:
            return self._located(base)
        with explained(adapter):
            named = PeftConfig.from_pretrained(adapter).base_model_name_or_path
        if not self.has_pretrained:
            return self._located(str(named))
        own = self.get_model_path("_pretrained_")
        if named and named != own and not os.path.isabs(named) and not os.path.exists(own):
            raise ValueError(
                f"adapter {quoted(adapter)} was trained on {quoted(named)}, but the pool's base is {quoted(own)}; "
                f"say that it fits: {{peft_model_path: {adapter}, base_model_path: {own}}}"
            )
        return self._located(own)

    def _converted(self, key: Sequence[str], make: Any) -> str:
        cache = None if self._program is None else self._program.path.get("cache_dir")
        kind = [type(self).__name__, self.auto_class, repr(self.get_model_kwargs())]
        return self._conversions.folder(kind, key, lambda folder: make().save_pretrained(folder), cache)


def _describes_files(model: Any) -> bool:
    """Whether a configuration names files for this pool to load, rather than a function of the user's own to call."""
    if not hasattr(model, "keys"):
        return False
    if "peft_model_path" in model:
        return True
    return _PATH in model and str(model.get("_target_", "transformers.")).startswith("transformers.")

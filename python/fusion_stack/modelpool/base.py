"""What every modelpool is: named models, of which `_pretrained_` is the base, and datasets for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fusion_kernels.errors import listing, quoted, suggest
from fusion_stack.checkpoint import MergedCheckpoint
from fusion_stack.lazy import is_module
from fusion_stack.modelpool.datasets import NamedDatasets
from fusion_stack.serialization import BaseYAMLSerializable, instantiate, is_configuration

if TYPE_CHECKING:
    from fusion_stack.programs.model_fusion import ModelFusionProgram

_PATH_KEYS = ("pretrained_model_name_or_path", "model_name_or_path")


class BaseModelPool(NamedDatasets, BaseYAMLSerializable):
    """Models by name, each a torch.nn.Module, a path or hub id, or a mapping with `_target_` that makes one.

    Names framed by underscores are special: `_pretrained_` is the model the others were made from. Nothing is loaded
    before it is asked for. A subclass knows an architecture: it says in `from_pretrained` how a folder becomes a
    module, and in `source`, where need be, what of a folder is merged.

    _program: the running program, None where the pool is used from Python.
    """

    _program: ModelFusionProgram | None = None
    _config_key: ClassVar[str | None] = "modelpool"
    _config_mapping = BaseYAMLSerializable._config_mapping | {
        "_models": "models",
        "_train_datasets": "train_datasets",
        "_val_datasets": "val_datasets",
        "_test_datasets": "test_datasets",
    }

    def __init__(
        self,
        models: Mapping[str, Any] | Sequence[Any],
        *,
        train_datasets: Mapping[str, Any] | None = None,
        val_datasets: Mapping[str, Any] | None = None,
        test_datasets: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """`models`: {name: model}, or a sequence, whose models are named "0", "1", ..."""
        named = models if hasattr(models, "keys") else {str(number): one for number, one in enumerate(models)}
        self._models: dict[str, Any] = {str(name): named[name] for name in named}  # type: ignore[index]
        self._train_datasets = train_datasets
        self._val_datasets = val_datasets
        self._test_datasets = test_datasets
        super().__init__(**kwargs)

    @classmethod
    def of(cls, models: Any) -> BaseModelPool:
        """The pool itself, or one of the models in a mapping, in a sequence, or alone."""
        if isinstance(models, BaseModelPool):
            return models
        return cls([models] if is_module(models) else models)

    @staticmethod
    def like(pool: BaseModelPool, models: Mapping[str, Any]) -> BaseModelPool:
        """A pool that is the same but for its models."""
        other = copy(pool)
        other._models = dict(models)
        return other

    # Names

    @staticmethod
    def is_special_model(model_name: str) -> bool:
        """Whether the name is framed by underscores."""
        return model_name.startswith("_") and model_name.endswith("_")

    @property
    def all_model_names(self) -> list[str]:
        return list(self._models)

    @property
    def model_names(self) -> list[str]:
        """The models to merge, in order; the special ones are not among them."""
        return [name for name in self._models if not self.is_special_model(name)]

    @property
    def has_pretrained(self) -> bool:
        return "_pretrained_" in self._models

    @property
    def has_merged(self) -> bool:
        return "_merged_" in self._models

    @property
    def has_instance_models(self) -> bool:
        """Whether a model is a torch.nn.Module already. Such a pool is merged in memory."""
        return any(is_module(model) for model in self._models.values())

    def __len__(self) -> int:
        return len(self.model_names)

    def __contains__(self, model_name: object) -> bool:
        return model_name in self._models

    def __iter__(self) -> Iterator[Any]:
        return self.models()

    # Models

    def get_model_config(self, model_name: str, return_copy: bool = True) -> Any:
        """What the configuration says of a model: a path, a mapping, or the module itself. Raises KeyError."""
        model = self._known(model_name)
        if return_copy and not is_module(model):
            return deepcopy(model)
        return model

    def get_model_path(self, model_name: str) -> str:
        """The path or hub id of a model. Raises KeyError for an unknown name, ValueError for a model that has none."""
        model = self._known(model_name)
        if isinstance(model, str):
            return model
        path = next((model[key] for key in _PATH_KEYS if key in model), None) if is_configuration(model) else None
        if path is None:
            raise ValueError(f"model {model_name!r} has no path: it is {quoted(model)}")
        return str(path)

    def add_model(self, model_name: str, model_or_config: Any) -> None:
        """Adds a model under a name not taken yet. Raises ValueError."""
        if model_name in self._models:
            raise ValueError(f"there is a model {model_name!r} already, among {listing(self._models)}")
        self._models[model_name] = model_or_config

    def load_model(self, model_name_or_config: Any, *args: Any, **kwargs: Any) -> Any:
        """The model of that name, or the one a mapping with `_target_` makes, as a torch.nn.Module.

        A module in the pool is handed out itself, not a copy. Further arguments go to what makes the module.
        Raises KeyError for an unknown name.
        """
        model = model_name_or_config
        if isinstance(model, str):
            model = self._known(model)
        if is_module(model):
            return model
        if is_configuration(model):
            return instantiate(model, *args, **kwargs)
        if isinstance(model, (str, os.PathLike)):
            return self.from_pretrained(os.fspath(model), *args, **kwargs)
        raise ValueError(
            f"a model cannot be made of {quoted(model)}: expected a module, a path or hub id, or a mapping"
        )

    def load_pretrained_model(self, *args: Any, **kwargs: Any) -> Any:
        """The base. Raises ValueError where the pool has none."""
        self.require_pretrained()
        return self.load_model("_pretrained_", *args, **kwargs)

    def load_pretrained_or_first_model(self, *args: Any, **kwargs: Any) -> Any:
        """The base where there is one, else the first model."""
        return self.load_model(self.pretrained_or_first_name, *args, **kwargs)

    @property
    def pretrained_or_first_name(self) -> str:
        """Raises ValueError for a pool without models."""
        names = ["_pretrained_"] if self.has_pretrained else self.model_names
        if not names:
            raise ValueError("the modelpool has no models; modelpool.models names them")
        return names[0]

    def require_pretrained(self) -> None:
        if not self.has_pretrained:
            raise ValueError(
                f"the modelpool has no base: no model is called _pretrained_, among {listing(self._models) or 'none'}. "
                "Name it: modelpool.models._pretrained_=PATH"
            )

    def models(self) -> Iterator[Any]:
        """The models to merge, one loaded at a time."""
        for name in self.model_names:
            yield self.load_model(name)

    def named_models(self) -> Iterator[tuple[str, Any]]:
        """Like `models`, with their names."""
        for name in self.model_names:
            yield name, self.load_model(name)

    # Files

    def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """A torch.nn.Module from a local folder or hub id; a subclass says of which architecture."""
        raise ValueError(
            f"{type(self).__name__} does not know which architecture {quoted(path)} has; "
            "_target_: fusion_stack.modelpool.ModelPool reads it from config.json"
        )

    def source(self, model_name: str) -> Any:
        """What the engine reads of a model: a path, a hub id, a module or tensors, as fusion_kernels.merge takes them.

        A path is not opened here. A subclass that merges part of a folder returns a fusion_kernels.sources.Checkpoint
        (`open_source(path)`: headers alone) with fewer `tensors`.
        """
        model = self._known(model_name)
        if is_configuration(model) and any(key in model for key in _PATH_KEYS):
            revision = model.get("revision")
            return self.get_model_path(model_name) + (f"@{revision}" if revision else "")
        return self.load_model(model_name) if is_configuration(model) else model

    def load_checkpoint(self, path: str | os.PathLike[str]) -> Any:
        """The module that a folder written by a merge of this pool's models holds, in evaluation mode."""
        module = self.from_pretrained(os.fspath(path))
        return module.eval()

    def save_model(
        self, model: Any, path: str | os.PathLike[str], *, model_dtype: str | None = None, **kwargs: Any
    ) -> None:
        """Writes a module (in Hugging Face layout where it knows how), or a MergedCheckpoint's files, to a folder.

        model_dtype: what its weights are rounded to first. The other arguments go to what writes a module.
        """
        folder = Path(path).expanduser()
        if isinstance(model, MergedCheckpoint) and (model_dtype is not None or kwargs):
            model = model.load()
        if model_dtype is not None:
            from fusion_stack.modelpool.loading import expand_kwargs

            model = model.to(expand_kwargs({"dtype": model_dtype})["dtype"])
        if isinstance(model, MergedCheckpoint):
            import shutil

            if model.path.resolve() != folder.resolve():
                shutil.copytree(model.path, folder, dirs_exist_ok=True)
        elif hasattr(model, "save_pretrained"):
            from fusion_stack.modelpool.loading import quiet

            with quiet():
                model.save_pretrained(folder, **kwargs)
        else:
            from safetensors.torch import save_model

            folder.mkdir(parents=True, exist_ok=True)
            save_model(model, str(folder / "model.safetensors"), **kwargs)

    def _known(self, model_name: str) -> Any:
        if model_name not in self._models:
            raise KeyError(
                f"no model {model_name!r} in the modelpool; it has {listing(self._models) or 'none'}."
                f"{suggest(model_name, self._models)}"
            )
        return self._models[model_name]

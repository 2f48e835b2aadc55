"""Image encoders of open_clip, such as the checkpoints of the task-vector paper."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from fusion_kernels.errors import listing, quoted, suggest
from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.modelpool.conversion import Conversions
from fusion_stack.modelpool.loading import load_split

_PATHS = ("pickle_path", "state_dict_path")


class OpenCLIPVisionModelPool(BaseModelPool):
    """A pool of `fusion_stack.models.open_clip.ImageEncoder`; classification heads are in files of their own.

    A model is the path of a pickled module or state dict, or a mapping of `model_name` (open_clip's name of the
    architecture) and `pickle_path` or `state_dict_path`. Merging reads the tensors alone and needs no open_clip;
    loading a model needs it: pip install 'fusion_kernels[openclip]'. Nothing a pickle says is run.
    """

    _config_mapping = BaseModelPool._config_mapping | {
        "_classification_heads": "classification_heads",
        "_model_name": "model_name",
        "model_dir": "model_dir",
    }

    def __init__(
        self,
        models: Mapping[str, Any] | Sequence[Any],
        *,
        classification_heads: Mapping[str, Any] | None = None,
        model_name: str | None = None,
        model_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        """`classification_heads`: {task: path of a pickled head}. model_name: of the models that are mere paths.

        model_dir: a folder that paths of the configuration refer to; not read.
        """
        super().__init__(models, **kwargs)
        self._classification_heads, self._model_name, self.model_dir = classification_heads, model_name, model_dir
        self._conversions = Conversions()

    def load_model(self, model_name_or_config: Any, *args: Any, **kwargs: Any) -> Any:
        """The encoder as a module. Raises ImportError, naming the extra, where open_clip cannot be imported."""
        config = model_name_or_config
        if isinstance(config, str):
            config = self._known(config)
        path = _path(config)
        if path is None:
            return super().load_model(model_name_or_config, *args, **kwargs)
        from fusion_stack.pickled_modules import read_module

        return self._encoder(self._architecture(config), read_module(Path(path).expanduser())[0], path)

    def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """The encoder whose tensors lie in a folder that a merge wrote."""
        from safetensors.torch import load_file

        config = json.loads((Path(path) / "config.json").read_text())
        return self._encoder(config["model_name"], load_file(Path(path) / "model.safetensors"), path)

    def source(self, model_name: str) -> Any:
        """The folder of a model's tensors, made of its pickle, once."""
        config = self._known(model_name)
        path = _path(config)
        if path is None:
            return super().source(model_name)
        if Path(path).expanduser().is_dir():
            return path

        def write(folder: Path) -> None:
            from safetensors.torch import save_file

            from fusion_stack.pickled_modules import read_module

            state, _ = read_module(Path(path).expanduser())
            save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
            (folder / "config.json").write_text(json.dumps({"model_name": self._name_of(config)}, indent=2) + "\n")

        cache = None if self._program is None else self._program.path.get("cache_dir")
        files = [str(Path(path).expanduser())]
        return self._conversions.folder(["OpenCLIP", str(self._name_of(config))], files, write, cache)

    def load_classification_head(self, model_name_or_config: Any, *args: Any, **kwargs: Any) -> Any:
        """The linear head of a task as a torch.nn.Module. Raises KeyError for an unknown task, ValueError where none
        are configured."""
        heads = self._classification_heads
        if not heads:
            raise ValueError("the modelpool has no heads; modelpool.classification_heads={TASK: PATH} names them")
        config = model_name_or_config
        if isinstance(config, str) and config in heads:
            config = heads[config]
        elif isinstance(config, str) and not Path(config).exists():
            raise KeyError(f"no head {config!r}; the modelpool has {listing(heads)}.{suggest(config, heads)}")
        if not isinstance(config, str):
            return super().load_model(config, *args, **kwargs)
        from fusion_stack.models.open_clip import ClassificationHead
        from fusion_stack.pickled_modules import read_module

        state, attributes = read_module(Path(config).expanduser())
        return ClassificationHead(state["weight"], state.get("bias"), normalize=bool(attributes.get("normalize", True)))

    @property
    def train_processor(self) -> Any:
        """The training transform of the architecture: image to tensor."""
        return self._transforms[0]

    @property
    def test_processor(self) -> Any:
        """The evaluation transform of the architecture: image to tensor."""
        return self._transforms[1]

    def load_processor(self, stage: str = "test") -> Any:
        """`train_processor` for the stage "train", else `test_processor`."""
        return self.train_processor if stage == "train" else self.test_processor

    def load_dataset(self, split: str, dataset_name: str, *args: Any, **kwargs: Any) -> Any:
        """A dataset configured as a mere text is a path or hub id, of which the split of that name is taken."""
        dataset = super().load_dataset(split, dataset_name, *args, **kwargs)
        return load_split(dataset, split, *args, **kwargs) if isinstance(dataset, str) else dataset

    @functools.cached_property
    def _transforms(self) -> tuple[Any, Any]:
        name = self._architecture(self._known(self.pretrained_or_first_name))
        _, train, test = _open_clip().create_model_and_transforms(name, pretrained=None)
        return train, test

    def _encoder(self, architecture: str | None, state: dict[str, Any], where: str) -> Any:
        from fusion_stack.models.open_clip import ImageEncoder

        if architecture is None:
            raise ValueError(f"{where} does not say which architecture it has; modelpool.model_name=ViT-B-32 does")
        return ImageEncoder.of(_open_clip(), architecture, state, where)

    def _architecture(self, config: Any) -> str:
        name = self._name_of(config)
        if name is None:
            raise ValueError(f"model {quoted(config)} does not say which architecture it has; give it model_name")
        return name

    def _name_of(self, config: Any) -> str | None:
        name = config.get("model_name") if hasattr(config, "keys") else None
        return str(name) if name is not None else self._model_name


def _path(config: Any) -> str | None:
    if isinstance(config, str):
        return config
    if not hasattr(config, "keys") or "_target_" in config:
        return None
    return next((str(config[key]) for key in _PATHS if key in config), None)


def _open_clip() -> Any:
    try:
        return import_module("open_clip")
    except Exception as error:  # torchvision built for another torch fails with RuntimeError or OSError
        raise ImportError(
            "open_clip cannot be imported; it needs torchvision of the same release as torch: "
            f"pip install 'fusion_kernels[openclip]'. ({type(error).__name__}: {error})"
        ) from error

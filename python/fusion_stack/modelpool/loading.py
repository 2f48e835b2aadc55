"""Loads models that transformers knows, quietly, and refuses to make up a weight that the files lack."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fusion_kernels.errors import listing, quoted
from fusion_stack.hub import hub_or_cache
from fusion_stack.modelpool.platforms import locate, unreachable

_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def load_transformer(class_name: str, path: str, *args: Any, may_lack: Sequence[str] = (), **kwargs: Any) -> Any:
    """The torch.nn.Module that `transformers.<class_name>.from_pretrained(path)` gives.

    may_lack: beginnings of the names of weights that may be missing and are then random, such as a head to be trained.
    Raises ValueError, naming them, where other weights are missing or have another shape, and FileNotFoundError, saying
    what would have been fetched, for an id that neither the hub nor its cache gives.
    """
    import transformers

    cls = getattr(transformers, class_name)
    with quiet(), explained(path):
        module, found = cls.from_pretrained(path, *args, output_loading_info=True, **kwargs)
    missing = [name for name in sorted(found["missing_keys"]) if not _begins(name, module, may_lack)]
    if missing:
        raise ValueError(
            f"{path} lacks {len(missing)} weights of a {type(module).__name__}: {listing(missing, limit=4)}; "
            "is it a model of another kind, or a part of one?"
        )
    return module


def load_adapted(class_name: str, base: str, adapter: str, renames: dict[str, str] | None = None, **kwargs: Any) -> Any:
    """The base with a peft adapter's weights merged into its own, as a plain module. Errors as for models.

    renames: {regular expression: replacement} for names in the adapter's file, after "base_model.model.", that the
        module has in another form.
    Raises ValueError, naming them, where weights of the adapter are missing; they would be zero.
    """
    import warnings

    from peft import PeftModel

    module = load_transformer(class_name, base, **kwargs)
    with explained(adapter), warnings.catch_warnings():
        warnings.filterwarnings("error", message="Found missing adapter keys")
        try:
            return PeftModel.from_pretrained(module, adapter, key_mapping=renames).merge_and_unload()
        except UserWarning as warning:
            raise ValueError(
                f"adapter {quoted(adapter)} does not fit {quoted(base)}, a {type(module).__name__}: "
                f"{str(warning)[:400]}"
            ) from warning


def load_companion(class_name: str, path: str, *args: Any, **kwargs: Any) -> Any:
    """The processor or tokenizer that `transformers.<class_name>.from_pretrained(path)` gives; errors as for models.

    Raises ValueError where a folder holds no tokenizer: transformers makes up one without words.
    """
    import transformers

    with explained(path):
        made = getattr(transformers, class_name).from_pretrained(path, *args, **kwargs)
    if class_name == "AutoTokenizer" and len(made) <= len(made.all_special_tokens):
        raise ValueError(f"{path} holds no tokenizer; name where one is: modelpool.tokenizer=PATH")
    return made


def load_split(reference: str, split: str, *args: Any, platform: str = "hf", **kwargs: Any) -> Any:
    """The "train", "val" or "test" part of a dataset named by a path or an id. Errors as for models."""
    from datasets import load_dataset

    path = locate(reference, platform=platform, kind="dataset")
    with explained(path, kind="dataset"):
        return load_dataset(path, *args, split=_SPLITS[split], **kwargs)


@contextmanager
def explained(reference: str, kind: str = "model") -> Iterator[None]:
    """Turns a failure to fetch `reference` into a FileNotFoundError that says what would have been fetched.

    Without a connection the failure comes at once, see `hub_or_cache`.
    """
    try:
        with hub_or_cache(reference):
            yield
    except (OSError, ConnectionError) as error:
        if Path(reference).expanduser().exists():
            raise
        raise unreachable(reference, error, kind=kind) from error


def is_adapter(path: str) -> bool:
    """Whether a folder or hub id holds a peft adapter; False, too, for what cannot be reached."""
    folder = Path(path).expanduser()
    if folder.exists():
        return (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file()
    from transformers.utils.peft_utils import find_adapter_config_file

    try:
        with hub_or_cache(path):
            return find_adapter_config_file(path) is not None
    except OSError:
        return False


def is_pickled(path: str) -> bool:
    """Whether a folder or hub id holds weights as pytorch_model.bin, in one file or several; False if unreachable."""
    folder, names = Path(path).expanduser(), ("pytorch_model.bin", "pytorch_model.bin.index.json")
    if folder.exists():
        return any((folder / name).is_file() for name in names)
    from transformers.utils.hub import cached_file

    try:
        with hub_or_cache(path):
            return any(cached_file(path, name, _raise_exceptions_for_missing_entries=False) for name in names)
    except OSError:
        return False


def expand_kwargs(kwargs: Any) -> dict[str, Any]:
    """`model_kwargs` of a configuration as from_pretrained takes them: plain values, `torch_dtype` as `dtype`."""
    from omegaconf import OmegaConf

    container: Any = OmegaConf.to_container(kwargs, resolve=True) if OmegaConf.is_config(kwargs) else kwargs
    plain: dict[str, Any] = dict(container or {})
    if "torch_dtype" in plain:
        plain["dtype"] = plain.pop("torch_dtype")
    if isinstance(plain.get("dtype"), str) and plain["dtype"] != "auto":
        import torch

        dtype = getattr(torch, plain["dtype"].removeprefix("torch."), None)
        if not isinstance(dtype, torch.dtype):
            raise ValueError(
                f"dtype {quoted(plain['dtype'])} is none of torch's; write float32, float16, bfloat16 or auto"
            )
        plain["dtype"] = dtype
    return plain


def _begins(name: str, module: Any, beginnings: Sequence[str]) -> bool:
    bare = name.removeprefix(f"{getattr(module, 'base_model_prefix', '')}.")
    return name.startswith(tuple(beginnings)) or bare.startswith(tuple(beginnings))


@contextmanager
def quiet() -> Iterator[None]:
    """Silences transformers' report of every weight it did not need (half of a CLIP model) and its progress bars."""
    from importlib import import_module

    messages: Any = import_module("transformers.utils.logging")  # untyped
    verbosity, bars = messages.get_verbosity(), messages.is_progress_bar_enabled()
    messages.set_verbosity_error()
    messages.disable_progress_bar()
    report = logging.getLogger("transformers.utils.loading_report")
    disabled, report.disabled = report.disabled, True
    try:
        yield
    finally:
        messages.set_verbosity(verbosity)
        report.disabled = disabled
        if bars:
            messages.enable_progress_bar()

"""Loads from the Hugging Face hub without waiting for a network that is not there.

Where a file is not in the cache, huggingface_hub tries six times in half a minute, and a model is several files. Its
one switch against that is offline mode, which is on here, for one load at a time, where the hub does not answer.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from fusion_kernels.sources.remote_header import is_transport_error

_PATIENCE = 4  # seconds for an answer; HF_HUB_ETAG_TIMEOUT says otherwise
_REMEMBERED = 60  # seconds


@contextmanager
def hub_or_cache(reference: str | None) -> Iterator[None]:
    """Inside, what loads `reference` is given the hub's cache alone where the hub cannot be reached.

    Nothing is asked for a path, or for None.
    """
    if reference is None or is_path(reference) or absence() is None:
        yield
        return
    with _offline():
        yield


def absence() -> str | None:
    """Why nothing comes from the hub, as a sentence: offline mode, or a connection that failed; None where it answers.

    The connection is tried once, and the outcome remembered for a minute.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "Offline mode (HF_HUB_OFFLINE) is on."
    return _attempt(constants.ENDPOINT, int(time.monotonic() // _REMEMBERED))


def dataset_id(config: Any) -> str | None:
    """The hub id, or path, in the configuration of a dataset, None where it names files or has none."""
    if not hasattr(config, "keys") or "data_dir" in config or "data_files" in config:
        return None
    return str(config["path"]) if "path" in config else dataset_id(config.get("dataset"))


def is_path(reference: str) -> bool:
    """Whether a reference is none to the hub: a path that exists, or is written as one."""
    return reference.startswith(("/", ".", "~")) or Path(reference).exists()


@functools.lru_cache(maxsize=1)
def _attempt(endpoint: str, _minute: int) -> str | None:
    from huggingface_hub import constants

    patience = constants.HF_HUB_ETAG_TIMEOUT if "HF_HUB_ETAG_TIMEOUT" in os.environ else _PATIENCE
    session: Any = import_module("huggingface_hub.utils").get_session()  # of httpx or requests, by its version
    try:
        session.head(endpoint, timeout=patience)
    except Exception as error:
        if is_transport_error(error):
            return f"{endpoint} cannot be reached ({type(error).__name__}: {error})."
    return None


@contextmanager
def _offline() -> Iterator[None]:
    """Offline mode for huggingface_hub, for transformers, which asks it, and for datasets, which has copied it."""
    from huggingface_hub import constants

    modules: list[Any] = [constants]
    with suppress(ImportError):  # imported now: it would copy what is set below, for good
        modules.append(import_module("datasets.config"))
    before = [one.HF_HUB_OFFLINE for one in modules]
    for one in modules:
        one.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for one, value in zip(modules, before, strict=True):
            one.HF_HUB_OFFLINE = value

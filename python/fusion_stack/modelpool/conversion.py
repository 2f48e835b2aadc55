"""Folders of safetensors made once from what the engine does not read: adapters, pickles."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fusion_kernels.sources import open_source

log = logging.getLogger(__name__)
_COMPANIONS = ("*.json", "*.txt", "*.model", "*.jinja")  # tokenizer and processor files
_OWN = ("adapter_config.json", "pytorch_model.bin.index.json")  # say something about weights left behind


class Conversions:
    """Folders in a cache, or in a temporary folder that lives as long as this object."""

    def __init__(self) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def folder(
        self, kind: Sequence[str], sources: Sequence[str], write: Callable[[Path], Any], cache: str | None
    ) -> str:
        """The folder that `write(folder)` filled with config.json and safetensors, now or, where it is cached, before.

        kind: what else than the sources the result depends on. sources: paths or hub ids; a changed file changes the
        folder. cache: the cache's folder, None for a temporary one. Raises OSError where it cannot be written.
        """
        root = self._root(cache)
        stamp = json.dumps([*kind, *([source, _stamps(source)] for source in sources)])
        folder = root / hashlib.sha256(stamp.encode()).hexdigest()[:20]
        if _is_whole(folder):
            return str(folder)
        try:
            root.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=root))
        except OSError as error:
            raise OSError(
                f"the cache {root} cannot be written ({error.strerror}); name another: path.cache_dir=FOLDER, or the "
                "environment variable FUSION_BENCH_CACHE_DIR"
            ) from error
        try:
            log.info("making safetensors of %s in %s", " with ".join(reversed(sources)), folder)
            write(unfinished)
            for source in sources:
                _copy_companions(Path(source), unfinished)
            if not _is_whole(folder):  # another process may have been faster
                shutil.rmtree(folder, ignore_errors=True)
                unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return str(folder)

    def _root(self, cache: str | None) -> Path:
        if cache is not None:
            return Path(cache).expanduser() / "converted"
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="fusion-stack-converted-")
        return Path(self._temporary.name)


def _is_whole(folder: Path) -> bool:
    """Whether the headers of a folder can be read; a damaged one is made again."""
    try:
        return open_source(folder).config is not None if folder.is_dir() else False
    except (OSError, ValueError) as error:
        log.info("%s cannot be read and is made again: %s", folder, error)
        return False


def _stamps(source: str) -> Any:
    """What changes when a model does: its files' sizes and times, the commit the hub's cache holds."""
    folder = Path(source)
    if folder.is_file():
        return [str(folder.resolve()), *_size_and_time(folder)]
    if folder.is_dir():
        files = sorted(path for path in folder.iterdir() if path.is_file())
        return [str(folder.resolve()), *([path.name, *_size_and_time(path)] for path in files)]
    from transformers.utils.hub import cached_file, extract_commit_hash

    for name in ("adapter_config.json", "config.json"):
        try:
            found = cached_file(source, name, local_files_only=True, _raise_exceptions_for_missing_entries=False)
        except OSError:  # not in the cache, or no id: what is missing is said by who reads it
            continue
        if found is not None:
            return extract_commit_hash(found, None)
    return None


def _size_and_time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _copy_companions(source: Path, folder: Path) -> None:
    for pattern in _COMPANIONS if source.is_dir() else ():
        for path in source.glob(pattern):
            if path.name not in _OWN and not (folder / path.name).exists():
                shutil.copy(path, folder / path.name)

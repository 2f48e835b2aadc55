"""Where the suite keeps what it fetched or trained, with the hashes that say whether it may be used again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """The suite's cache: $FUSION_KERNELS_CACHE, else $XDG_CACHE_HOME/fusion_kernels, else ~/.cache/fusion_kernels."""
    own = os.environ.get("FUSION_KERNELS_CACHE")
    if own:
        return Path(own).expanduser() / "suite"
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(shared).expanduser() / "fusion_kernels" / "suite"


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def key_of(*parts: object) -> str:
    """A short key that changes when any part does. Parts are whatever JSON can write."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def intact(folder: Path, expected: Mapping[str, str]) -> bool:
    """Whether every expected file (name: SHA-256) lies in the folder with exactly those bytes."""
    return all((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in expected.items())


def read_json(path: Path) -> Any:
    """What a file of the cache holds. Raises ValueError naming the file, and the way out, where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); delete {path.parent}, it is made again") from None


@contextmanager
def publish(folder: Path) -> Iterator[Path]:
    """Gives a fresh sibling folder to fill, and renames it to `folder` only when the block ends without an error.

    A run stopped half way therefore never leaves a half-written entry behind for the next one to trust.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)

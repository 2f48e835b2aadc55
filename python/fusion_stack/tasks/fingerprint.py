"""What a model was fed, as a hash: which data a figure was measured on, down to the last pixel and token."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any


class Fingerprinted:
    """Iterates over a data loader; `hexdigest()` tells the hash of the batches it has given since it began anew."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._digest = hashlib.blake2b(digest_size=16)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        self._digest = hashlib.blake2b(digest_size=16)
        for batch in self._batches:
            _update(self._digest, batch)
            yield batch

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _update(digest: Any, value: Any) -> None:
    if hasattr(value, "numpy"):
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().data)
    elif isinstance(value, Mapping) or hasattr(value, "keys"):
        for key in value:
            digest.update(str(key).encode())
            _update(digest, value[key])
    elif isinstance(value, (list, tuple)):
        for one in value:
            _update(digest, one)
    else:
        digest.update(repr(value).encode())

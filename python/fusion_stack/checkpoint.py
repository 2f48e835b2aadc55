"""A model as a folder of weights, not loaded: what methods return that merge from file to file."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_kernels.sources import open_source

if TYPE_CHECKING:
    from fusion_kernels.report import MergeReport
    from fusion_stack.modelpool.base import BaseModelPool


class MergedCheckpoint:
    """A folder in Hugging Face layout that `load()` makes a torch.nn.Module of.

    path: the folder. pool: the modelpool that knows the architecture. report: the engine's, where it wrote the folder.
    keep: held as long as this object lives; a temporary folder, for instance.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        pool: BaseModelPool,
        *,
        report: MergeReport | None = None,
        keep: Any = None,
    ) -> None:
        self.path, self.pool, self.report = Path(path), pool, report
        self._keep = keep

    def load(self) -> Any:
        """The model as a torch.nn.Module in evaluation mode; every call reads the files again."""
        return self.pool.load_checkpoint(self.path)

    @property
    def lasting(self) -> bool:
        """Whether the folder stays when this object is gone."""
        return self._keep is None

    @functools.cached_property
    def _shapes(self) -> list[tuple[int, int]]:
        return [(info.numel, info.nbytes) for info in open_source(self.path).tensors.values()]

    @property
    def num_parameters(self) -> int:
        """Elements of all tensors, read from the headers."""
        return sum(numel for numel, _ in self._shapes)

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors, read from the headers."""
        return sum(nbytes for _, nbytes in self._shapes)

    def __repr__(self) -> str:
        return f"MergedCheckpoint({str(self.path)!r})"

"""How a merged model is saved: `merged_model_save_kwargs`, under the names FusionBench's pools take."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_kernels.companions import GROUPS
from fusion_kernels.errors import listing, suggest
from fusion_stack.checkpoint import MergedCheckpoint

if TYPE_CHECKING:
    from fusion_stack.modelpool.base import BaseModelPool

log = logging.getLogger(__name__)
_KEY = "merged_model_save_kwargs"
_NO_CARD = "the model card of a merge is the engine's, and report.md holds the configuration"
_REFUSED = {
    "algorithm_config": _NO_CARD,
    "base_model": _NO_CARD,
    "base_model_in_modelcard": _NO_CARD,
    "description": _NO_CARD,
    "tokenizer": "modelpool.tokenizer names it",
}


@dataclass(frozen=True)
class SaveOptions:
    """`model_dtype`: of the weights, such as "bfloat16"; None for the models' own. max_shard_size: bytes a file.

    save_tokenizer: the modelpool's tokenizer goes with the model, loaded with `tokenizer_kwargs`.
    push_to_hub: "ORG/NAME" uploads the folder, false does not.
    """

    model_dtype: str | None = None
    max_shard_size: int | str | None = None
    save_tokenizer: bool = False
    tokenizer_kwargs: Mapping[str, Any] = field(default_factory=dict)
    push_to_hub: str | bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any] | None, pool: BaseModelPool) -> SaveOptions:
        """Raises ValueError naming a key that is not taken, or that the pool has nothing for."""
        options = {key: value for key, value in (given or {}).items() if value is not None}
        if not options.pop("safe_serialization", True):
            raise ValueError(f"{_KEY}.safe_serialization=false: weights are written as safetensors, never as a pickle")
        repository = options.pop("repo_id", None)
        if repository is not None and options.get("push_to_hub") is True:
            options["push_to_hub"] = repository
        known = [one.name for one in fields(cls)]
        for key in options:
            if key not in known:
                why = _REFUSED.get(key, f"it has {listing(known)}.{suggest(key, known)}")
                raise ValueError(f"{_KEY}.{key} is not taken: {why}")
        made = cls(**options)
        if made.push_to_hub is True:
            raise ValueError(f"{_KEY}.push_to_hub=true: name the repository, push_to_hub: ORG/NAME")
        if made.save_tokenizer and not hasattr(pool, "load_tokenizer"):
            raise ValueError(f"{_KEY}.save_tokenizer=true: {type(pool).__name__} has no tokenizer; write false")
        return made

    @property
    def of_the_engine(self) -> dict[str, Any]:
        """The same for fusion_kernels.merge, which rounds once and cuts files as it writes them."""
        dtype = None if self.model_dtype is None else self.model_dtype.removeprefix("torch.")
        named = {"dtype": dtype, "max_shard_size": self.max_shard_size}
        return {key: value for key, value in named.items() if value is not None}

    def save(self, pool: BaseModelPool, model: Any, folder: Path) -> None:
        """Writes a module, or what is missing of a MergedCheckpoint, which the engine has written by these options."""
        written = isinstance(model, MergedCheckpoint)
        if written and model.path.resolve() != folder.resolve():
            pool.save_model(model, folder)
        elif not written:
            asked: dict[str, Any] = {"model_dtype": self.model_dtype, "max_shard_size": self.max_shard_size}
            if self.max_shard_size is not None and not hasattr(model, "save_pretrained"):
                log.warning("%s is written as one file, whatever max_shard_size says", type(model).__name__)
                del asked["max_shard_size"]
            pool.save_model(model, folder, **{key: value for key, value in asked.items() if value is not None})
        if self.save_tokenizer and not (written and self._has_its_own(pool, folder)):
            self._save_tokenizer(pool, folder)
        if isinstance(self.push_to_hub, str):
            from fusion_stack.publishing import push_to_hub

            push_to_hub(folder, self.push_to_hub)

    def _has_its_own(self, pool: BaseModelPool, folder: Path) -> bool:
        """Whether the tokenizer the engine has copied from the base is the one asked for."""
        configured = self.tokenizer_kwargs or getattr(pool, "_tokenizer", None) is not None
        return not configured and any(path for pattern in GROUPS["tokenizer"] for path in folder.glob(pattern))

    def _save_tokenizer(self, pool: Any, folder: Path) -> None:
        try:
            pool.load_tokenizer(**self.tokenizer_kwargs).save_pretrained(folder)
        except Exception as error:  # of any library's tokenizer: the model is saved, and worth evaluating
            log.warning("the tokenizer is not saved: %s", " ".join(str(error).split()))

"""One model of a merge under the output's tensor names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fusion_kernels.dtypes import DTYPES
from fusion_kernels.errors import quoted
from fusion_kernels.naming import is_derived, is_embedding, is_head, prefix_difference
from fusion_kernels.sources.checkpoint import Checkpoint, TensorInfo

_SCALES = ("_scale", "_scale_inv", "_scale_2", ".scale", ".scales", ".scale_inv")


@dataclass(eq=False)
class Participant:
    """A checkpoint with its place in the merge; `tensors` and `aliases` are by output name.

    key: the model's number, or "base".
    """

    key: int | Literal["base"]
    label: str
    tied: bool | None
    quantised: bool
    tensors: dict[str, TensorInfo]
    aliases: dict[str, str]
    _embeddings: list[str] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, key: int | Literal["base"], checkpoint: Checkpoint) -> Participant:
        config = checkpoint.config or {}
        aliases = _rooted(checkpoint.aliases)
        return cls(
            key, checkpoint.label, checkpoint.tied, bool(config.get("quantization_config")), checkpoint.tensors, aliases
        )

    def __str__(self) -> str:
        return f"base {self.label!r}" if self.key == "base" else f"model {self.label!r}"

    def tie(self, name: str) -> str | None:
        """The name whose tensor this model uses for `name`, None where `name` stands for itself (or is missing).

        That is so for names that share memory, for a head whose config ties it to the embedding, and for a head that is
        not stored unless the config says that it is not tied.
        """
        if name in self.aliases:
            return self.aliases[name]
        stored = self.tensors.get(name)
        if not is_head(name) or self.tied is False or (stored is not None and self.tied is None):
            return None
        embedding = self._embedding()
        if embedding is None or stored is None:
            return embedding
        info = self.tensors[embedding]
        return embedding if (info.shape, info.dtype) == (stored.shape, stored.dtype) else None

    def _embedding(self) -> str | None:
        """The token embedding; None where there is no single one."""
        if self._embeddings is None:
            self._embeddings = [name for name in self.tensors if is_embedding(name) and name not in self.aliases]
        shared = [name for name in self._embeddings if name.split(".")[-2] == "shared"]
        candidates = shared or self._embeddings
        return candidates[0] if len(candidates) == 1 else None


def align(one: Participant, reference: Participant) -> list[str]:
    """Renames a participant's tensors where a constant prefix tells them from the reference's; returns what to note."""
    if one.tensors.keys() == reference.tensors.keys():
        return []
    wanted = {name for name, info in reference.tensors.items() if not is_derived(name, info.shape)}
    names = [name for name, info in one.tensors.items() if not is_derived(name, info.shape)]
    difference = prefix_difference(names, wanted)
    if difference is None:
        return []
    remove, add = difference
    one.tensors = {add + name.removeprefix(remove): info for name, info in one.tensors.items()}
    one.aliases = {
        add + name.removeprefix(remove): add + kept.removeprefix(remove) for name, kept in one.aliases.items()
    }
    what = f"have the prefix {remove!r}, which is dropped" if remove else f"lack the prefix {add!r}, which is added"
    return [f"{one}: all tensor names {what} to match {reference}"]


def quantisation(one: Participant) -> str | None:
    """Why a model's numbers are not its weights: scaled fp8, or integers under a quantization_config; None if they "
    "are."""
    fp8 = [name for name, info in one.tensors.items() if info.dtype.startswith("F8_")]
    scale = next((name for name in one.tensors if name.endswith(_SCALES)), None) if fp8 else None
    packed = [
        name
        for name, info in (one.tensors.items() if one.quantised else ())
        if not DTYPES[info.dtype].floating and not is_derived(name, info.shape)
    ]
    if scale is None and not packed and not (one.quantised and fp8):
        return None
    name = (fp8 or packed)[0]
    with_scale = f" with scales such as {quoted(scale)}" if scale else " and config.json has a quantization_config"
    return (
        f"{one} is quantised: tensor {quoted(name)} is {one.tensors[name].dtype}{with_scale}; merging quantised "
        "weights is not "
        "available yet, give the unquantised model"
    )


def _rooted(aliases: dict[str, str]) -> dict[str, str]:
    """The same ties, each group under its first name that is no head: loaders find the embedding, and tie the head "
    "to it."""
    groups: dict[str, list[str]] = {}
    for name, kept in aliases.items():
        groups.setdefault(kept, [kept]).append(name)
    rooted = {}
    for members in groups.values():
        root = next((name for name in members if not is_head(name)), members[0])
        rooted.update({name: root for name in members if name != root})
    return rooted

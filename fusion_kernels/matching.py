"""Decides which tensor of every model goes into which output tensor, and what stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from fusion_kernels.collection import paused_collection
from fusion_kernels.dtypes import DTYPES
from fusion_kernels.errors import listing, quoted
from fusion_kernels.method_info import BaseRole
from fusion_kernels.naming import is_derived, is_embedding, is_head
from fusion_kernels.participants import Participant, align, quantisation
from fusion_kernels.sources.checkpoint import Checkpoint, TensorInfo


class TensorRef(NamedTuple):
    """One input tensor: the number of its model (or "base"), and where its bytes lie in that model's buffers."""

    checkpoint: int | Literal["base"]
    info: TensorInfo


@dataclass(frozen=True, slots=True)
class MatchedTensor:
    """One output tensor.

    kind: "merge" (the method decides), "copy" (the bytes of models[0]) or "equal" (all inputs must be the same bytes).
    dtype: the safetensors code of what is copied; None for "merge", whose dtype is decided later.
    base: the base's tensor where the method takes differences from it (or must equal it), else None.
    models: the merged models' tensors in order; a base that is a member comes first.
    """

    name: str
    kind: Literal["merge", "copy", "equal"]
    shape: tuple[int, ...]
    dtype: str | None
    base: TensorRef | None
    models: tuple[TensorRef, ...]


@dataclass
class Matching:
    """The output tensors in order, what a reader should know, and every reason why the models cannot be merged.

    tied: output names not written because in every model they are another one's tensor, such as
    {"lm_head.weight": "model.embed_tokens.weight"}.
    untied: a head is written of its own although some model ties it; the output's config must say so.
    """

    tensors: list[MatchedTensor] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tied: dict[str, str] = field(default_factory=dict)
    untied: bool = False

    def summary(self, limit: int = 12) -> str:
        """The problems, one a line; past `limit` they are counted."""
        rest = len(self.problems) - limit
        return "\n".join(self.problems[:limit] + ([f"... and {rest} more problems"] if rest > 0 else []))


def match(
    models: Sequence[Checkpoint],
    base: Checkpoint | None,
    *,
    base_role: BaseRole,
    on_unequal_integers: Literal["error", "base"] = "error",
) -> Matching:
    """Matches tensors by name: the output has those of the base (or of the first model), in its order.

    base_role: "required" (inputs are the models, differences are taken from the base), "optional" (the same where there
    is a base), "member" (the base is merged as the first model) or "ignored" (it only gives derived buffers).
    on_unequal_integers: "error" has the engine compare integer tensors byte by byte, "base" copies the base's.

    Nothing is raised for models that do not fit: all reasons are listed in `problems`.
    """
    taking_part = [Participant.of(number, model) for number, model in enumerate(models)]
    extra = Participant.of("base", base) if base is not None else None
    if base_role == "member" and extra is not None and not any(model is base for model in models):
        taking_part.insert(0, extra)
    merged = list(taking_part)
    if base_role in ("required", "optional") and extra is not None:
        taking_part.insert(0, extra)
    with paused_collection():
        return _Matcher(taking_part, merged, extra, on_unequal_integers).run()


class _Matcher:
    def __init__(
        self,
        taking_part: list[Participant],
        merged: list[Participant],
        base: Participant | None,
        on_unequal_integers: str,
    ) -> None:
        self.taking_part, self.merged = taking_part, merged
        self.reference = taking_part[0]
        self.givers = [one for one in (base, self.reference) if one is not None]  # of what is copied, in this order
        self.copy_integers = on_unequal_integers == "base"
        self.result = Matching()
        self.copied: dict[str, list[str]] = {}
        self.left_out: list[str] = []
        self.substituted: dict[tuple[str, str], list[Participant]] = {}

    def run(self) -> Matching:
        for one in {one.key: one for one in [*self.taking_part, *self.givers]}.values():
            if one is not self.reference:
                self.result.notes.extend(align(one, self.reference))
        strangers = self._strangers()
        self.taking_part = [one for one in self.taking_part if one not in strangers]
        self.merged = [one for one in self.merged if one not in strangers]
        self.result.problems.extend(reason for one in self.taking_part if (reason := quantisation(one)))
        names = dict.fromkeys(name for one in self.taking_part for name in one.tensors)
        aliased = {alias for one in self.taking_part for alias in one.aliases}
        for name in names:
            self._one(name, may_be_tied=name in aliased or is_head(name))
        self._write_notes()
        return self.result

    def _strangers(self) -> list[Participant]:
        """Models that share no name with the reference: one problem each, not one for every tensor."""
        strangers = [one for one in self.taking_part if one.tensors.keys().isdisjoint(self.reference.tensors)]
        for one in strangers:
            self.result.problems.append(
                f"{one} has no tensor name in common with {self.reference}: {quoted(next(iter(one.tensors)))} against "
                f"{quoted(next(iter(self.reference.tensors)))}; are they the same architecture, saved by the same "
                "library?"
            )
        return strangers

    def _one(self, name: str, *, may_be_tied: bool) -> None:
        found = [one.tensors.get(name) for one in self.taking_part]
        shape = next(info.shape for info in found if info is not None)
        if is_derived(name, shape):
            self._derived(name)
            return
        if may_be_tied:
            ties = [one.tie(name) for one in self.taking_part]
            if ties[0] is not None and len(set(ties)) == 1:
                self.result.tied[name] = ties[0]
                return
            if is_head(name):
                tied_anywhere = any(ties) or any(giver.tied for giver in self.givers)
                self.result.untied = self.result.untied or tied_anywhere
            for index, one in enumerate(self.taking_part):
                if found[index] is None and (embedding := ties[index]):
                    found[index] = one.tensors[embedding]
                    self.substituted.setdefault((name, embedding), []).append(one)
        infos = [info for info in found if info is not None]
        if len(infos) < len(found):
            self._missing(name, found)
        elif any(info.shape != shape for info in infos):
            self._shapes(name, infos)
        else:
            self._emit(name, infos)

    def _emit(self, name: str, infos: list[TensorInfo]) -> None:
        dtypes = {info.dtype for info in infos}
        if all(DTYPES[code].mergeable for code in dtypes):
            self._add(name, "merge", infos, None)
            return
        unsupported = [code for code in dtypes if not DTYPES[code].copyable]
        floating = {DTYPES[code].floating for code in dtypes}
        if unsupported:
            owners = [
                f"{one} ({info.dtype})"
                for one, info in zip(self.taking_part, infos, strict=True)
                if info.dtype in unsupported
            ]
            known = ", ".join(code for code, dtype in DTYPES.items() if dtype.mergeable)
            self.result.problems.append(
                f"tensor {quoted(name)}: unsupported dtype in {listing(owners, limit=4)}; {known} are merged"
            )
        elif len(floating) > 1 or (floating == {False} and len(dtypes) > 1 and not self.copy_integers):
            owners = [f"{info.dtype} in {one}" for one, info in zip(self.taking_part, infos, strict=True)]
            self.result.problems.append(f"tensor {quoted(name)}: dtypes do not go together: {listing(owners, limit=6)}")
        elif len(infos) == 1 or self.copy_integers:
            self._copy(name, "integers" if len(infos) > 1 else "", infos[0].shape)
        else:
            self._add(name, "equal", infos, infos[0].dtype)

    def _add(self, name: str, kind: Literal["merge", "equal"], infos: list[TensorInfo], dtype: str | None) -> None:
        refs = [TensorRef(one.key, info) for one, info in zip(self.taking_part, infos, strict=True)]
        separate = len(self.taking_part) - len(self.merged)  # 1 where the base is not one of the merged models
        base = refs[0] if separate else None
        self.result.tensors.append(MatchedTensor(name, kind, infos[0].shape, dtype, base, tuple(refs[separate:])))

    def _derived(self, name: str) -> None:
        info = self.reference.tensors.get(name)
        if info is None:
            self.left_out.append(name)
        elif not DTYPES[info.dtype].copyable:
            self.result.problems.append(f"tensor {quoted(name)}: unsupported dtype {info.dtype} in {self.reference}")
        else:
            self._copy(name, "derived buffers" if len(self.taking_part) > 1 else "", info.shape)

    def _copy(self, name: str, why: str, shape: tuple[int, ...]) -> None:
        """Copies the tensor from the base, or from the reference where there is no base with a tensor of that shape."""
        for giver in self.givers:
            info = giver.tensors.get(name)
            if info is not None and (info.shape == shape or giver is self.reference) and DTYPES[info.dtype].copyable:
                self.result.tensors.append(
                    MatchedTensor(name, "copy", shape, info.dtype, None, (TensorRef(giver.key, info),))
                )
                if why:
                    self.copied.setdefault(f"{why} come from {giver}", []).append(name)
                return

    def _missing(self, name: str, found: list[TensorInfo | None]) -> None:
        owners = [str(one) for one, info in zip(self.taking_part, found, strict=True) if info is not None]
        lacking = [str(one) for one, info in zip(self.taking_part, found, strict=True) if info is None]
        shape = next(list(info.shape) for info in found if info is not None)
        self.result.problems.append(
            f"tensor {quoted(name)} of shape {shape} is in {listing(owners, limit=4)} but missing in "
            f"{listing(lacking, limit=4)}"
        )

    def _shapes(self, name: str, infos: list[TensorInfo]) -> None:
        shapes = [f"{list(info.shape)} in {one}" for one, info in zip(self.taking_part, infos, strict=True)]
        problem = f"tensor {quoted(name)}: shapes differ: {listing(shapes, limit=6)}"
        if is_head(name) or is_embedding(name):
            problem += "; the vocabularies differ, and aligning them is not available yet: give all the same rows first"
        self.result.problems.append(problem)

    def _write_notes(self) -> None:
        notes = self.result.notes
        for what, names in self.copied.items():
            notes.append(f"{len(names)} {what}: {listing(names, limit=3)}")
        if self.left_out:
            notes.append(
                f"{len(self.left_out)} derived buffers that {self.reference} lacks are left out: "
                f"{listing(self.left_out, limit=3)}"
            )
        for (name, embedding), owners in self.substituted.items():
            notes.append(
                f"{listing(owners, limit=4)}: {name} is tied, so {embedding} is used for it; the result's head is "
                "untied"
            )
        for name, kept in self.result.tied.items():
            notes.append(f"{name} is tied to {kept} in every model and is written once")

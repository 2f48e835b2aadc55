"""What is declared about every merge method: names, formulas, papers, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from fusion_kernels.errors import listing, quoted, suggest

__all__ = [
    "MISSING",
    "PRESETS",
    "MethodInfo",
    "Missing",
    "Parameter",
    "Preset",
    "Scalar",
    "get_method",
    "register",
    "registry",
]

Preset = Literal["mergekit", "paper", "fusionbench"]
PRESETS: tuple[Preset, ...] = ("mergekit", "paper", "fusionbench")
Scalar = float | bool | str
BaseRole = Literal["required", "optional", "ignored", "member"]

# Methods of mergekit this engine does not run yet: known names deserve "not yet" instead of a guess at a typo.
_NOT_YET = ("arcee_fusion", "nearswap", "ram", "ramplus_tl", "sce")
# Names other tools use for a method we have.
_ELSEWHERE = {"average": "linear", "mean": "linear", "simple_average": "linear", "weighted_average": "linear"}


class Missing:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


@dataclass(frozen=True)
class Parameter:
    """One parameter of a merge method; per-model ones take a value for each merged model."""

    name: str
    type: Literal["number", "integer", "boolean", "choice"]
    per_model: bool = False
    required: bool = False
    default: Scalar | None = None
    choices: tuple[str, ...] = ()
    presets: Mapping[str, Scalar] = field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None
    doc: str = ""

    def default_for(self, preset: Preset) -> Scalar | Missing:
        """The value used when nobody gives one, or MISSING where the method insists."""
        if preset in self.presets:
            return self.presets[preset]
        return MISSING if self.required or self.default is None else self.default

    @property
    def expected(self) -> str:
        """What a value must be, for messages and descriptions: ``a number in [0, 1]``."""
        if self.type == "boolean":
            return "true or false"
        if self.type == "choice":
            return "one of " + ", ".join(self.choices)
        number = "a whole number" if self.type == "integer" else "a number"
        if self.minimum is not None and self.maximum is not None:
            return f"{number} in [{self.minimum:g}, {self.maximum:g}]"
        if self.minimum is not None:
            return f"{number} of at least {self.minimum:g}"
        return number if self.maximum is None else f"{number} of at most {self.maximum:g}"


@dataclass(frozen=True)
class MethodInfo:
    """What one merge method is and takes, as the engine, or the signature of a method in Python, declares it.

    ``kind`` is ``"fold"``, ``"gram"`` or, for one written in Python, ``"matrix"``.
    ``base`` is ``"required"`` (the models differ from it and it is not merged), ``"optional"`` (the same where one is
    given), ``"ignored"`` or ``"member"`` (it is one of the merged models and comes first). ``min_models`` and
    ``max_models`` count merged models, the base only where it is a member. ``doc`` is what there is to say beyond the
    one line of ``summary``.
    """

    name: str
    kind: str
    summary: str
    formula: str
    paper: Mapping[str, Any]
    base: BaseRole
    min_models: int
    max_models: int | None
    parameters: tuple[Parameter, ...]
    ignored_keys: tuple[str, ...] = ()
    doc: str = ""

    @property
    def needs_base(self) -> bool:
        """Whether there is no merge without a base."""
        return self.base in ("required", "member")

    @property
    def sets_base_apart(self) -> bool:
        """Whether a base that is given is not itself one of the merged models."""
        return self.base in ("required", "optional")

    @property
    def trims(self) -> bool:
        """Whether it keeps the largest elements of each task vector, for which it must find where to cut first."""
        return self.kind == "fold" and self.parameter("scope") is not None

    @property
    def draws(self) -> bool:
        """Whether it keeps elements at random, so that its result hangs on the seed."""
        return self.kind == "fold" and self.parameter("density") is not None and not self.trims

    @classmethod
    def from_native(cls, entry: Mapping[str, Any]) -> MethodInfo:
        """Build from one entry of the engine's own list of methods."""
        parameters = []
        for given in entry["parameters"]:
            known = {key: given[key] for key in Parameter.__dataclass_fields__ if key in given}
            parameters.append(Parameter(**{**known, "choices": tuple(given.get("choices") or ())}))
        known = {key: entry[key] for key in cls.__dataclass_fields__ if key in entry}
        known["paper"] = dict(entry.get("paper") or {})
        known["ignored_keys"] = tuple(entry.get("ignored_keys") or ())
        return cls(**{**known, "parameters": tuple(parameters)})

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name (``lambda_`` is ``lambda``), or None."""
        wanted = "lambda" if name == "lambda_" else name
        return next((one for one in self.parameters if one.name == wanted), None)


_registered: dict[str, MethodInfo] = {}  # methods written in Python


@lru_cache(maxsize=1)
def _native_methods() -> dict[str, MethodInfo]:
    from fusion_kernels._native import native

    return {entry["name"]: MethodInfo.from_native(entry) for entry in native().methods()}


def registry() -> dict[str, MethodInfo]:
    """All known methods by name: the engine's in its order, then those written in Python as they were registered."""
    return {**_native_methods(), **_registered}


def register(method: MethodInfo) -> None:
    """Make a method written in Python known, in place of one of that name; the engine's own stay.

    Raises ValueError for the name of one of the engine's methods.
    """
    if method.name in _native_methods():
        raise ValueError(f"{quoted(method.name)} is a method of the engine; choose another name")
    _registered[method.name] = method


def get_method(name: str) -> MethodInfo:
    """The method of that name; installed packages are asked for theirs before it counts as unknown.

    Raises NotImplementedError for one other tools have and this engine does not have yet, ValueError (with a
    suggestion) for one nobody knows.
    """
    known = registry()
    if name not in known:
        from fusion_kernels.method_discovery import discover

        discover()
        known = registry()
    if name in known:
        return known[name]
    if name in _NOT_YET:
        raise NotImplementedError(f"method {name!r} is not available yet; available: {listing(known)}")
    hint = f" Did you mean {_ELSEWHERE[name]!r}?" if name in _ELSEWHERE else suggest(name, known)
    raise ValueError(f"unknown method {quoted(name)}; available: {listing(known)}.{hint}")

"""Merge-method parameters: what a method declares, turned with what the user gave into one complete set of values."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from fusion_kernels.errors import listing, quoted, suggest

__all__ = [
    "MISSING",
    "PRESETS",
    "MethodInfo",
    "Parameter",
    "Preset",
    "Resolved",
    "Scalar",
    "Value",
    "by_model",
    "check_preset",
    "check_value",
    "get_method",
    "plain",
    "registry",
    "resolve",
]

Preset = Literal["mergekit", "paper", "fusionbench"]
PRESETS: tuple[Preset, ...] = ("mergekit", "paper", "fusionbench")
Scalar = float | bool | str
Value = Scalar | tuple[Scalar, ...]

# Methods of mergekit this engine does not run yet: known names deserve "not yet" instead of a guess at a typo.
_NOT_YET = (
    "arcee_fusion", "breadcrumbs", "breadcrumbs_ties", "dare_linear", "dare_ties", "della", "della_linear", "karcher",
    "model_stock", "multislerp", "nearswap", "nuslerp", "ram", "ramplus_tl", "sce",
)  # fmt: skip
# Names other tools use for a method we have.
_ELSEWHERE = {"average": "linear", "mean": "linear", "simple_average": "linear", "weighted_average": "linear"}


class _Missing:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True)
class Parameter:
    """One parameter of a merge method; per-model ones take a value for each merged model."""

    name: str
    type: Literal["number", "boolean", "choice"]
    per_model: bool = False
    required: bool = False
    default: Scalar | None = None
    choices: tuple[str, ...] = ()
    presets: Mapping[str, Scalar] = field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None
    doc: str = ""

    def default_for(self, preset: Preset) -> Scalar | _Missing:
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
        if self.minimum is not None and self.maximum is not None:
            return f"a number in [{self.minimum:g}, {self.maximum:g}]"
        if self.minimum is not None:
            return f"a number of at least {self.minimum:g}"
        return "a number" if self.maximum is None else f"a number of at most {self.maximum:g}"


@dataclass(frozen=True)
class MethodInfo:
    """What one merge method is and takes, as the engine declares it.

    ``base`` is ``"required"`` (deltas are taken from it), ``"ignored"`` or ``"member"`` (it is one of the merged
    models and comes first). ``min_models`` and ``max_models`` count merged models, the base only where it is a member.
    """

    name: str
    kind: str
    summary: str
    formula: str
    paper: Mapping[str, Any]
    base: Literal["required", "ignored", "member"]
    min_models: int
    max_models: int | None
    parameters: tuple[Parameter, ...]
    ignored_keys: tuple[str, ...] = ()

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


@dataclass(frozen=True)
class Resolved:
    """Every parameter of a method with its value; per-model ones as tuples in the order of the merged models."""

    values: dict[str, Value]
    notes: list[str]


@lru_cache(maxsize=1)
def registry() -> dict[str, MethodInfo]:
    """All methods of the engine by name, in its order."""
    from fusion_kernels._native import native

    return {entry["name"]: MethodInfo.from_native(entry) for entry in native().methods()}


def get_method(name: str) -> MethodInfo:
    """The method of that name.

    Raises NotImplementedError for one other tools have and this engine does not have yet, ValueError (with a
    suggestion) for one nobody knows.
    """
    known = registry()
    if name in known:
        return known[name]
    if name in _NOT_YET:
        raise NotImplementedError(f"method {name!r} is not available yet; available: {listing(known)}")
    hint = f" Did you mean {_ELSEWHERE[name]!r}?" if name in _ELSEWHERE else suggest(name, known)
    raise ValueError(f"unknown method {quoted(name)}; available: {listing(known)}.{hint}")


def resolve(
    method: MethodInfo, *, preset: Preset = "mergekit", model_names: Sequence[str], given: Mapping[str, object]
) -> Resolved:
    """Complete and check the parameters of ``method`` for the merged models ``model_names``.

    A per-model parameter takes one value for all, a sequence of exactly K, or ``{model: value}`` where a model left
    out gets the default. ``model_names`` are the merged models in order (for slerp-like methods the base comes first).

    Raises ValueError naming method, parameter, model, value and what was expected; NotImplementedError for a value
    that means something in other tools and cannot be done here yet.
    """
    preset = check_preset(preset)
    names = list(model_names)
    values: dict[str, Value] = {}
    notes: list[str] = []
    wanted: dict[str, object] = {}
    for key, value in given.items():
        parameter = method.parameter(key)
        if parameter is None:
            notes.append(_ignored(method, key, value))
        elif parameter.name in wanted:
            raise ValueError(f"{method.name}: {parameter.name} is given twice, as 'lambda' and as 'lambda_'")
        else:
            wanted[parameter.name] = plain(value)
    for parameter in method.parameters:
        value = wanted.get(parameter.name, MISSING)
        if parameter.per_model:
            values[parameter.name] = _per_model(method, parameter, preset, names, value)
        elif value is MISSING:
            values[parameter.name] = _default(method, parameter, preset)
        else:
            values[parameter.name] = check_value(method, parameter, value)
    return Resolved(values, notes)


def check_preset(preset: object) -> Preset:
    """``preset`` if it is a known one, else ValueError."""
    for known in PRESETS:
        if preset == known:
            return known
    raise ValueError(f"unknown preset {quoted(preset)}; known: {listing(PRESETS)}.{suggest(preset, PRESETS)}")


def check_value(method: MethodInfo, parameter: Parameter, value: object, *, model: str = "") -> Scalar:
    """``value`` as this parameter's type, or ValueError saying what was expected; ``model`` only names it."""
    whose = f"{method.name}: {parameter.name}" + (f" of model {model!r}" if model else "")
    wrong = f"{whose} must be {parameter.expected}, got {quoted(value)}"
    if isinstance(value, (list, tuple, Mapping)):
        if not parameter.per_model:
            raise ValueError(f"{whose} is one value for the whole merge ({parameter.expected}), got {quoted(value)}")
        raise ValueError(f"{wrong}: one value per model, not several")
    if parameter.type == "boolean":
        if not isinstance(value, bool):
            raise ValueError(wrong)
        return value
    if parameter.type == "choice":
        if not isinstance(value, str) or value not in parameter.choices:
            raise ValueError(f"{wrong}.{suggest(value, parameter.choices) if isinstance(value, str) else ''}")
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        hint = " (a text: leave out the quotes)" if isinstance(value, str) and _is_number(value) else ""
        raise ValueError(wrong + hint)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{whose} must be a finite number, got {quoted(value)}")
    if (parameter.minimum is not None and number < parameter.minimum) or (
        parameter.maximum is not None and number > parameter.maximum
    ):
        raise ValueError(f"{wrong}; it is the {parameter.doc}" if parameter.doc else wrong)
    return number


def plain(value: object) -> object:
    """Arrays and scalars of numpy or torch as plain Python numbers and lists; anything else unchanged."""
    if type(value).__module__.partition(".")[0] in ("numpy", "torch") and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def by_model(method: MethodInfo, name: str, value: object, models: Sequence[str]) -> dict[str, object]:
    """A list (one value per model) or ``{model: value}`` as ``{model: value}``; the values are not looked at.

    Raises ValueError for another number of values than models, and for a model that is not among them.
    """
    if isinstance(value, Mapping):
        for key in value:
            if key not in models:
                raise ValueError(
                    f"{method.name}: {name} names a model that is not merged: {quoted(key)}; "
                    f"models: {listing(models)}.{suggest(key, models)}"
                )
        return dict(value)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * len(models)
    if len(values) != len(models):
        count = f"{len(values)} value{'' if len(values) == 1 else 's'}"
        raise ValueError(
            f"{method.name}: {name} has {count} for {len(models)} models ({listing(models)}); "
            f"give one value for all, or exactly {len(models)} in that order"
        )
    return dict(zip(models, values, strict=True))


def _per_model(
    method: MethodInfo, parameter: Parameter, preset: Preset, names: Sequence[str], value: object
) -> tuple[Scalar, ...]:
    if isinstance(value, (Mapping, list)):
        given = by_model(method, parameter.name, value, names)
        return tuple(
            check_value(method, parameter, given[name], model=name)
            if name in given
            else _default(method, parameter, preset, model=name)
            for name in names
        )
    one = _default(method, parameter, preset) if value is MISSING else check_value(method, parameter, value)
    return (one,) * len(names)


def _default(method: MethodInfo, parameter: Parameter, preset: Preset, *, model: str = "") -> Scalar:
    value = parameter.default_for(preset)
    if not isinstance(value, _Missing):
        return value
    whose = f" for model {model!r}" if model else ""
    what = f" ({parameter.doc})" if parameter.doc else ""
    forms = ": one value, one per model, or {model: value}" if parameter.per_model else ""
    raise ValueError(
        f"{method.name} needs {parameter.name}{whose}{what}{forms}; for example {parameter.name}={_example(parameter)}"
    )


def _example(parameter: Parameter) -> str:
    if parameter.type == "boolean":
        return "True"
    if parameter.type == "choice":
        return repr(parameter.choices[0])
    if parameter.presets:
        return repr(next(iter(parameter.presets.values())))
    if parameter.minimum is not None and parameter.maximum is not None:
        return repr((parameter.minimum + parameter.maximum) / 2)
    # An interpolation factor has its middle at a half; anything else reads well as one.
    return "0.5" if parameter.name == "t" else "1.0"


def _ignored(method: MethodInfo, key: str, value: object) -> str:
    """The note for a key that is accepted without effect; ValueError for a key that is not."""
    if key in method.ignored_keys:
        return f"{method.name} does not use {key}; {key}={quoted(value)} has no effect on the result"
    own = [parameter.name for parameter in method.parameters]
    owners = [other.name for other in registry().values() if other.parameter(key) is not None]
    belongs = f" ({key!r} belongs to {listing(owners)})" if owners else ""
    takes = f"{method.name} takes: {listing(own)}" if own else f"{method.name} takes none"
    hint = "" if owners else suggest(key, own)
    raise ValueError(f"{method.name} has no parameter {quoted(key)}{belongs}; {takes}.{hint}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

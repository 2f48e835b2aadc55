"""Merge-method parameters: what a method declares, turned with what the user gave into one complete set of values."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusion_kernels.errors import listing, quoted, suggest
from fusion_kernels.method_info import (
    MISSING,
    PRESETS,
    MethodInfo,
    Missing,
    Parameter,
    Preset,
    Scalar,
    get_method,
    registry,
)

__all__ = [
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

Value = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class Resolved:
    """Every parameter of a method with its value; per-model ones as tuples in the order of the merged models."""

    values: dict[str, Value]
    notes: list[str]


def resolve(
    method: MethodInfo, *, preset: Preset = "mergekit", model_names: Sequence[str], given: Mapping[str, object]
) -> Resolved:
    """Complete and check the parameters of ``method`` for the merged models ``model_names``.

    A per-model parameter takes one value for all, a sequence of exactly K, or ``{model: value}`` where a model left
    out gets the default. ``model_names`` are the merged models in order (for slerp-like methods the base comes first).

    Raises ValueError naming method, parameter, model, value and what was expected, also where values that are right
    by themselves cannot stand together.
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
    if method.kind != "matrix" and names:
        _check_together(method, values, names)
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
    if parameter.type == "integer":
        if not number.is_integer():
            raise ValueError(wrong)
        return int(value) if isinstance(value, numbers.Integral) else int(number)
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


def _check_together(method: MethodInfo, values: Mapping[str, Value], names: Sequence[str]) -> None:
    """Let the engine say which values cannot stand beside one another."""
    from fusion_kernels._native import native

    given = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    wrong = native().problem(method.name, given, len(names))
    if wrong is not None:
        number, text = wrong
        whose = f"model {names[number]!r}: " if number >= 0 else ""
        raise ValueError(f"{method.name}: {whose}{text}")


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
    if not isinstance(value, Missing):
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
    if parameter.type == "integer":
        return "1" if parameter.minimum is None else f"{parameter.minimum:g}"
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

"""Reads the parameters of a merge method from the signature and docstring of a Python function."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from fusion_kernels.errors import listing, quoted
from fusion_kernels.own_methods import PerModel
from fusion_kernels.parameters import MethodInfo, Parameter, Scalar, check_value

__all__ = ["Signature", "read_signature", "reserved_names"]

_FORM = "f(tensors, base, *, info, ...)"
_TYPES: dict[Any, Literal["number", "integer", "boolean"]] = {float: "number", int: "integer", bool: "boolean"}
_ALLOWED = 'float, int, bool, Literal["a", "b"], or PerModel of one of these'
_BOUNDS = {"ge": "minimum", "le": "maximum"}  # as annotated-types and pydantic's Field name them
# "density: fraction kept", "a, b: ...", "density (float): ...", ":param density: ..."
_ITEM = re.compile(r"(?P<indent>\s*)(?::param\s+)?(?P<names>\w+(?:,\s*\w+)*)(?:\s*\([^)]*\))?\s*:\s+(?P<text>\S.*)")
_HEADINGS = {"args:", "arguments:", "parameters:"}


@dataclass(frozen=True)
class Signature:
    """What a function says about itself; ``keywords`` pairs parameters' names with those the function has for them."""

    summary: str
    doc: str
    parameters: tuple[Parameter, ...]
    keywords: tuple[tuple[str, str], ...]


def read_signature(method: str, function: Callable[..., Any]) -> Signature:
    """Parameters, summary and description of the function that is to be ``method``.

    Raises ValueError naming the method and the argument where the function cannot be a method.
    """
    if not inspect.isfunction(function):
        raise ValueError(f"{method}: merge_method stands above a function {_FORM}, got {quoted(function)}")
    arguments = dict(inspect.signature(function).parameters)
    _check_form(method, arguments)
    for name in ("tensors", "base", "info"):
        del arguments[name]
    annotations = _annotations(method, function, arguments)
    parameters = {name: _parameter(method, one, annotations.get(name)) for name, one in arguments.items()}
    summary, doc, described = _read_docstring(inspect.getdoc(function) or "", parameters)
    if not summary:
        summary = f"{function.__qualname__} of {function.__module__}"
    return Signature(
        summary=summary,
        doc=doc,
        parameters=tuple(replace(one, doc=described.get(name, "")) for name, one in parameters.items()),
        keywords=tuple((one.name, name) for name, one in parameters.items()),
    )


def reserved_names() -> set[str]:
    """Names no parameter may have: the arguments of the calls that a parameter is passed to by name."""
    from fusion_kernels.merging import merge
    from fusion_kernels.tensors import merge_tensors

    taken = {name for call in (merge, merge_tensors) for name in inspect.signature(call).parameters}
    return taken | {"tensors", "base", "info", "model"}  # a recipe has `model` beside a model's own parameters


def _check_form(method: str, arguments: Mapping[str, inspect.Parameter]) -> None:
    given = list(arguments.values())
    positional = [one.name for one in given if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    catching = [str(one) for one in given if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if catching:
        raise ValueError(f"{method}: {catching[0]} says nothing about the parameters; name each, as in {_FORM}")
    if positional[:2] != ["tensors", "base"] or any(one.kind is one.POSITIONAL_ONLY for one in given):
        raise ValueError(f"{method}: a method is {_FORM}, got {inspect.Signature(given)}")
    if positional[2:]:
        raise ValueError(f"{method}: {positional[2]} must be named to be given: put it after '*', as in {_FORM}")
    if "info" not in arguments:
        raise ValueError(f"{method}: info is missing after '*'; a method is {_FORM}")
    reserved = sorted(reserved_names() & (arguments.keys() - {"tensors", "base", "info"}))
    if reserved:
        raise ValueError(f"{method}: {reserved[0]!r} cannot be a parameter, merge() has it already; rename it")


def _annotations(
    method: str, function: Callable[..., Any], arguments: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """The parameters' annotations, evaluated where they are texts; those of tensors may name what is not imported."""
    written = {name: one.annotation for name, one in arguments.items() if one.annotation is not one.empty}
    try:
        bearer = types.SimpleNamespace(__annotations__=written)
        return typing.get_type_hints(bearer, function.__globals__, include_extras=True)
    except Exception as error:
        raise ValueError(f"{method}: the annotations cannot be read: {type(error).__name__}: {error}") from error


def _parameter(method: str, argument: inspect.Parameter, annotation: Any) -> Parameter:
    name = "lambda" if argument.name == "lambda_" else argument.name
    annotation, marks = _unmarked(annotation)
    per_model = typing.get_origin(annotation) is PerModel
    inner, more = _unmarked(typing.get_args(annotation)[0] if per_model else annotation)
    choices = typing.get_args(inner) if typing.get_origin(inner) is Literal else ()
    if annotation is None or (inner not in _TYPES and not choices):
        got = f"annotated {_written(annotation)}" if annotation is not None else "without annotation"
        raise ValueError(f"{method}: parameter {name} must be annotated {_ALLOWED}; it is {got}")
    if not all(isinstance(choice, str) for choice in choices):
        raise ValueError(f"{method}: the choices of {name} must be texts, got {listing(map(repr, choices))}")
    bounds = _bounds(method, name, (*marks, *more))
    if bounds and inner not in (float, int):
        raise ValueError(f"{method}: parameter {name} is no number and cannot have bounds")
    parameter = Parameter(
        name=name,
        type="choice" if choices else _TYPES[inner],
        per_model=per_model,
        required=argument.default is argument.empty,
        choices=choices,
        minimum=bounds.get("minimum"),
        maximum=bounds.get("maximum"),
    )
    if parameter.required:
        return parameter
    return replace(parameter, default=_default(method, parameter, argument.default))


def _unmarked(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """An annotation without its ``Annotated``, and what that says."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return annotation, ()
    inner, *marks = typing.get_args(annotation)
    return inner, tuple(marks)


def _bounds(method: str, name: str, marks: tuple[Any, ...]) -> dict[str, float]:
    """Minimum and maximum among the marks of ``Annotated``; what they say about anything else is not ours."""
    flat = [one for mark in marks for one in (mark, *getattr(mark, "metadata", ()))]  # pydantic's Field holds several
    for mark in flat:
        if getattr(mark, "gt", None) is not None or getattr(mark, "lt", None) is not None:
            raise ValueError(f"{method}: the bounds of {name} must be inclusive: ge and le, not gt and lt")
    found = [(ours, getattr(mark, theirs, None)) for mark in flat for theirs, ours in _BOUNDS.items()]
    return {ours: float(bound) for ours, bound in found if bound is not None}


def _default(method: str, parameter: Parameter, value: object) -> Scalar:
    """The default if it is a value one could give, else ValueError."""
    nobody = MethodInfo(method, "matrix", "", "", {}, "ignored", 1, None, (parameter,))
    try:
        return check_value(nobody, parameter, value)
    except ValueError as error:
        raise ValueError(f"{error} as its default; leave the default out to require a value") from None


def _written(annotation: Any) -> str:
    plain = isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias)
    return annotation.__name__ if plain else str(annotation).replace("typing.", "")


def _read_docstring(text: str, parameters: Mapping[str, Parameter]) -> tuple[str, str, dict[str, str]]:
    """The first line, the rest without what describes parameters, and those descriptions."""
    summary, _, rest = text.strip().partition("\n")
    described: dict[str, str] = {}
    kept: list[str] = []
    names: list[str] = []  # of the item being read
    indent = 0
    for line in rest.splitlines():
        item = _ITEM.fullmatch(line)
        found = re.split(r",\s*", item["names"]) if item else []
        if item and all(name in parameters for name in found):
            names, indent = found, len(item["indent"])
            described.update(dict.fromkeys(names, item["text"].strip()))
        elif names and line.strip() and len(line) - len(line.lstrip()) > indent:
            described.update({name: f"{described[name]} {line.strip()}" for name in names})
        else:
            names = []
            if line.strip().lower() not in _HEADINGS:
                kept.append(line.rstrip())
    return summary.strip(), re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), described

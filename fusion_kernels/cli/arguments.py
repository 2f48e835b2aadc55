"""Turns what was typed into the arguments of merge()."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

RECIPE_ENDINGS = (".yml", ".yaml")
# What a recipe says itself; typed beside one, these change it.
RECIPE_OPTIONS = ("method", "base", "preset", "dtype", "seed")

# typer brings its own copy of click in some versions and imports click in others; this is either's class.
UsageError = typer.BadParameter.__bases__[0]

Value = float | int | bool | str


@dataclass(frozen=True)
class Arguments:
    """One command line of `merge` or `plan`; what was not typed is absent from `options`, so a recipe's word stands."""

    sources: tuple[str, ...]
    output: str | None
    parameters: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_recipe(self) -> bool:
        return bool(self.sources) and self.sources[0].lower().endswith(RECIPE_ENDINGS)


def for_merge(typed: Arguments) -> tuple[Any, dict[str, Any]]:
    """The first argument of merge() and its keyword arguments."""
    if not typed.sources:
        raise UsageError("name a recipe (.yml), or the models to merge and --method; see --help")
    return _with_recipe(typed) if typed.is_recipe else _with_models(typed)


def _with_recipe(typed: Arguments) -> tuple[Any, dict[str, Any]]:
    recipe, *rest = typed.sources
    if len(rest) > 1 or (rest and typed.output is not None):
        raise UsageError(f"a recipe takes one output folder after it, got {len(rest)} and --output")
    options = dict(typed.options)
    overrides = {key: options.pop(key) for key in RECIPE_OPTIONS if key in options}
    if typed.parameters:
        overrides["parameters"] = parse_parameters(typed.parameters)
    if overrides:
        options["overrides"] = overrides
    output = rest[0] if rest else typed.output
    return recipe, options | ({"output": output} if output is not None else {})


def _with_models(typed: Arguments) -> tuple[Any, dict[str, Any]]:
    options = dict(typed.options)
    if "method" not in options:
        raise UsageError(f"say --method NAME to merge models, or give a recipe ({' or '.join(RECIPE_ENDINGS)})")
    if typed.output is not None:
        options["output"] = typed.output
    if typed.parameters:
        options["parameters"] = parse_parameters(typed.parameters)
    return parse_models(typed.sources), options


def recipe_text(typed: Arguments) -> str:
    """The YAML of the merge that was typed."""
    from fusion_kernels.recipe import Recipe

    models, options = for_merge(typed)
    if typed.is_recipe:
        return Recipe.load(models, overrides=options.get("overrides")).to_yaml()
    stated = {name: options[name] for name in (*RECIPE_OPTIONS, "parameters") if name in options}
    return Recipe.from_arguments(models, **stated).to_yaml()


def parse_models(words: Sequence[str]) -> list[str] | dict[str, str]:
    """`A B` as a list; `math=A code=B` as a mapping. A word that is an existing path is never split."""
    pairs = [word.partition("=") if "=" in word and not Path(word).exists() else ("", "", word) for word in words]
    if not any(name for name, _, _ in pairs):
        return list(words)
    models: dict[str, str] = {}
    for name, _, source in pairs:
        if not name or not source:
            raise UsageError(f"name every model or none: {source or name!r} has no NAME=SOURCE")
        if name in models:
            raise UsageError(f"two models are called {name!r}")
        models[name] = source
    return models


def parse_parameters(words: Sequence[str]) -> dict[str, Any]:
    """`density=0.5` for all models, `weight=0.1,0.2` in their order, `weight.math=0.3` for one."""
    parameters: dict[str, Any] = {}
    for word in words:
        target, equals, text = word.rpartition("=")
        name, dot, model = target.partition(".")
        if not equals or not name or (dot and not model):
            raise UsageError(f"-p {word}: expected NAME=VALUE, NAME=V1,V2,... or NAME.MODEL=VALUE")
        if not dot:
            if name in parameters:
                raise UsageError(f"-p {word}: {name!r} is given twice")
            parameters[name] = [parse_value(part) for part in text.split(",")] if "," in text else parse_value(text)
            continue
        per_model = parameters.setdefault(name, {})
        if not isinstance(per_model, dict) or model in per_model:
            raise UsageError(f"-p {word}: {name!r} is given twice")
        per_model[model] = parse_value(text)
    return parameters


def parse_value(text: str) -> Value:
    """A number, true, false, or else the word itself."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text

"""Brings the arguments of merge() into one form, whether they came as models or as a recipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from fusion_kernels.errors import listing, quoted, suggest
from fusion_kernels.labels import model_labels, same_source

if TYPE_CHECKING:
    from fusion_kernels.parameters import Preset
    from fusion_kernels.progress import Progress

RECIPE_ENDINGS = (".yml", ".yaml")
ON_UNEQUAL_INTEGERS = ("error", "base")


class _Seed(int):
    """A seed nobody typed: a recipe's own stands."""


class _Preset(str):
    """A preset nobody typed: a recipe's own stands."""


DEFAULT_SEED: int = _Seed(0)
DEFAULT_PRESET: Preset = cast("Preset", _Preset("mergekit"))


@dataclass(frozen=True)
class Request:
    """One merge as asked for, its sources not opened yet.

    models: {label: source}, in order, the base too where it was listed. base_label: that of `base`, a key of `models`
    where it is listed there. parameters: as given, for the method. dtype: a safetensors code or None.
    """

    models: Mapping[str, Any]
    method: str
    base: Any
    base_label: str | None
    output: str | os.PathLike[str] | None
    preset: Preset
    parameters: Mapping[str, Any]
    dtype: Any
    seed: int
    device: str
    threads: int | None
    memory_limit: int | str
    device_memory_limit: int | str
    max_shard_size: int | str
    overwrite: bool
    durable: bool
    model_card: bool
    allow_nonfinite: bool
    on_unequal_integers: Literal["error", "base"]
    progress: Callable[[Progress], None] | bool | None
    notes: tuple[str, ...] = ()


def from_arguments(
    models: Any,
    *,
    method: str | None,
    base: Any,
    parameters: Mapping[str, Any] | None,
    method_parameters: Mapping[str, Any],
    overrides: Mapping[str, Any] | None,
    **options: Any,
) -> Request:
    """The request that merge()'s arguments mean; `options` are those that Request takes over unchanged.

    Raises ValueError for arguments that contradict each other, and what reading a recipe raises.
    """
    given = _joined(parameters, method_parameters)
    if is_recipe(models):
        for name, value in (("method", method), ("base", base)):
            if value is not None:
                raise ValueError(f"{name}= is the recipe's to say; overrides={{{name!r}: {quoted(value)}}} changes it")
        options |= _from_recipe(models, overrides, given, options)
    else:
        if overrides is not None:
            raise ValueError("overrides= changes a recipe; with models, give the arguments themselves")
        if method is None:
            raise ValueError("merge needs method=, for example method='ties'; fusion_kernels.methods() lists them")
        options |= {"models": _checked_models(models), "method": method, "base": base, "parameters": given}
    options |= _labelled(options["models"], options["base"])
    return _checked(Request(**options))


def is_recipe(models: Any) -> bool:
    """Whether merge()'s first argument is a recipe: a Recipe, a mapping that names a merge_method, a path to .yml."""
    if isinstance(models, (str, os.PathLike)):
        return os.fspath(models).lower().endswith(RECIPE_ENDINGS)
    if isinstance(models, Mapping):
        return isinstance(models.get("merge_method"), str)
    recipe = sys.modules.get("fusion_kernels.recipe")  # nobody has a Recipe without its module
    return recipe is not None and isinstance(models, recipe.Recipe)


def _from_recipe(
    recipe: Any, overrides: Mapping[str, Any] | None, given: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The recipe's arguments; what the caller typed beside it wins over it."""
    from fusion_kernels.recipe import Recipe

    typed: dict[str, Any] = {"parameters": {**_joined((overrides or {}).get("parameters"), {}), **given}}
    if options["dtype"] is not None:
        typed["dtype"] = _dtype(options["dtype"])[1]
    for name, default in (("seed", _Seed), ("preset", _Preset)):
        if not isinstance(options[name], default):
            typed[name] = options[name]
    changes = {**(overrides or {}), **typed}
    if isinstance(recipe, Recipe):
        read = recipe.with_overrides(changes)
    elif isinstance(recipe, Mapping):
        read = Recipe.parse(recipe, overrides=changes)
    else:
        read = Recipe.load(recipe, overrides=changes)
    return {**read.arguments(), "notes": read.notes}


def _joined(parameters: Mapping[str, Any] | None, method_parameters: Mapping[str, Any]) -> dict[str, Any]:
    if parameters is not None and not isinstance(parameters, Mapping):
        raise ValueError(f"parameters= takes {{name: value}}, got {quoted(parameters)}")
    joined: dict[str, Any] = {}
    for source in (parameters or {}, method_parameters):
        for name, value in source.items():
            known_as = "lambda" if name == "lambda_" else name  # a word of Python's own
            if known_as in joined:
                raise ValueError(f"{known_as} is given twice; give it once, in parameters= or by its name")
            joined[known_as] = value
    return joined


def _labelled(models: Any, base: Any) -> dict[str, Any]:
    """Models as {label: source}, and the base's label, which is that of the listed model it is, if it is one."""
    named = isinstance(models, Mapping)
    sources = list(models.values()) if named else list(models)
    listed = [str(label) for label in models] if named else model_labels(sources)
    if base is None:
        return {"models": dict(zip(listed, sources, strict=True)), "base_label": None}
    position = next((i for i, source in enumerate(sources) if same_source(source, base)), None)
    if position is None and named and isinstance(base, str) and base in listed and not os.path.exists(base):
        position = listed.index(base)  # the base by its name
    if position is None:
        *labels, base_label = model_labels([*sources, base])
        if not isinstance(base, (str, os.PathLike)) or base_label in listed:
            base_label = "base"
        listed = listed if named else labels
    else:
        base, base_label = sources[position], listed[position]
    return {"models": dict(zip(listed, sources, strict=True)), "base": base, "base_label": base_label}


def _checked_models(models: Any) -> Any:
    if isinstance(models, (str, os.PathLike)):
        raise ValueError(
            f"models={quoted(os.fspath(models))}: expected a sequence or mapping of models, or a recipe (a path "
            "ending in .yml or .yaml; Recipe.parse(text) reads YAML text)"
        )
    if isinstance(models, Mapping):
        tensor = next((name for name, value in models.items() if hasattr(value, "shape")), None)
        if tensor is not None:
            raise ValueError(
                f"models= holds the tensor {tensor!r}; expected {{name: model}} or [model, ...], where a model "
                "may be a state dict"
            )
    elif not isinstance(models, Sequence):
        raise ValueError(f"models={quoted(models)}: expected a sequence or mapping of models, or a recipe")
    return models


def _dtype(dtype: Any) -> tuple[str, str]:
    """Code and torch name of an output dtype."""
    from fusion_kernels.dtypes import DTYPES, parse_dtype

    code = parse_dtype(dtype)
    name = DTYPES[code].torch_name
    if not DTYPES[code].mergeable or name is None:
        mergeable = [str(one.torch_name) for one in DTYPES.values() if one.mergeable]
        raise ValueError(f"dtype {quoted(dtype)} cannot hold merged weights; choose one of {listing(mergeable)}")
    return code, name


def _checked(request: Request) -> Request:
    from fusion_kernels.hardware import gpu_numbers

    gpu_numbers(request.device)
    unequal = request.on_unequal_integers
    if unequal not in ON_UNEQUAL_INTEGERS:
        known = listing(ON_UNEQUAL_INTEGERS)
        raise ValueError(
            f"unknown on_unequal_integers {quoted(unequal)}; known: {known}.{suggest(unequal, ON_UNEQUAL_INTEGERS)}"
        )
    threads, seed = request.threads, request.seed
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError(f"threads must be a whole number of at least 1, or None for all cores, got {quoted(threads)}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
        raise ValueError(f"seed must be a whole number from 0 to 2^64 - 1, got {quoted(seed)}")
    code = None if request.dtype is None else _dtype(request.dtype)[0]
    preset = cast("Preset", str(request.preset))
    return replace(request, dtype=code, seed=int(seed), preset=preset)

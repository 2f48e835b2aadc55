"""A merge written down: mergekit's YAML, read into the arguments of merge() or written from them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fusion_kernels.labels import merged_labels, model_labels, portable_source, same_source
from fusion_kernels.parameters import MethodInfo, Preset, Scalar, by_model, check_value, get_method, plain, resolve
from fusion_kernels.recipe_reader import RecipeReader
from fusion_kernels.yaml_text import Document, read_yaml

__all__ = ["Recipe", "RecipeModel"]

_ARGUMENT_KEYS = {"method": "merge_method", "base": "base_model", "dtype": "out_dtype"}


@dataclass(frozen=True)
class RecipeModel:
    """One listed model: its source (path or hub id, with ``@revision``), its own parameters, a short distinct label."""

    source: str
    parameters: dict[str, Scalar] = field(default_factory=dict)
    label: str = field(default="", compare=False)


@dataclass(frozen=True)
class Recipe:
    """One merge as written. ``models`` are those listed, the base too where it is listed; dtypes have torch's names.

    Make one with :meth:`parse`, :meth:`load` or :meth:`from_arguments`. ``notes`` says what was accepted without
    effect. Relative paths are relative to the working directory.
    """

    method: str
    models: tuple[RecipeModel, ...]
    base: str | None = None
    parameters: dict[str, Scalar] = field(default_factory=dict)
    dtype: str | None = None
    out_dtype: str | None = None
    preset: Preset = "mergekit"
    seed: int = 0
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def parse(
        cls, recipe: str | Mapping[str, Any], *, overrides: Mapping[str, Any] | None = None, name: str = "recipe"
    ) -> Recipe:
        """Read YAML text, or the same as a mapping; ``name`` is what errors call it.

        ``overrides`` replaces parts, under the names of merge()'s arguments (``method``, ``base``, ``preset``,
        ``dtype``, ``seed``) or the recipe's (``merge_method``, ...); ``parameters`` in it takes the forms merge()
        takes: one value, one per merged model, or ``{model: value}``.

        Raises ValueError or NotImplementedError naming the line or key path.
        """
        document = read_yaml(recipe, name=name) if isinstance(recipe, str) else Document(recipe, name)
        return cls._read(document, overrides or {})

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, overrides: Mapping[str, Any] | None = None) -> Recipe:
        """Read a YAML file; see :meth:`parse`. Raises OSError when it cannot be read, ValueError for no text."""
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{os.fspath(path)}: not UTF-8 text (byte {error.start}); is this a recipe?") from None
        except IsADirectoryError:
            raise IsADirectoryError(f"{os.fspath(path)} is a folder; a recipe is a YAML file") from None
        except FileNotFoundError:
            raise FileNotFoundError(f"no recipe at {os.fspath(path)}") from None
        return cls.parse(text, overrides=overrides, name=os.fspath(path))

    @classmethod
    def from_arguments(
        cls,
        models: Sequence[Any] | Mapping[str, Any],
        *,
        method: str,
        base: Any = None,
        preset: Preset = "mergekit",
        parameters: Mapping[str, Any] | None = None,
        dtype: Any = None,
        seed: int = 0,
        **method_parameters: Any,
    ) -> Recipe:
        """The recipe of a call of merge(). Models in memory appear under their names; raises as merge() does."""
        info = get_method(method)
        sources = list(models.values()) if isinstance(models, Mapping) else list(models)
        labels = list(models) if isinstance(models, Mapping) else model_labels(sources)
        written = [_written(source, label) for source, label in zip(sources, labels, strict=True)]
        # A base in memory is written under the name it is listed by, if it is listed.
        listed = [text for source, text in zip(sources, written, strict=True) if same_source(source, base)]
        written_base = None if base is None else [*listed, _written(base, "base")][0]
        recipe = {
            "merge_method": info.name,
            "base_model": written_base,
            "models": [{"model": text} for text in written],
            "out_dtype": dtype,
            "preset": preset,
            "seed": seed,
        }
        given = {**(parameters or {}), **method_parameters}
        merged = list(merged_labels(dict(zip(labels, written, strict=True)), written_base, info.base))
        # A misplaced parameter is an error here, where a recipe may carry what only mergekit's other methods use.
        resolve(info, preset=preset, model_names=["base"] * (info.base == "member") + merged, given=given)
        return cls._read(Document(recipe, "merge()"), {"parameters": given}, labels)

    def with_overrides(self, overrides: Mapping[str, Any] | None) -> Recipe:
        """A copy with parts replaced; see :meth:`parse`."""
        # Labels belong to the models as listed; where those are replaced, they are named anew.
        labels = None if "models" in (overrides or {}) else [one.label for one in self.models]
        return self._read(Document(self._as_mapping()), overrides or {}, labels)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for merge(): models as ``{label: source}``, method, base, preset, parameters, dtype, seed.

        The base is not among the models, unless the method merges it like any other (linear). Keys without effect are
        left out. A per-model parameter is one value, or ``{label: value}`` with the models that have one.
        """
        info = get_method(self.method)
        kept = merged_labels({one.label: one.source for one in self.models}, self.base, info.base)
        merged = [one for one in self.models if one.label in kept]
        parameters: dict[str, Any] = {}
        for parameter in info.parameters:
            shared = self.parameters.get(parameter.name)
            own = {one.label: one.parameters[parameter.name] for one in merged if parameter.name in one.parameters}
            if parameter.per_model and own:
                everyone = {one.label: own.get(one.label, shared) for one in merged}
                parameters[parameter.name] = {label: value for label, value in everyone.items() if value is not None}
            elif shared is not None:
                parameters[parameter.name] = shared
        return {
            "models": kept,
            "method": self.method,
            "base": self.base,
            "preset": self.preset,
            "parameters": parameters,
            "dtype": self.out_dtype or self.dtype,
            "seed": self.seed,
        }

    def to_yaml(self, *, portable: bool = False) -> str:
        """The recipe as YAML that mergekit loads too; the seed is always stated.

        ``portable`` writes local paths as folder names, so that the text can be published.
        """
        import yaml

        mapping = self._as_mapping(portable=portable)
        return yaml.dump(mapping, Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=True, width=2**31)

    @classmethod
    def _read(cls, document: Document, overrides: Mapping[str, Any], labels: Sequence[str] | None = None) -> Recipe:
        reader = RecipeReader(_overridden(document, overrides))
        reader.check_keys()
        info = get_method(reader.method_name())
        base, listed = reader.base(), reader.models()
        if base is None and info.needs_base:
            raise ValueError(f"{document.name}: {info.name} needs base_model, the model the others started from")
        sources = [source for source, _ in listed]
        labels = labels or model_labels(sources)
        is_base = [info.base != "ignored" and same_source(source, base) for source in sources]
        shared, own = dict(reader.parameters()), [dict(raw) for _, raw in listed]
        merged = {label: own[i] for i, label in enumerate(labels) if not is_base[i]}
        _override_parameters(info, overrides.get("parameters") or {}, shared, merged)
        models = []
        for index, source in enumerate(sources):
            unused = f"{source} is the base of {info.name}" if is_base[index] else ""
            path = f"models[{index}].parameters"
            values = reader.check_parameters(info, own[index], path, of_model=True, unused=unused)
            models.append(RecipeModel(source, values, labels[index]))
        return cls(
            method=info.name,
            models=tuple(models),
            base=base,
            parameters=reader.check_parameters(info, shared, "parameters", of_model=False),
            dtype=reader.dtype("dtype"),
            out_dtype=reader.dtype("out_dtype"),
            preset=reader.preset(),
            seed=reader.seed(),
            notes=(*reader.notes, *_notes_on_models(info, base, sources)),
        )

    def _as_mapping(self, *, portable: bool = False) -> dict[str, Any]:
        names: dict[str, str] = {}
        if portable:
            everyone = list(dict.fromkeys([*(one.source for one in self.models), *([self.base] if self.base else [])]))
            labels = model_labels(everyone)
            names = {source: portable_source(source, label) for source, label in zip(everyone, labels, strict=True)}
        mapping: dict[str, Any] = {"merge_method": self.method}
        if self.base is not None:
            mapping["base_model"] = names.get(self.base, self.base)
        mapping["models"] = []
        for one in self.models:
            own = {"parameters": dict(one.parameters)} if one.parameters else {}
            mapping["models"].append({"model": names.get(one.source, one.source), **own})
        if self.parameters:
            mapping["parameters"] = dict(self.parameters)
        mapping |= {key: value for key in ("dtype", "out_dtype") if (value := getattr(self, key)) is not None}
        if self.preset != "mergekit":
            mapping["preset"] = self.preset
        return mapping | {"seed": self.seed}


def _overridden(document: Document, overrides: Mapping[str, Any]) -> Document:
    """The document with top-level keys replaced; parameters are merged in later, when the models are known."""
    renamed = {_ARGUMENT_KEYS.get(key, key): value for key, value in overrides.items() if key != "parameters"}
    if not renamed or not isinstance(document.data, Mapping):
        return document
    return replace(document, data={**document.data, **renamed})


def _override_parameters(
    info: MethodInfo, changed: Mapping[str, Any], shared: dict[str, Any], own: Mapping[str, dict[str, Any]]
) -> None:
    """Put parameters, in the forms merge() takes, in place of those at the top (``shared``) and per model (``own``)."""
    for key, given in changed.items():
        parameter, value = info.parameter(key), plain(given)
        name = "lambda" if key == "lambda_" else key
        if parameter is not None and isinstance(value, (list, Mapping)):
            if not parameter.per_model:
                check_value(info, parameter, value)  # raises: one value for the whole merge
            for label, one in by_model(info, name, value, list(own)).items():
                own[label][name] = one
            continue
        for values in own.values():
            values.pop(name, None)
        shared[name] = value


def _written(source: Any, label: str) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else label


def _notes_on_models(info: MethodInfo, base: str | None, sources: list[str]) -> list[str]:
    notes = []
    if info.base == "ignored" and base is not None:
        listed = any(same_source(source, base) for source in sources)
        how = "it is merged like every listed model" if listed else "list it under models to merge it"
        notes.append(f"base_model is no base for {info.name}: {how}; config and tokenizer come from it")
    twice = [source for i, source in enumerate(sources) if any(same_source(source, early) for early in sources[:i])]
    return notes + [f"{source} is listed more than once, and counts each time" for source in dict.fromkeys(twice)]

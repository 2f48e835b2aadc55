"""The list of merge methods, with a description of each for people and for programs."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from fusion_kernels.citation import bibtex
from fusion_kernels.method_discovery import discover
from fusion_kernels.parameters import PRESETS, MethodInfo, Parameter, get_method, registry

__all__ = ["MethodDescription", "Methods", "describe", "methods"]

_BASE = {
    "required": "required: the merge works on each model's difference from it",
    "optional": "optional: where there is one, the merge works on each model's difference from it",
    "ignored": "not used",
    "member": "required: one of the merged models, and the first",
}


@dataclass(frozen=True, repr=False)
class MethodDescription:
    """One method: ``.info`` holds its declaration, ``str()`` a page to read, ``as_dict()`` plain data for JSON."""

    info: MethodInfo

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def summary(self) -> str:
        return self.info.summary

    @property
    def bibtex(self) -> str:
        """The BibTeX entry of the method's paper; empty where it has none."""
        return bibtex(self.info.paper)

    def as_dict(self) -> dict[str, Any]:
        """Plain dicts and lists: name, kind, summary, formula, paper, base, min_models, max_models, parameters, doc."""
        # Those of every method: one written in Python has its function besides.
        entry = {name: value for name, value in asdict(self.info).items() if name in MethodInfo.__dataclass_fields__}
        entry["ignored_keys"] = list(entry["ignored_keys"])
        entry["parameters"] = [{**one, "choices": list(one["choices"])} for one in entry["parameters"]]
        return entry

    def __str__(self) -> str:
        info = self.info
        lines = [f"{info.name}: {info.summary}", ""]
        if info.formula:
            lines += [*textwrap.indent(info.formula, "    ").splitlines(), ""]
        if info.doc:
            lines += [*info.doc.splitlines(), ""]
        # What a method in Python makes of its base is its own affair.
        base = info.base if info.kind == "matrix" and info.base != "ignored" else _BASE[info.base]
        lines += [f"models: {_count(info)}", f"base:   {base}", ""]
        lines += ["parameters:"] if info.parameters else ["parameters: none"]
        for parameter in info.parameters:
            lines += _parameter_lines(parameter)
        if info.ignored_keys:
            lines.append(f"  accepted without effect: {', '.join(info.ignored_keys)}")
        if info.paper:
            lines += ["", _paper_line(info)]
        return "\n".join(lines)

    __repr__ = __str__


class Methods(list[MethodDescription]):
    """A list that prints as one line per method."""

    def __repr__(self) -> str:
        return "\n".join(f"{one.name}: {one.summary}" for one in self)


def methods() -> Methods:
    """Every merge method: the engine's in its own order, then those written in Python that were imported or installed.

    Raises ImportError naming an installed package whose methods cannot be imported.
    """
    discover()
    return Methods(MethodDescription(info) for info in registry().values())


def describe(name: str) -> MethodDescription:
    """One merge method: formula, models, parameters with their presets, paper.

    Raises ValueError with a suggestion for an unknown name.
    """
    return MethodDescription(get_method(name))


def _count(info: MethodInfo) -> str:
    with_base = ", the base included" if info.base == "member" else ""
    if info.max_models == info.min_models:
        return f"exactly {info.min_models}{with_base}"
    if info.max_models is None:
        return f"{info.min_models} or more{with_base}"
    return f"{info.min_models} to {info.max_models}{with_base}"


def _parameter_lines(parameter: Parameter) -> list[str]:
    shared = "per model" if parameter.per_model else "one for all"
    default = "required" if parameter.required else f"default {_shown(parameter.default)}"
    # Only the presets that differ are worth a word.
    differs = [f"{name}: {_shown(parameter.presets[name])}" for name in PRESETS if name in parameter.presets]
    presets = f" ({'; '.join(differs)})" if differs else ""
    head = f"  {parameter.name}: {parameter.expected}; {shared}; {default}{presets}"
    return [head, *textwrap.wrap(parameter.doc, 110, initial_indent="      ", subsequent_indent="      ")]


def _paper_line(info: MethodInfo) -> str:
    paper = info.paper
    credit = ", ".join(str(paper[key]) for key in ("authors", "year") if paper.get(key))
    return "paper:  " + ". ".join(
        part for part in (str(paper.get("title", "")), credit, str(paper.get("url", ""))) if part
    )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)

"""Class names, in the order of the labels, and prompt templates of image datasets; one YAML file each, with sources."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from fusion_kernels.errors import listing, suggest

DEFAULT_TEMPLATES = ("a photo of a {}.",)


@dataclass(frozen=True)
class Classes:
    """`classnames[label]` describes a label; each template has one {} for it."""

    classnames: tuple[str, ...]
    templates: tuple[str, ...] = DEFAULT_TEMPLATES

    def __post_init__(self) -> None:
        for template in self.templates:
            if template.count("{}") != 1:
                raise ValueError(f"the template {template!r} needs one {{}}, where the class name goes")

    def prompts(self, classname: str) -> list[str]:
        """The templates filled with one name."""
        return [template.replace("{}", classname) for template in self.templates]


def known_datasets() -> list[str]:
    """The names `classes_of` knows."""
    return sorted(one.name[:-5] for one in files(__package__).iterdir() if one.name.endswith(".yaml"))


def canonical(dataset: str) -> str:
    """`tanganke/stanford_cars` and `stanford_cars` as `stanford-cars`."""
    return dataset.rsplit("/", 1)[-1].lower().replace("_", "-")


@functools.cache
def classes_of(dataset: str) -> Classes:
    """Class names and templates by the dataset's name or hub id. Raises KeyError for a dataset without a file here."""
    name = canonical(dataset)
    if name not in known_datasets():
        known = known_datasets()
        raise KeyError(f"no class names are known for {dataset!r}, only for {listing(known)}.{suggest(name, known)}")
    import yaml

    entry = yaml.load((files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    templates = classes_of(entry["templates_of"]).templates if "templates_of" in entry else entry["templates"]
    return Classes(tuple(entry["classnames"]), tuple(templates))


def classes_from(entry: Mapping[str, Any], labels: Iterable[str] | None) -> Classes:
    """Class names and templates a configuration gives: {classnames: [...], templates: [...]}.

    labels: the dataset's own label names, for an entry without classnames. Raises ValueError where there are none.
    """
    names = entry.get("classnames") or labels
    if names is None:
        raise ValueError("classnames are needed: the dataset has no label names of its own")
    return Classes(tuple(map(str, names)), tuple(entry.get("templates") or DEFAULT_TEMPLATES))

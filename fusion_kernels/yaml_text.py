"""Reads one YAML document strictly, keeping the line every key stands on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from fusion_kernels.errors import quoted

__all__ = ["Document", "read_yaml"]

# Aliases can make a few lines stand for billions of values; no recipe comes near this many.
_MOST_VALUES = 200_000


@dataclass(frozen=True)
class Document:
    """Plain data with where it came from; ``lines`` maps a key path (``models[1].parameters.weight``) to its line."""

    data: Any
    name: str = "recipe"
    lines: Mapping[str, int] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """How an error names a key: ``recipe.yml, line 7, models[1].parameters.weight``."""
        line = self.lines.get(path)
        return ", ".join(part for part in (self.name, f"line {line}" if line else "", path) if part)


def read_yaml(text: str, *, name: str = "recipe") -> Document:
    """Parse ``text``; ``name`` is what errors call it.

    Stricter than YAML where a slip would pass unseen: duplicate keys, several documents, keys that are not text.
    ``1e-3`` is a number, as in YAML 1.2. Raises ValueError naming the line.
    """
    import yaml

    loader = None
    try:
        loader = _loader()(text)
        node = loader.get_single_node()
        if node is None:
            raise ValueError(f"{name} is empty")
        lines: dict[str, int] = {}
        _survey(node, "", name, lines, [])
        data = loader.construct_document(node)
    except yaml.composer.ComposerError as error:
        if "single document" in str(error.context):
            raise NotImplementedError(
                f"{name}: several YAML documents in one file (a multi-stage merge) are not available yet; "
                "give one document per file"
            ) from None
        raise ValueError(_explained(error, name)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ValueError(f"{name}, line {line}: unprintable character #x{ord(text[error.position]):04x}") from None
    except yaml.MarkedYAMLError as error:
        raise ValueError(_explained(error, name)) from None
    finally:
        if loader is not None:
            loader.dispose()
    return Document(data, name, lines)


@lru_cache(maxsize=1)
def _loader() -> type[Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader that knows YAML 1.2's exponents without a point."""

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
    )
    return Loader


def _survey(node: Any, path: str, name: str, lines: dict[str, int], inside: list[Any]) -> None:
    """Note the line of every key below ``node``; raise for duplicates and for nodes that contain themselves."""
    import yaml

    if any(node is outer for outer in inside):
        raise ValueError(f"{name}, line {node.start_mark.line + 1}: {path or 'the document'} contains itself")
    if len(lines) > _MOST_VALUES:
        raise ValueError(f"{name}: more than {_MOST_VALUES} values; this is no recipe")
    lines.setdefault(path, node.start_mark.line + 1)
    inside.append(node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _survey(item, f"{path}[{index}]", name, lines, inside)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"{name}, line {line}: a key must be text, got a list or mapping")
            if key.tag == "tag:yaml.org,2002:merge":  # "<<": its keys are spread into this mapping, which wins
                _survey(value, path, name, lines, inside)
                continue
            if key.value in seen:
                raise ValueError(
                    f"{name}, line {line}: {quoted(key.value)} is given twice in {path or 'the document'} "
                    f"(first on line {seen[key.value]}); keep one"
                )
            seen[key.value] = line
            inner = f"{path}.{key.value}" if path else key.value
            lines[inner] = line
            _survey(value, inner, name, lines, inside)
    inside.pop()


def _explained(error: Any, name: str) -> str:
    """A YAML syntax error as one line, with what usually causes it."""
    mark = error.problem_mark or error.context_mark
    problem = " ".join(str(error.problem or error.context or "invalid YAML").split())
    hint = ""
    if "'\\t'" in problem:
        problem, hint = "a tab where YAML wants spaces", "; indent with spaces"
    elif "mapping values are not allowed" in problem:
        hint = "; is an earlier line missing its ':' or its quotes, or indented differently?"
    elif "expected <block end>" in problem:
        hint = "; check the indentation of this line and the ones before"
    return f"{name}, line {mark.line + 1}, column {mark.column + 1}: {problem}{hint}" if mark else f"{name}: {problem}"

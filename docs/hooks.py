"""Fills the documentation from the package itself, so that it cannot say something else."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTES = ROOT / "docs" / "method_notes"
MARKER = re.compile(r"^<!-- generated: (\w+)(?: ([^ ]+))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return MARKER.sub(lambda match: globals()[f"generate_{match[1]}"](*filter(None, [match[2]])), markdown)


def generate_methods() -> str:
    import fusion_kernels

    return "\n\n".join(_method(method.as_dict(), method.bibtex) for method in fusion_kernels.methods())


def generate_help(command: str = "") -> str:
    words = [sys.executable, "-m", "fusion_kernels.cli", *command.split("+"), "--help"]
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    shown = subprocess.run(
        [word for word in words if word], capture_output=True, text=True, check=True, env=environment
    )
    return f"```text\n{shown.stdout.rstrip()}\n```"


def generate_api(path: str) -> str:
    import fusion_kernels

    module, _, name = path.rpartition(".")
    thing = getattr(importlib.import_module(f"fusion_kernels.{module}") if module else fusion_kernels, name)
    if not inspect.isclass(thing):
        return f"## {path}\n\n{_function(name, thing)}"
    # The fields as they are declared, with the comments beside them.
    fields = re.findall(
        r"^    (\w+: .*)$", inspect.getsource(thing).split('"""', 2)[-1].partition("    def ")[0], re.MULTILINE
    )
    parts = [f"## {path}", _prose(inspect.getdoc(thing) or ""), "```python\n" + "\n".join(fields) + "\n```"]
    for member, value in vars(thing).items():
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if member.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        parts.append(f"### {name}.{member}")
        parts.append(
            _prose(inspect.getdoc(function) or "") if isinstance(value, property) else _function(member, function)
        )
    return "\n\n".join(parts)


def generate_file(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _method(method: dict[str, Any], bibtex: str) -> str:
    count = str(method["min_models"])
    if method["max_models"] != method["min_models"]:
        count += " or more" if method["max_models"] is None else f" to {method['max_models']}"
    base = {"ignored": "not used", "member": "one of the models, and the first"}.get(method["base"], method["base"])
    lines = [
        f"## {method['name']}",
        method["summary"],
        f"```text\n{method['formula']}\n```",
        f"Models: {count}. Base: {base}.",
    ]
    if method["parameters"]:
        rows = ["| parameter | values | default | paper | fusionbench | meaning |", "|---|---|---|---|---|---|"]
        lines.append("\n".join(rows + [_parameter(parameter) for parameter in method["parameters"]]))
    if method["ignored_keys"]:
        keys = ", ".join(f"`{key}`" for key in method["ignored_keys"])
        lines.append(f"Accepted without effect, with a note: {keys}.")
    if method["kind"] != "matrix":  # of the engine: what a declaration has no room for
        lines.append((NOTES / f"{method['name']}.md").read_text(encoding="utf-8").rstrip())
    paper = method["paper"]
    if paper:
        lines.append(f"Paper: [{paper['title']}]({paper['url']}), {paper['authors']}, {paper['year']}.")
        lines.append(f"```bibtex\n{bibtex}\n```")
    return "\n\n".join(lines)


def _parameter(parameter: dict[str, Any]) -> str:
    if parameter["type"] == "choice":
        values = " or ".join(f"`{choice}`" for choice in parameter["choices"])
    elif parameter["type"] == "boolean":
        values = "true or false"
    else:
        bounds = (parameter["minimum"], parameter["maximum"])
        values = "whole number" if parameter["type"] == "integer" else "number"
        values += "" if bounds == (None, None) else f", {_shown(bounds[0])} to {_shown(bounds[1])}"
    values += ", per model" if parameter["per_model"] else ""
    default = "required" if parameter["required"] else f"`{_shown(parameter['default'])}`"
    presets = [
        f"`{_shown(parameter['presets'][preset])}`" if preset in parameter["presets"] else default
        for preset in ("paper", "fusionbench")
    ]
    cells = [f"`{parameter['name']}`", values, default, *presets, parameter["doc"]]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: Any) -> str:
    if value is None:
        return "any"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _function(name: str, function: Any) -> str:
    return f"```python\n{name}{_arguments(function)}\n```\n\n{_prose(inspect.getdoc(function) or '')}"


def _arguments(function: Any) -> str:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    node.args.args = [argument for argument in node.args.args if argument.arg not in ("self", "cls")]
    for default in [*node.args.defaults, *node.args.kw_defaults]:
        if isinstance(default, ast.Name):  # a constant of the module: its value says more
            value = function.__globals__[default.id]
            default.id = repr(str(value)) if isinstance(value, str) else str(int(value))
    pieces = re.split(r", (?![^\[(]*[\])])", ast.unparse(node.args))
    pieces = [re.sub(r"^(\w+: [^=]+)=", r"\1 = ", piece) for piece in pieces if piece]
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    text = ", ".join(pieces)
    if len(text) < 90:
        return f"({text}){returned}"
    return "(\n" + "".join(f"    {piece},\n" for piece in pieces) + f"){returned}"


def _prose(text: str) -> str:
    """A docstring as Markdown: `name: what` at a paragraph's start, or after another, becomes a list item."""
    lines: list[str] = []
    in_list = False
    for line in re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).splitlines():
        item = re.fullmatch(r"(\w+(?:, \w+)*): (\S.*)", line)
        starts = not lines or not lines[-1]
        in_list = (bool(item) and (starts or in_list)) or (in_list and bool(line))
        lines.append(f"- `{item[1]}`: {item[2]}" if item and in_list else line)
    return "\n".join(lines)

"""Fills the documentation from the package itself, so that it cannot say something else."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MARKER = re.compile(r"^<!-- generated: (\w+)(?: ([^ ]+))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return MARKER.sub(lambda match: globals()[f"generate_{match[1]}"](*filter(None, [match[2]])), markdown)


def generate_methods() -> str:
    import fusion_kernels

    return "\n\n".join(_method(method.as_dict()) for method in fusion_kernels.methods())


def generate_help(command: str = "") -> str:
    words = [sys.executable, "-m", "fusion_kernels.cli", *command.split("+"), "--help"]
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    shown = subprocess.run(
        [word for word in words if word], capture_output=True, text=True, check=True, env=environment
    )
    return f"```text\n{shown.stdout.rstrip()}\n```"


def generate_api(name: str) -> str:
    import fusion_kernels

    thing = getattr(fusion_kernels, name)
    parts = [f"## {name}", f"```python\n{_signature(name, thing)}\n```", _prose(inspect.getdoc(thing) or "")]
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if not member.startswith("_") and inspect.isfunction(function) and function.__doc__:
                call = member if isinstance(value, property) else f"{member}{_arguments(function, method=True)}"
                parts.append(f"**`{call}`**\n\n{_prose(inspect.getdoc(function) or '')}")
    return "\n\n".join(parts)


def generate_file(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _method(method: dict[str, Any]) -> str:
    count = str(method["min_models"])
    if method["max_models"] != method["min_models"]:
        count += " or more" if method["max_models"] is None else f" to {method['max_models']}"
    base = {"required": "required", "ignored": "not used", "member": "one of the models, and the first"}[method["base"]]
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
    paper = method["paper"]
    if paper:
        lines.append(f"Paper: [{paper['title']}]({paper['url']}), {paper['authors']}, {paper['year']}.")
    return "\n\n".join(lines)


def _parameter(parameter: dict[str, Any]) -> str:
    if parameter["type"] == "choice":
        values = " or ".join(f"`{choice}`" for choice in parameter["choices"])
    elif parameter["type"] == "boolean":
        values = "true or false"
    else:
        bounds = (parameter["minimum"], parameter["maximum"])
        values = "number" if bounds == (None, None) else f"number, {_shown(bounds[0])} to {_shown(bounds[1])}"
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


def _signature(name: str, thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return f"class {name}({thing.__bases__[0].__name__})"
    if inspect.isclass(thing):
        return f"class {name}"
    return f"{name}{_arguments(thing)}"


def _arguments(function: Any, *, method: bool = False) -> str:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    node.args.args = node.args.args[1 if method else 0 :]
    text = ast.unparse(node.args)
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if len(text) < 90:
        return f"({text}){returned}"
    pieces = re.split(r", (?![^\[(]*[\])])", text)
    return "(\n" + "".join(f"    {piece},\n" for piece in pieces) + f"){returned}"


def _prose(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)  # roles of another documentation tool
    return re.sub(r"^(\w+(?:, \w+)*): (?=\S)", r"- `\1`: ", text, flags=re.MULTILINE)

"""What `fusion-stack --help` prints: usage, groups, keys; with a group's name, all its configurations."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

from fusion_kernels.errors import suggest
from fusion_stack.cli.arguments import config_folders, config_name
from fusion_stack.cli.configs import SHIPPED, ConfigFile, find

GROUPS = {
    "method": "how models are merged",
    "modelpool": "which models, and their datasets",
    "taskpool": "what the result is evaluated on",
    "model": "single models, for use in modelpools",
    "dataset": "single datasets, for use in modelpools and taskpools",
    "path": "where results, data and caches lie",
    "fabric": "devices and precision of the evaluation",
}
_USAGE = """\
fusion-stack: merge the models of a modelpool by a method, evaluate the result on a taskpool.

usage: fusion-stack [OPTION ...] [GROUP=NAME ...] [KEY=VALUE ...]

examples:
  fusion-stack method=ties_merging method.scaling_factor=0.5 modelpool=models \\
      modelpool.models="{_pretrained_: ./base, math: ./math, code: ./code}"
  fusion-stack method=task_arithmetic modelpool=CLIPVisionModelPool/clip-vit-base-patch32_TA8 \\
      taskpool=CLIPVisionModelTaskPool/clip-vit-classification_TA8
  fusion-stack --multirun method=task_arithmetic method.scaling_factor=0.1,0.2,0.3 modelpool=...
  fusion-stack method=dummy modelpool=... taskpool=...        evaluate the base as it is
  fusion-stack --help method                                  every method, one line each"""
_OPTIONS = """\
options:
  -m, --multirun              run every combination of comma-separated values, each in a folder of its own
  --cfg job                   print the composed configuration and stop; --resolve fills in ${...}
  -cd, --config-dir FOLDER    look here for configurations, too: FOLDER/method/mine.yaml is method=mine
  -cn, --config-name NAME     another root configuration
  -sc, --shell-completion     eval "$(fusion-stack -sc install=bash)" completes groups, names and keys
  --info, --hydra-help        more about the composition
Afterwards: fusion-stack-table RUN ... compares runs."""


def help_text(arguments: Sequence[str]) -> str:
    """The text for this command line; a bare word among the arguments asks for one group. Never fails."""
    files = find(config_folders(arguments))
    groups = dict.fromkeys([*GROUPS, *(one.group for one in files if one.group)])
    folders = config_folders(arguments)
    asked = [one for one in arguments if one and not one.startswith("-") and "=" not in one and one not in folders]
    if asked and asked[-1] in groups:
        return _group(asked[-1], files)
    unknown = f"no group {asked[-1]!r}.{suggest(asked[-1], groups)}\n\n" if asked else ""
    lines = [f"  {group + '=':12}{_line(group, files)}" for group in groups]
    root = config_name(arguments, "fabric_model_fusion")
    shown = next((one for one in files if not one.group and one.name == root), None)
    keys = _keys(shown) if shown is not None else []
    parts = [_USAGE, "groups:\n" + "\n".join(lines), "keys:\n" + "\n".join(keys), _OPTIONS]
    return unknown + "\n\n".join(parts)


def _line(group: str, files: Sequence[ConfigFile]) -> str:
    names = [one.name for one in files if one.group == group and not one.name.rpartition("/")[2].startswith("_")]
    text = f"{GROUPS.get(group, 'your own')}; {len(names)}: {', '.join(names)}"
    return textwrap.shorten(text, max(60, _width() - 14), placeholder=" ...")


def _group(group: str, files: Sequence[ConfigFile]) -> str:
    members = sorted((one for one in files if one.group == group), key=lambda one: one.name)
    longest = min(48, max((len(one.name) for one in members), default=0))
    lines = [f"  {one.name:{longest}}  {one.summary}".rstrip() for one in members]
    return f"{group}=NAME: {GROUPS.get(group, 'your own')}\n\n" + "\n".join(lines)


def _keys(root: ConfigFile) -> list[str]:
    """The root's own keys, each with the comment beside it."""
    text = (root.path if root.path.read_text().count("#") > 3 else SHIPPED / "fabric_model_fusion.yaml").read_text()
    found = []
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        if "#" in rest and key.isidentifier():
            value, _, comment = rest.partition("#")
            found.append(f"  {key + '=' + value.strip():52}  {comment.strip()}")
    return found


def _width() -> int:
    return shutil.get_terminal_size((120, 24)).columns

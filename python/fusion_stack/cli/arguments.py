"""Reads the command line before Hydra does: keys that are the user's to name, and keys that have no meaning here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from fusion_stack.hardware import KEYS, refusal

_OPEN = re.compile(r"(method|modelpool|taskpool)\.[^=]+=")
_FABRIC = re.compile(r"[+~]*fabric([./])([^.=@]+)")
_FABRIC_GROUP = re.compile(r"[+~]*fabric=(.*)")


def prepared(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra takes them. Raises ValueError naming a key of `fabric` that is not taken.

    What a method or pool does not have is its own to say, with a suggestion: Hydra would only ask for a "+".
    """
    for argument in arguments:
        if (key := _FABRIC.match(argument)) and (key[1] == "/" or key[2] not in KEYS):
            raise ValueError(refusal(key[2], key[1]))
        if (group := _FABRIC_GROUP.match(argument)) and group[1] != "auto":
            raise ValueError(refusal(group[1], "="))
    return ["++" + one if _OPEN.match(one) else one for one in arguments]


def config_folders(arguments: Sequence[str]) -> list[str]:
    """The user's own configuration folders, as given by --config-dir and --config-path."""
    names = ("--config-dir", "-cd", "--config-path", "-cp")
    return _values(arguments, names)


def config_name(arguments: Sequence[str], default: str) -> str:
    """The root configuration, as given by --config-name."""
    names = ("--config-name", "-cn")
    return [default, *_values(arguments, names)][-1]


def _values(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """Of an option, written `--name value` or `--name=value`."""
    apart = [after for option, after in pairwise(arguments) if option in names]
    return apart + [one.split("=", 1)[1] for one in arguments if one.split("=", 1)[0] in names and "=" in one]

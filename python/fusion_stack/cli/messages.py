"""Says what went wrong in the user's words: the name, what there is instead, the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fusion_kernels.errors import listing, suggest
from fusion_stack.cli.arguments import config_folders
from fusion_stack.cli.configs import find
from fusion_stack.cli.help import GROUPS

_KNOWN = (ValueError, OSError, KeyError, TypeError, NotImplementedError, ImportError, MemoryError)


def needs_traceback(error: BaseException) -> bool:
    """Whether the error is nobody's message to a user; of Hydra's and of the usual classes, the text is enough."""
    return not isinstance(error, _KNOWN) and not type(error).__module__.startswith(("hydra", "omegaconf", "antlr4"))


def message(error: BaseException, arguments: Sequence[str]) -> str:
    """One or a few lines for the terminal."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    missing = getattr(error, "missing_cfg_file", None)
    if missing is not None:
        return _missing(str(missing), arguments)
    if (key := re.match(r"Could not override '([^']+)'", text)) is not None:
        name = key[1]
        roots = [one.split("=", 1)[0].lstrip("+~") for one in _root_keys()]
        hint = suggest(name, [*GROUPS, *roots])
        return f"no key or group {name!r}.{hint} `fusion-stack --help` lists them; +{name}=... adds it"
    return text or type(error).__name__


def _missing(config: str, arguments: Sequence[str]) -> str:
    files = find(config_folders(arguments))
    group, _, name = config.removesuffix(".yaml").partition("/")
    if not name:
        group, name = "", group
    known = [one.name for one in files if one.group == group]
    where = f"group {group}" if group else "the root configurations (--config-name)"
    hint = suggest(name, known)
    rest = f" It has {listing(known, limit=8)}." if not hint and known else ""
    more = f" `fusion-stack --help {group}` lists all." if group else ""
    return f"no configuration {name!r} in {where}.{hint}{rest}{more}"


def _root_keys() -> list[str]:
    text = next(one.path for one in find() if one.name == "fabric_model_fusion").read_text()
    return [line.split(":", 1)[0] for line in text.splitlines() if ":" in line and not line.startswith((" ", "#"))]

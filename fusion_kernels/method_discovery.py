"""Finds merge methods written in Python: in installed packages, in files."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from fusion_kernels.method_info import registry

__all__ = ["ENTRY_POINTS", "discover", "load_file"]

ENTRY_POINTS = "fusion_kernels.methods"
_discovered = False


def discover() -> None:
    """Import what installed packages name under the entry point group "fusion_kernels.methods", once.

    Raises ImportError naming the package whose methods cannot be imported.
    """
    global _discovered
    if _discovered:
        return
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist is not None else "?"
            raise ImportError(
                f"the merge methods of package {package!r} cannot be imported (entry point {entry.name} = "
                f"{entry.value}): {type(error).__name__}: {error}; repair or uninstall the package"
            ) from error
    _discovered = True


def load_file(path: str | os.PathLike[str]) -> list[str]:
    """Run a Python file that registers merge methods and return their names.

    What lies beside the file can be imported by it, after everything that is installed.

    Raises FileNotFoundError where there is none, ImportError or ValueError naming file and line where it fails or
    registers nothing.
    """
    from importlib.util import module_from_spec, spec_from_file_location

    file = Path(path).absolute()
    if file.suffix != ".py":
        raise ValueError(f"{os.fspath(path)}: a Python file (.py) that registers merge methods is expected")
    if not file.is_file():
        raise FileNotFoundError(f"no file at {os.fspath(path)}")
    before = registry()
    # A name of its own: the file may be called like a module that is installed.
    spec = spec_from_file_location(f"loaded_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        kind = ImportError if isinstance(error, ImportError) else ValueError
        what = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise kind(f"{os.fspath(path)}{_line(error, file)}: {what}") from error
    found = [name for name, method in registry().items() if before.get(name) is not method]
    if not found:
        raise ValueError(
            f"{os.fspath(path)} registers no merge method: put @fusion_kernels.merge_method(...) above one"
        )
    return found


def _line(error: Exception, file: Path) -> str:
    """Where in the file it went wrong, as ":12"."""
    if isinstance(error, SyntaxError):
        return ""  # its text says so
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f":{lines[-1]}" if lines else ""

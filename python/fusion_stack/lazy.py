"""Loads a package's public names when they are first used, so that importing it stays cheap."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from fusion_kernels.errors import suggest


def load(package: str, homes: Mapping[str, str], name: str) -> Any:
    """What `package.name` is; `homes` says in which module of the package it lives. Raises AttributeError."""
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}.{suggest(name, homes)}")
    value = getattr(import_module(f"{package}.{homes[name]}"), name)
    setattr(sys.modules[package], name, value)
    return value


def is_module(value: object) -> bool:
    """Whether the value is a torch.nn.Module; nobody has one without having imported torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)

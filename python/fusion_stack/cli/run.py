"""Runs what Hydra has composed."""

from __future__ import annotations

from typing import Any

from fusion_stack.serialization import instantiate

_NOT_THE_PROGRAMS = ("print_config", "dry_run", "print_function_call")


def run_composed(config: Any) -> Any:
    """Builds the program of a composed configuration and runs it; returns what it reports."""
    if config.print_config:
        from omegaconf import OmegaConf
        from rich import print as rich_print
        from rich.syntax import Syntax

        rich_print(Syntax(OmegaConf.to_yaml(config), "yaml", background_color="default"))
    if config.dry_run:
        return None
    return instantiate({key: config[key] for key in config if key not in _NOT_THE_PROGRAMS}).run()

"""The command `fusion-stack`."""

from __future__ import annotations

import os
import sys

CONFIG = "pkg://fusion_stack.config"
ROOT = "fabric_model_fusion"


def main() -> None:
    """Composes the configuration from the command line and runs the program it names."""
    import hydra

    @hydra.main(version_base="1.3", config_path=CONFIG, config_name=ROOT)
    def run(config: object) -> object:
        from fusion_stack.cli.run import run_composed

        return run_composed(config)

    sys.argv[1:] = [_named_freely(argument) for argument in sys.argv[1:]]
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a user's own classes, next to where the command is typed
    run()


def _named_freely(argument: str) -> str:
    """`modelpool.models.NAME=PATH` as Hydra wants it where the configuration has no model of that name yet."""
    return "++" + argument if argument.startswith("modelpool.models") else argument

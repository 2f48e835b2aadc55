"""Runs what Hydra has composed."""

from __future__ import annotations

import inspect
import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fusion_stack.programs.context import RunContext
from fusion_stack.serialization import instantiate

log = logging.getLogger(__name__)
_THE_COMMANDS = ("print_config", "dry_run", "print_function_call")


def reported(config: Any, *, raising: bool) -> tuple[int, Any]:
    """Runs a composed configuration; returns exit status and report, and logs what went wrong.

    The status is 1 for an error, whose traceback is kept in the run's folder, and 2 where tasks failed.
    raising: let errors through instead.
    """
    from hydra.core.hydra_config import HydraConfig

    from fusion_stack.cli.messages import message, needs_traceback

    config.path.log_dir = HydraConfig.get().runtime.output_dir  # in a sweep, each job's own
    try:
        report = run_composed(config)
    except Exception as error:
        if raising or needs_traceback(error):
            raise
        details = Path(config.path.log_dir) / "error.txt"
        details.write_text(traceback.format_exc())
        log.error("error: %s\n(details in %s)", message(error, ()), details)
        return 1, None
    failed = list(failed_tasks(report))
    if failed:
        log.error("error: %d of the tasks failed: %s", len(failed), ", ".join(failed))
    return 2 if failed else 0, report


def run_composed(config: Any) -> Any:
    """Builds the program of a composed configuration and runs it; returns what its taskpool reports.

    `dry_run` stops before the merge and says what it would take. Raises what the program raises.
    """
    if config.get("print_config", False):
        _show(config)
    program = instantiate(_arguments(config))
    program.context = RunContext.of_hydra(config)
    if config.get("dry_run", False):
        print(program.plan())
        return None
    return program.run()


def _arguments(config: Any) -> dict[str, Any]:
    """The program's part of a configuration.

    A key that it does not take belongs to those who refer to it, as `+corruption=motion_blur` to datasets.
    """
    from hydra.utils import get_object
    from omegaconf import OmegaConf

    text, taken = OmegaConf.to_yaml(config), inspect.signature(get_object(config._target_)).parameters
    referred = {key for key in config if key not in taken and f"${{{key}}}" in text}
    if referred:
        config = config.copy()
        OmegaConf.resolve(config)  # before they are taken away
    return {key: config[key] for key in config if key not in _THE_COMMANDS and key not in referred}


def failed_tasks(report: Any) -> Iterator[str]:
    """Names of the tasks that report an error instead of metrics."""
    if isinstance(report, dict):
        for name, value in report.items():
            if isinstance(value, dict) and "error" in value:
                yield str(name)
            else:
                yield from failed_tasks(value)
    elif isinstance(report, list):
        for one in report:
            yield from failed_tasks(one)


def _show(config: Any) -> None:
    from omegaconf import OmegaConf

    text = OmegaConf.to_yaml(config)
    if sys.stdout.isatty():
        from rich import print as rich_print
        from rich.syntax import Syntax

        rich_print(Syntax(text, "yaml", background_color="default"))
    else:
        print(text)

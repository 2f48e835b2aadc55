"""The command `fusion-stack`: from the command line to a run, and from what goes wrong to a message."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from fusion_stack.cli.arguments import prepared

CONFIG = "pkg://fusion_stack.config"
ROOT = "fabric_model_fusion"


def main() -> None:
    """Composes the configuration, runs the program it names, and exits: 0, 1 for an error, 2 for failed tasks.

    With HYDRA_FULL_ERROR=1 an error keeps its traceback.
    """
    given = sys.argv[1:]
    if any(argument in ("--help", "-h") for argument in given):
        from fusion_stack.cli.help import help_text

        print(help_text(given))
        return
    full = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a user's own classes, next to where the command is typed
    try:
        status = _run(prepared(given), full=full)
    except Exception as error:
        from fusion_stack.cli.messages import message, needs_traceback

        if full or needs_traceback(error):
            raise
        print(f"error: {message(error, given)}", file=sys.stderr)
        sys.exit(1)
    if status:
        sys.exit(status)


def _run(arguments: list[str], *, full: bool) -> int:
    """Runs Hydra; returns the gravest exit status of all jobs: one that fails does not keep others from running."""
    import hydra

    statuses, folders = [0], []

    @hydra.main(version_base="1.3", config_path=CONFIG, config_name=ROOT)
    def run(config: Any) -> Any:
        from fusion_stack.cli.run import reported

        status, report = reported(config, raising=full)
        statuses.append(status)
        folders.append(Path(config.path.log_dir))
        return report

    sys.argv[1:] = arguments
    before = os.environ.get("HYDRA_FULL_ERROR", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would print errors and exit; `message` says them better
    try:
        run()
    finally:
        os.environ["HYDRA_FULL_ERROR"] = before
    if len(folders) > 1:
        from fusion_stack.report.sweep import tabulated

        print(tabulated(folders), end="")
    return 1 if 1 in statuses else max(statuses)

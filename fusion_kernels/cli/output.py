"""Prints results for people or as JSON, errors as one line with an exit code."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import typer

from fusion_kernels.cli.arguments import UsageError
from fusion_kernels.limits import format_bytes

if TYPE_CHECKING:
    from fusion_kernels.planning import Plan
    from fusion_kernels.report import MergeReport

FAILED, NOT_UNDERSTOOD = 1, 2
# Errors whose text was written for the user. DeviceError is another; its class would load the engine.
READABLE = (ValueError, NotImplementedError, OSError, ImportError)


def print_error(error: BaseException, *, json: bool) -> int:
    """Say what went wrong on one line, or as JSON, and give the exit code."""
    text = message(error)
    if json:
        print_json({"error": {"type": _kind(error), "message": text}})
    elif text:
        print(f"error: {text}", file=sys.stderr)
    return NOT_UNDERSTOOD if isinstance(error, UsageError) else FAILED


def message(error: BaseException) -> str:
    """What happened, on one line."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "stopped; nothing was published"
    if isinstance(error, UsageError):
        text = str(cast(Any, error).format_message())
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, READABLE) or _kind(error) == "DeviceError":
        text = str(error)
    elif isinstance(error, MemoryError):
        text = f"out of memory: {error}" if str(error) else "out of memory"
    else:
        text = f"{type(error).__name__}: {error} (a defect in fusion_kernels; --traceback shows where)"
    return " ".join(text.split())


def _kind(error: BaseException) -> str:
    return "UsageError" if isinstance(error, UsageError) else type(error).__name__


def print_json(value: Any) -> None:
    print(json_module.dumps(value, indent=2, default=str))


def print_report(report: MergeReport, *, json: bool) -> None:
    if json:
        print_json(report.as_dict())
        return
    rows = [
        ("files", str(len(report.files))),
        ("tensors", str(report.tensors)),
        ("bytes", f"{format_bytes(report.bytes_read)} read, {format_bytes(report.bytes_written)} written"),
        ("seconds", f"{report.seconds:.2f}"),
        ("speed", f"{report.gb_per_second:.2f} GB/s"),
    ]
    print(f"merged by {report.method} (preset {report.preset}) into {report.output}")
    print_rows(rows + [("note", note) for note in report.notes])


def print_plan(planned: Plan, *, json: bool) -> None:
    if json:
        print_json(planned.as_dict())
    else:
        print(planned)


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Names and values as two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")

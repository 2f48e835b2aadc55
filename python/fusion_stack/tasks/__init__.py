"""What the taskpools evaluate on: class names and prompts, data formats, corruptions, metrics of single tasks."""

from __future__ import annotations


class TaskError(ValueError):
    """One task cannot be evaluated, for a reason that lies in its data; the others of a taskpool can."""

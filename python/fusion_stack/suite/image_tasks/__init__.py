"""The image tasks, one file each, in the order of their columns."""

from __future__ import annotations

from fusion_stack.suite.image_tasks import digits, emoji, fashion_mnist, mnist5k, scripts

_FILES = (fashion_mnist, mnist5k, digits, emoji, scripts)
IMAGE_TASKS = {file.TASK.name: file.TASK for file in _FILES}

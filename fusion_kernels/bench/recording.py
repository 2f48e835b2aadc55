"""Keeps results: one JSON file for each method or operation and kind of device, written as soon as there is a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fusion_kernels._native import native
from fusion_kernels.bench.machine import facts
from fusion_kernels.bench.settings import Point
from fusion_kernels.bench.subjects import Laboratory
from fusion_kernels.hardware import devices

__all__ = ["Recorder", "results_in"]


class Recorder:
    """Puts rows into files, of which `files` gets the paths; the first row of a file in this run begins it anew."""

    def __init__(self, laboratory: Laboratory, files: list[Path]) -> None:
        self._laboratory = laboratory
        self._machine = facts()
        self._files = files
        self._rows: dict[Path, list[dict[str, Any]]] = {}

    def record(self, point: Point, row: dict[str, Any]) -> None:
        settings = self._laboratory.settings
        settings.out.mkdir(parents=True, exist_ok=True)
        path = settings.out / f"kernels-{self._kind()}-{_file_name(point.entry)}.json"
        rows = self._rows.setdefault(path, [])
        rows.append(row)
        if path not in self._files:
            self._files.append(path)
        copies = {
            str(threads): {"way": copy.name, "gigabytes_per_second": {k: v / 1e9 for k, v in copy.candidates.items()}}
            for threads, copy in self._laboratory.copies.items()
        }
        result = {
            "benchmark": "kernels",
            "method": point.entry,
            "quick": settings.quick,
            "device": self._device(),
            "machine": self._machine,
            "cache_bytes": self._laboratory.cache_bytes,
            "copy": copies,
            "rows": rows,
        }
        path.write_text(json.dumps(result, indent=1) + "\n")

    def _kind(self) -> str:
        """Processors of different instruction sets have results of their own."""
        kind = self._laboratory.settings.kind
        return str(native().instruction_sets()[-1]) if kind == "cpu" else kind

    def _device(self) -> dict[str, Any]:
        settings = self._laboratory.settings
        wanted = settings.device if ":" in settings.device or settings.kind == "cpu" else f"{settings.device}:0"
        (found,) = (device for device in devices() if device.name == wanted)
        return {"kind": settings.kind, "name": found.model, "memory_bytes": found.memory}


def results_in(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder; a file has one, or several in a list."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        found += content if isinstance(content, list) else [content]
    return found


def _file_name(entry: str) -> str:
    return entry.replace(", ", "-").replace(" ", "-")

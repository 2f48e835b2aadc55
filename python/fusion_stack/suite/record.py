"""What is kept of one seed of one profile: everything needed to judge or repeat it, as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion_stack.suite.family import family_of
from fusion_stack.suite.items import Prepared
from fusion_stack.suite.settings import CommonSettings, Profile

FORMAT = "fusion-stack-suite 1"


def as_record(
    profile: Profile,
    settings: CommonSettings,
    prepared: Sequence[Prepared],
    rows: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, float],
    machine: Mapping[str, Any],
    *,
    training_cost: float,
) -> dict[str, Any]:
    """The record. Hits are packed as `results.packed` says.

    seconds: wall time of each step in this run. training_cost: CPU-seconds of the fine-tunes, whenever they were made.
    """
    family = family_of(profile.family)
    return {
        "format": FORMAT,
        "profile": profile.name,
        "family": family.name,
        "base": {"package": family.package, "model_sha256": family.weights_sha256},
        "settings": settings.as_dict() | {"joint_steps": profile.joint_steps},
        "machine": dict(machine),
        "cpu_seconds": {"train": round(training_cost, 1), "run": round(sum(row["cpu_seconds"] for row in rows), 1)},
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "tasks": [
            {
                "name": each.task.name,
                "title": each.task.title,
                "origin": each.task.origin,
                "terms": each.task.terms,
                "permissive": each.task.permissive,
                "classes": len(each.task.classes),
                "train_items": len(each.split.train),
                "validation_items": len(each.split.validation),
                "test_items": len(each.split.test),
                "majority_class": round(each.split.majority(), 2),
                "data_key": each.data_key,
            }
            for each in prepared
        ],
        "rows": list(rows),
    }


def write(record: Mapping[str, Any], folder: Path) -> Path:
    """Writes PROFILE-seedN.json into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['profile']}-seed{record['settings']['seed']}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> dict[str, Any]:
    """A record written by `write`. Raises ValueError for a file that is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a result of fusion-stack-suite: {error}") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{path} is not a result of fusion-stack-suite; `fusion-stack-suite run` writes them")
    return record


def machine(workers: int, *, bf16: bool) -> dict[str, Any]:
    """What the numbers were made on."""
    import torch
    import transformers

    import fusion_kernels

    return {
        "processor": processor_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "worker_processes": workers,
        "precision": "bf16 autocast" if bf16 else "fp32",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "fusion_kernels": fusion_kernels.__version__,
    }


def processor_name() -> str:
    """The processor's own name for itself, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"

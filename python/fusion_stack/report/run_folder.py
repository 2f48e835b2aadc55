"""Writes what a run leaves in its folder: report.json for machines, report.md and a chart for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_stack.report.metrics import accuracies, shown

JSON, MARKDOWN, CHART, ITEMS = "report.json", "report.md", "report.png", "items.npz"


def write(folder: Path, report: Mapping[str, Any], items: Mapping[str, Any]) -> None:
    """`report`: as ModelFusionProgram makes it. `items`: {task: booleans, whether each item was answered right}."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON).write_text(json.dumps(report, indent=2, default=str) + "\n")
    (folder / MARKDOWN).write_text(_markdown(report))
    if items:
        import numpy

        numpy.savez_compressed(folder / ITEMS, **items)
    scores = accuracies(report["metrics"])
    if len(scores) > 1:
        from fusion_stack.report.charts import bar_chart

        bar_chart({report["method"]["name"]: scores}, folder / CHART)


def _markdown(report: Mapping[str, Any]) -> str:
    method, cost = report["method"], report["cost"]
    lines = [f"# {method['name']} on {report['modelpool']['name']}", ""]
    metrics = report["metrics"]
    if isinstance(metrics, Mapping):
        columns = list(dict.fromkeys(key for one in metrics.values() if isinstance(one, Mapping) for key in one))
        lines += ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for task, values in metrics.items():
            if isinstance(values, Mapping):
                lines.append(f"| {task} | " + " | ".join(shown(values.get(key)) for key in columns) + " |")
    lines += ["", f"Models: {', '.join(report['modelpool']['models'])}. Seed: {report['seed']}.", ""]
    lines += [f"- {key}: {value}" for key, value in method["config"].items()]
    peak = cost["peak_memory_bytes"] / 2**20
    lines += ["", f"{cost['seconds']:.2f} s, {cost['cpu_seconds']:.2f} s of processor time, {peak:.0f} MiB at most. "]
    lines[-1] += ", ".join(f"{name} {version}" for name, version in report["versions"].items()) + "."
    if report["merged_model"]:
        lines += ["", f"Merged model: {report['merged_model']}"]
    return "\n".join(lines) + "\n"

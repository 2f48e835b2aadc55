"""The results as files: JSON for programs, Markdown for people, a PNG for slides."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from examples.demo.chart import save_chart
from examples.demo.fetch import BASE_FILES, MINILM
from examples.demo.merges import MERGES
from examples.demo.results import Row, as_json
from examples.demo.settings import Settings
from examples.demo.table import findings, markdown_table
from examples.demo.tasks import Prepared


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


def as_record(
    rows: Sequence[Row],
    prepared: Sequence[Prepared],
    settings: Settings,
    seconds: Mapping[str, float],
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything needed to judge or repeat the run, as JSON writes it."""
    parameters = {merge.name: {"method": merge.method, **merge.parameters} for merge in MERGES}
    return {
        "base": {"package": MINILM.requirement, "model_sha256": BASE_FILES["model.safetensors"]},
        "settings": settings.as_dict(),
        "machine": dict(machine),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "tasks": [
            {
                "name": each.task.name,
                "title": each.task.title,
                "origin": each.task.origin,
                "terms": each.task.terms,
                "classes": len(each.task.classes),
                "train_items": len(each.split.train),
                "test_items": len(each.split.test),
                "majority_class": round(each.split.majority(), 2),
                "data_key": each.data_key,
            }
            for each in prepared
        ],
        "methods": [as_json(row) | ({"merge": parameters[row.name]} if row.kind == "merge" else {}) for row in rows],
        "findings": findings(rows, settings.test_items),
    }


def as_markdown(record: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """One page: the table, what it shows, what it was made from and on."""
    titles = {task["name"]: task["title"] for task in record["tasks"]}
    seconds, settings = record["seconds"], record["settings"]
    lines = [
        f"# {len(titles)} fine-tunes of all-MiniLM-L6-v2, merged",
        "",
        "Test accuracy in %. Mean: over the tasks, ± one standard error. Norm.: the mean over the tasks of a model's "
        "accuracy divided by that of the task's own fine-tune. Merge s: seconds of one merge, from disk to disk.",
        "",
        markdown_table(rows, titles),
        "",
        "![The same table as bars](results.png)",
        "",
        *(f"- {finding}" for finding in record["findings"]),
        "",
        "## How",
        "",
        f"Base: all-MiniLM-L6-v2 from `{record['base']['package']}`, sha256 of the weights "
        f"`{record['base']['model_sha256']}`. Only `encoder.layer.*` is fine-tuned: {settings['steps']} steps of "
        f"{settings['batch_size']} texts, at most {settings['max_tokens']} tokens each, AdamW at "
        f"{settings['learning_rate']:g}. Heads are the base's embeddings of the class descriptions and stay frozen. "
        "Training and test items are disjoint, near-duplicates removed. Nothing was tuned on the test items.",
        "",
        "| task | classes | items (train / test) | from | terms | data key |",
        "|---|---:|---:|---|---|---|",
        *(
            f"| {task['title']} | {task['classes']} | {task['train_items']} / {task['test_items']} | {task['origin']} "
            f"| {task['terms']} | `{task['data_key']}` |"
            for task in record["tasks"]
        ),
        "",
        f"Seconds: {', '.join(f'{name} {value:g}' for name, value in seconds.items())}.",
        f"Machine: {', '.join(f'{name} {value}' for name, value in record['machine'].items())}.",
    ]
    return "\n".join(lines) + "\n"


def write(record: Mapping[str, Any], rows: Sequence[Row], output: Path) -> list[Path]:
    """Writes results.json, results.md and results.png into `output`."""
    output.mkdir(parents=True, exist_ok=True)
    paths = [output / f"results.{kind}" for kind in ("json", "md", "png")]
    paths[0].write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    paths[1].write_text(as_markdown(record, rows), encoding="utf-8")
    titles = {task["name"]: task["title"] for task in record["tasks"]}
    settings = record["settings"]
    save_chart(
        rows,
        titles,
        paths[2],
        footnote=f"all-MiniLM-L6-v2, seed {settings['seed']}, {settings['test_items']} test items per task; whiskers: "
        "one standard error. Dotted line: zero-shot base. Dashed line: individual fine-tunes.",
    )
    return paths

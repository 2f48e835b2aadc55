"""From the records of one or several seeds to the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fusion_stack.suite.statistics import accuracy, error_over_seeds, mean, paired_standard_error, standard_error

Hits = Mapping[str, Sequence[bool]]  # task name: one entry per test item


@dataclass(frozen=True)
class Row:
    """One line of the table. Accuracies are in %, of `tasks` in the table's order, means over the seeds.

    standard_error: of `average`, in points: over the seeds where there are several, else over the test items.
    """

    name: str
    label: str
    setting: str
    kind: str  # "reference" | "merge"
    accuracies: Mapping[str, float]
    average: float
    standard_error: float | None = None
    normalized: float | None = None  # mean over tasks of accuracy / accuracy of that task's own fine-tune, in %
    merge_seconds: float | None = None
    coefficients: tuple[float, ...] = ()  # the tuned coefficient, one a seed
    gain: float | None = None  # average minus the row "average", points
    gain_error: float | None = None  # its standard error, points

    @property
    def full_setting(self) -> str:
        """The setting with the coefficients that were chosen."""
        chosen = ", ".join(f"{value:g}" for value in sorted(set(self.coefficients)))
        return f"{self.setting}: {chosen}" if chosen else self.setting

    @property
    def title(self) -> str:
        return f"{self.label} ({self.full_setting})" if self.full_setting else self.label


def packed(hits: Sequence[bool]) -> str:
    """Hits as text: their number, then their bits in hexadecimal, the first item highest."""
    return f"{len(hits)}:{int('0' + ''.join(str(int(hit)) for hit in hits), 2):x}"


def unpacked(text: str) -> list[bool]:
    """The opposite of `packed`."""
    count, _, bits = text.partition(":")
    return [digit == "1" for digit in f"{int(bits, 16):0{count}b}"] if int(count) else []


def summarized(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows of records that differ in their seed alone, from the plainest to the best reference.

    Majority class, zero-shot, the merges by their average, joint training, individual fine-tunes. Raises ValueError for
    records whose tasks differ; a row that a record lacks is left out.
    """
    tasks = [task["name"] for task in records[0]["tasks"]]
    if any([task["name"] for task in record["tasks"]] != tasks for record in records):
        raise ValueError("these results are of different tasks; a table needs the same ones in each")
    majority = {
        task: mean([record["tasks"][number]["majority_class"] for record in records])
        for number, task in enumerate(tasks)
    }
    rows = [Row("majority", "majority class", "", "reference", majority, mean(list(majority.values())))]
    every = [{each["name"]: each for each in record["rows"]} for record in records]
    for name in every[0]:
        if all(name in each for each in every):
            rows.append(_summarized([each[name] for each in every], every, tasks))
    place = {"majority": 0, "zero_shot": 1, "joint": 3, "individual": 4}
    return sorted(rows, key=lambda row: (place.get(row.name, 2), row.average))


def _summarized(
    seeds: Sequence[Mapping[str, Any]], every: Sequence[Mapping[str, Mapping[str, Any]]], tasks: Sequence[str]
) -> Row:
    first = seeds[0]
    hits = [_hits(each, tasks) for each in seeds]
    averages = [mean([accuracy(one) for one in each]) for each in hits]
    accuracies = {task: mean([accuracy(each[number]) for each in hits]) for number, task in enumerate(tasks)}
    own = [_hits(each["individual"], tasks) for each in every]
    shares = [
        100 * accuracy(one) / accuracy(best)
        for each, best_each in zip(hits, own, strict=True)
        for one, best in zip(each, best_each, strict=True)
        if any(best)
    ]
    gain = error = None
    if first["kind"] == "merge" and first["name"] != "average" and all("average" in each for each in every):
        plain = [_hits(each["average"], tasks) for each in every]
        gains = [mine - mean([accuracy(one) for one in other]) for mine, other in zip(averages, plain, strict=True)]
        gain = mean(gains)
        error = error_over_seeds(gains) or paired_standard_error(hits[0], plain[0])
    return Row(
        name=first["name"],
        label=first["label"],
        setting=first["setting"],
        kind=first["kind"],
        accuracies=accuracies,
        average=mean(averages),
        standard_error=error_over_seeds(averages) if len(seeds) > 1 else standard_error(hits[0]),
        normalized=mean(shares) if shares else None,
        merge_seconds=mean([each["merge_seconds"] for each in seeds]) if "merge_seconds" in first else None,
        coefficients=tuple(each["coefficient"]["value"] for each in seeds) if "coefficient" in first else (),
        gain=gain,
        gain_error=error,
    )


def _hits(row: Mapping[str, Any], tasks: Sequence[str]) -> list[list[bool]]:
    return [unpacked(row["hits"][task]) for task in tasks]


def best_merge(rows: Sequence[Row]) -> Row:
    """The merge with the highest average."""
    return max((row for row in rows if row.kind == "merge"), key=lambda row: row.average)


def row_of(rows: Sequence[Row], name: str) -> Row:
    """The row of that name. Raises KeyError."""
    for row in rows:
        if row.name == name:
            return row
    raise KeyError(name)

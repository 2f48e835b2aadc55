"""From hits on test items to the numbers in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from examples.demo.evaluate import accuracy, paired_standard_error, standard_error

Hits = Mapping[str, Sequence[bool]]  # task name: one entry per test item


@dataclass(frozen=True)
class Row:
    """One line of the table. Accuracies are in %, of `tasks` in the table's order."""

    name: str
    label: str
    setting: str
    kind: str  # "reference" | "merge"
    accuracies: Mapping[str, float]
    average: float
    standard_error: float | None = None  # points
    normalized: float | None = None  # mean over tasks of accuracy / accuracy of that task's own fine-tune, in %
    merge_seconds: float | None = None
    gain: float | None = None  # average minus the row "average", points
    gain_error: float | None = None  # its standard error on the same items, points

    @property
    def title(self) -> str:
        return f"{self.label} ({self.setting})" if self.setting else self.label


def build_rows(
    *,
    majority: Mapping[str, float],
    zero_shot: Hits,
    individual: Hits,
    merged: Sequence[tuple[str, str, str, float, Hits]],
) -> list[Row]:
    """Rows from the plainest to the best reference: majority class, zero-shot, the merges as given, individual.

    `merged` holds (name, label, setting, seconds, hits); the one named "average" is what gains are measured from.
    """
    own = {task: accuracy(hits) for task, hits in individual.items()}
    plain = next((hits for name, _, _, _, hits in merged if name == "average"), None)

    def row(name: str, label: str, setting: str, kind: str, hits: Hits, seconds: float | None = None) -> Row:
        accuracies = {task: accuracy(hits[task]) for task in own}
        gain = error = None
        if kind == "merge" and plain is not None and name != "average":
            gain = _mean(list(accuracies.values())) - _mean([accuracy(plain[task]) for task in own])
            error = paired_standard_error([hits[task] for task in own], [plain[task] for task in own])
        return Row(
            name=name,
            label=label,
            setting=setting,
            kind=kind,
            accuracies=accuracies,
            average=_mean(list(accuracies.values())),
            standard_error=standard_error([hits[task] for task in own]),
            normalized=_mean([100 * accuracies[task] / own[task] for task in own]) if all(own.values()) else None,
            merge_seconds=seconds,
            gain=gain,
            gain_error=error,
        )

    guess = Row("majority", "majority class", "", "reference", dict(majority), _mean(list(majority.values())))
    return [
        guess,
        row("zero_shot", "zero-shot base", "", "reference", zero_shot),
        *(row(name, label, setting, "merge", hits, seconds) for name, label, setting, seconds, hits in merged),
        row("individual", "individual fine-tunes", "one model per task", "reference", individual),
    ]


def best_merge(rows: Sequence[Row]) -> Row:
    """The merge with the highest average."""
    return max((row for row in rows if row.kind == "merge"), key=lambda row: row.average)


def row_of(rows: Sequence[Row], name: str) -> Row:
    """The row of that name. Raises KeyError."""
    for row in rows:
        if row.name == name:
            return row
    raise KeyError(name)


def as_json(row: Row) -> dict[str, Any]:
    """A row as JSON writes it, numbers rounded to what they are worth."""

    def rounded(value: float | None, digits: int = 2) -> float | None:
        return None if value is None else round(value, digits)

    return {
        "name": row.name,
        "label": row.label,
        "setting": row.setting,
        "kind": row.kind,
        "accuracy": {task: round(value, 2) for task, value in row.accuracies.items()},
        "average": rounded(row.average),
        "standard_error": rounded(row.standard_error),
        "normalized_average": rounded(row.normalized),
        "merge_seconds": rounded(row.merge_seconds, 3),
        "gain_over_average": rounded(row.gain),
        "gain_standard_error": rounded(row.gain_error),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

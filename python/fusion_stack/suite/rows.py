"""The merges the suite compares, each with every setting written out as the command `fusion-stack` takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fusion_kernels.errors import listing, quoted, suggest

if TYPE_CHECKING:
    from fusion_stack.method.base import BaseAlgorithm

# Word embeddings are the same in all models. A threshold over the whole model is taken over the layers alone, so that
# a density is a share of what was trained.
LAYERS_ALONE = "++method.merge_backbone=true"


@dataclass(frozen=True)
class MergeRow:
    """One row of the table.

    overrides: of the command `fusion-stack`: the method and its parameters.
    coefficient: the key that is tuned, e.g. "method.scaling_factor"; candidates: the values it may take. The one with
        the best validation average is used.
    """

    name: str
    label: str
    setting: str
    overrides: tuple[str, ...]
    coefficient: str | None = None
    candidates: tuple[float, ...] = ()

    def choices(self) -> list[tuple[float | None, tuple[str, ...]]]:
        """(coefficient, overrides) of every variant there is to try; one with None where nothing is tuned."""
        if self.coefficient is None:
            return [(None, self.overrides)]
        return [(value, (*self.overrides, f"{self.coefficient}={value}")) for value in self.candidates]


def _ties(merge_func: str) -> tuple[str, ...]:
    return ("method=ties_merging", "method.threshold=20", f"method.merge_func={merge_func}", LAYERS_ALONE)


_SCALING = "method.scaling_factor"
_DARE = ("method.sparsity_ratio=0.9",)

ROWS = (
    MergeRow("average", "average", "equal weights", ("method=simple_average",)),
    MergeRow("median", "median", "", ("method=median",)),
    MergeRow("multislerp", "multislerp", "equal weights", ("method=slerp/multislerp",)),
    MergeRow("karcher", "Karcher mean", "", ("method=karcher",)),
    MergeRow("model_stock", "Model Stock", "", ("method=model_stock/model_stock",)),
    MergeRow("ties_sum_0.3", "TIES", "density 0.2, sum, λ 0.3", (*_ties("sum"), f"{_SCALING}=0.3")),
    MergeRow(
        "breadcrumbs_0.3",
        "Breadcrumbs",
        "density 0.85, γ 0.01, λ 0.3",
        ("method=breadcrumbs", "method.density=0.85", "method.gamma=0.01", "method.lambda=0.3"),
    ),
    MergeRow("dare_0.3", "DARE", "drop 0.9, λ 0.3", ("method=dare/task_arithmetic", *_DARE, f"{_SCALING}=0.3")),
    MergeRow("task_arithmetic_0.3", "task arithmetic", "λ 0.3", ("method=task_arithmetic", f"{_SCALING}=0.3")),
    MergeRow("ties_mean_1.0", "TIES", "density 0.2, mean, λ 1.0", (*_ties("mean"), f"{_SCALING}=1.0")),
    MergeRow(
        "task_arithmetic_tuned",
        "task arithmetic",
        "λ tuned",
        ("method=task_arithmetic",),
        _SCALING,
        (0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
    ),
    MergeRow(
        "ties_mean_tuned", "TIES", "density 0.2, mean, λ tuned", _ties("mean"), _SCALING, (0.6, 1.0, 1.5, 2.0, 2.5)
    ),
)
NAMED = {row.name: row for row in ROWS}


# Every tensor of these models is trained, so a threshold is taken over all of them.
IMAGE_ROWS = tuple(replace(row, overrides=tuple(one for one in row.overrides if one != LAYERS_ALONE)) for row in ROWS)


def rows_of(names: Sequence[str] | None, rows: Sequence[MergeRow] = ROWS) -> list[MergeRow]:
    """Those of the rows that have these names, all of them for None.

    "method=NAME method.KEY=VALUE" makes a row of its own. Raises ValueError for anything else.
    """
    if names is None:
        return list(rows)
    named = {row.name: row for row in rows}
    return [named[name] if name in named else _own_row(name, named) for name in names]


def _own_row(text: str, named: Mapping[str, MergeRow]) -> MergeRow:
    first, *others = text.split()
    if not first.startswith("method="):
        raise ValueError(
            f"no row is called {quoted(text)}; there are {listing(named)}, and "
            f'"method=NAME method.KEY=VALUE" makes one.{suggest(text, named)}'
        )
    return MergeRow(
        text.replace("/", "-").replace(" ", "_"), first.removeprefix("method="), " ".join(others), (first, *others)
    )


def method_of(overrides: Sequence[str]) -> BaseAlgorithm:
    """The method that `fusion-stack OVERRIDES` runs. Raises ValueError where there is none of that name."""
    from hydra import compose, initialize_config_module
    from hydra.errors import HydraException

    from fusion_stack.cli import ROOT
    from fusion_stack.serialization import instantiate

    try:
        with initialize_config_module("fusion_stack.config", version_base="1.3"):
            config: Mapping[str, Any] = compose(ROOT, ["modelpool=models", "taskpool=dummy", *overrides])
    except HydraException as error:
        raise ValueError(f"{' '.join(overrides)}: {error}") from error
    made: BaseAlgorithm = instantiate(config["method"])
    return made

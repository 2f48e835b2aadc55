"""The suite's merges do what their rows say, on three tiny models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.suite.rows import NAMED, ROWS, method_of, rows_of

torch = pytest.importorskip("torch")

LAYER = "encoder.layer.0.weight"

# Density 0.2 keeps one of the layer's five elements: 8 of the first, 10 of the second. What is not in a layer is equal.
EXPECTED = {
    "average": [6, 1, 2, 2, 0],
    "median": [6, 1, 2, 2, 0],
    "task_arithmetic_0.3": [3.6, 0.6, 1.2, 1.2, 0],
    "ties_sum_0.3": [2.4, 0, 3.0, 0, 0],
    "ties_mean_1.0": [8, 0, 10, 0, 0],
}


@pytest.fixture
def pool(tmp_path: Path) -> BaseModelPool:
    from safetensors.torch import save_file

    values = {"_pretrained_": [0, 0, 0, 0, 0], "first": [8, 1, -6, 2, 0], "second": [4, 1, 10, 2, 0]}
    for name, layer in values.items():
        (tmp_path / name).mkdir()
        tensors = {LAYER: torch.tensor([layer], dtype=torch.float32), "embeddings.weight": torch.ones(20, 5)}
        save_file(tensors, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text("{}")
    return BaseModelPool({name: str(tmp_path / name) for name in values})


def merged(overrides: tuple[str, ...], pool: BaseModelPool) -> dict[str, Any]:
    from safetensors.torch import load_file

    checkpoint = method_of(overrides).run(pool)
    files = [load_file(file) for file in checkpoint.path.glob("*.safetensors")]
    return {name: tensor for file in files for name, tensor in file.items()}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_row_of_the_table_is_the_merge_it_names(name: str, pool: BaseModelPool):
    tensors = merged(NAMED[name].overrides, pool)
    assert torch.allclose(
        tensors[LAYER], torch.tensor([EXPECTED[name]], dtype=torch.float32), atol=1e-6, rtol=0
    )  # roundings in fp32
    assert torch.allclose(tensors["embeddings.weight"], torch.ones(20, 5), atol=1e-6, rtol=0)


@pytest.mark.parametrize("row", [row for row in ROWS if row.name not in EXPECTED], ids=lambda row: row.name)
def test_every_other_row_merges_with_the_first_coefficient_it_tries(row: Any, pool: BaseModelPool):
    value, overrides = row.choices()[0]
    assert (value is None) == (row.coefficient is None)
    assert set(merged(overrides, pool)) == {LAYER, "embeddings.weight"}


def test_rows_are_chosen_by_name_or_made_of_overrides():
    assert rows_of(None) == list(ROWS)
    assert [row.name for row in rows_of(["ties_mean_1.0", "average"])] == ["ties_mean_1.0", "average"]
    (own,) = rows_of(["method=slerp/slerp method.t=0.2"])
    assert (own.label, own.setting, own.overrides) == (
        "slerp/slerp",
        "method.t=0.2",
        ("method=slerp/slerp", "method.t=0.2"),
    )
    with pytest.raises(ValueError, match=r"no row is called 'averag'.*average"):
        rows_of(["averag"])


def test_a_method_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no_such_method"):
        method_of(["method=no_such_method"])

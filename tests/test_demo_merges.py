"""The demo's merges do what their rows say, on three tiny models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from examples.demo.merges import MERGES, Merge, run

BASE = np.zeros((1, 5), np.float32)
FIRST = np.array([[8, 1, -6, 2, 0]], np.float32)
SECOND = np.array([[4, 1, 10, 2, 0]], np.float32)

# Density 0.2 keeps one of five: 8 of the first, 10 of the second.
EXPECTED = {
    "average": [6, 1, 2, 2, 0],
    "task_arithmetic_0.3": [3.6, 0.6, 1.2, 1.2, 0],
    "task_arithmetic_0.6": [7.2, 1.2, 2.4, 2.4, 0],
    "ties_sum_0.3": [2.4, 0, 3.0, 0, 0],
    "ties_mean_1.0": [8, 0, 10, 0, 0],
}


@pytest.mark.parametrize("merge", MERGES, ids=lambda merge: merge.name)
def test_a_row_of_the_table_is_the_merge_it_names(merge: Merge, tmp_path: Path):
    for name, weight in {"base": BASE, "first": FIRST, "second": SECOND}.items():
        (tmp_path / name).mkdir()
        save_file({"weight": weight}, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text("{}")
    models = {name: tmp_path / name for name in ("first", "second")}
    for _ in range(2):  # a second run of the demo writes over the first
        done = run(merge, tmp_path / "base", models, tmp_path / "merged")
    assert done.folder == tmp_path / "merged" / merge.name
    assert done.seconds > 0
    merged = load_file(done.folder / "model.safetensors")["weight"]
    np.testing.assert_array_almost_equal_nulp(merged, np.array([EXPECTED[merge.name]], np.float32), nulp=2)

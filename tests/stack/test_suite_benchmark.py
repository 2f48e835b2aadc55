"""What merging a real model must show, gaps that no seed closes; and a page that says what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fusion_stack.suite import page, record
from fusion_stack.suite.results import Row, best_merge, row_of, summarized
from fusion_stack.suite.session import INCOMPLETE

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks" / "results" / "suite").glob("*.json"))


def assert_wide_gaps(records: Sequence[Mapping[str, Any]]) -> None:
    """Whether TIES beats task arithmetic and the like is not asserted: it depends on their settings."""
    rows = summarized(records)
    if page.family_name(records) == "image":
        return assert_image_gaps(rows)
    zero_shot, individual = row_of(rows, "zero_shot").average, row_of(rows, "individual").average
    assert row_of(rows, "average").average > zero_shot + 5
    assert row_of(rows, "task_arithmetic_0.3").average > zero_shot + 8
    assert best_merge(rows).average < individual + 1


def assert_image_gaps(rows: Sequence[Row]) -> None:
    """Narrower than of texts: class means of the base are a stronger start than words."""
    zero_shot, individual = row_of(rows, "zero_shot").average, row_of(rows, "individual").average
    assert row_of(rows, "average").average > zero_shot + 2
    assert row_of(rows, "task_arithmetic_0.3").average > zero_shot + 2
    assert best_merge(rows).average < individual + 1
    assert individual > zero_shot + 8


@pytest.mark.suite
def test_a_real_run_of_the_small_profile_shows_the_gaps(tmp_path: Path):
    from typer.testing import CliRunner

    from fusion_stack.suite import cli

    done = CliRunner().invoke(cli.app, ["run", "--profile", "ci", "--output", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code in (0, INCOMPLETE), done.output
    print(done.output)
    assert_wide_gaps([record.read(tmp_path / "ci-seed0.json")])


@pytest.mark.parametrize("profile", page.by_profile([record.read(path) for path in RESULTS]))
def test_the_results_that_are_published_show_the_gaps(profile: str):
    assert_wide_gaps(page.by_profile([record.read(path) for path in RESULTS])[profile])


def test_the_page_is_generated_from_the_results():
    assert (ROOT / "docs" / "benchmark.md").read_text() == page.page([record.read(path) for path in RESULTS]), (
        "fusion-stack-suite table benchmarks/results/suite/*.json --output docs/benchmark.md"
    )

"""The suite's processes: results in order, progress, and an end at once when one of them fails."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fusion_stack.suite.workers import Workers, progress_of


def square(index: int, number: int) -> int:
    progress_of(index)(number)
    return number * number


def fail_or_go_on(index: int, folder: Path, fails: bool) -> None:
    (folder / f"started {index}").touch()
    if fails:
        while not (folder / "started 1").exists():
            time.sleep(0.01)
        raise ValueError("no such luck")
    while True:  # until the parent says stop
        progress_of(index)(1)
        time.sleep(0.01)


def test_results_come_in_order_with_their_progress():
    told: dict[int, int] = {}
    with Workers(2) as workers:
        assert workers.run([(square, (number,)) for number in (3, 1, 2)], told.__setitem__) == [9, 1, 4]
    assert told == {0: 3, 1: 1, 2: 2}


def test_a_failure_ends_the_jobs_that_would_never_end(tmp_path: Path):
    with pytest.raises(ValueError, match="no such luck"), Workers(2) as workers:
        workers.run([(fail_or_go_on, (tmp_path, True)), (fail_or_go_on, (tmp_path, False))], lambda job, amount: None)

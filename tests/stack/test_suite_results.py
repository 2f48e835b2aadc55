"""The suite's numbers, table, page and picture, from hits made up here."""

from __future__ import annotations

import io
import struct
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from fusion_stack.suite import page, record, report
from fusion_stack.suite.finetune import batches, learning_rate_factor
from fusion_stack.suite.items import Prepared
from fusion_stack.suite.jobs import record_of
from fusion_stack.suite.results import Row, best_merge, packed, row_of, summarized, unpacked
from fusion_stack.suite.settings import PROFILES, Settings
from fusion_stack.suite.splits import Split
from fusion_stack.suite.statistics import accuracy, error_over_seeds, paired_standard_error, standard_error
from fusion_stack.suite.table import findings, markdown_table, terminal_table
from fusion_stack.suite.tasks import TASKS

TITLES = {"reuters8": "Reuters-8", "election": "election tweets"}


def hits(right: int, of: int = 10) -> list[bool]:
    return [index < right for index in range(of)]


def made_up(seed: int = 0, better: int = 0) -> dict[str, Any]:
    """A record of one seed; `better` items more are right in the tuned row."""

    def row(
        name: str, label: str, kind: str, first: int, second: int, setting: str = "", **more: Any
    ) -> dict[str, Any]:
        both = {"reuters8": hits(first), "election": hits(second)}
        return record_of(name, label, setting, kind, both) | more

    merge = {"merge_seconds": 0.25, "command": "method=simple_average"}
    tuned = {"key": "method.scaling_factor", "value": 0.4, "validation": {"0.4": 70.0}}
    rows = [
        row("zero_shot", "zero-shot base", "reference", 4, 5),
        row("tuned", "task arithmetic", "merge", 7, 8 + better, "λ tuned", **merge, coefficient=tuned),
        row("average", "average", "merge", 5, 6, "equal weights", **merge),
        row("individual", "individual fine-tunes", "reference", 8, 10),
    ]
    majority = [("a", "x")] * 3 + [("b", str(number)) for number in range(7)]
    split = Split(train=majority[:2], validation=majority[:1], test=majority)
    prepared = [Prepared(TASKS[name], split) for name in TITLES]
    machine = {"processor": "a processor", "precision": "fp32"}
    settings = Settings(seed=seed, test_items=10)
    return record.as_record(PROFILES["ci"], settings, prepared, rows, {"train": 1.26}, machine, training_cost=9.5)


@pytest.fixture
def rows() -> list[Row]:
    return summarized([made_up()])


def test_hits_are_packed_without_loss():
    for some in ([], [False, False, True], [True] * 9, [False] * 5):
        assert unpacked(packed(some)) == some


def test_rows_stand_from_the_plainest_to_the_best_reference(rows: list[Row]):
    assert [row.name for row in rows] == ["majority", "zero_shot", "average", "tuned", "individual"]
    assert row_of(rows, "majority").accuracies == {"reuters8": 30, "election": 30}


def test_averages_and_normalised_averages_are_over_tasks(rows: list[Row]):
    row = row_of(rows, "tuned")
    assert row.accuracies == {"reuters8": 70, "election": 80}
    assert row.average == 75
    assert row.normalized == pytest.approx((100 * 7 / 8 + 100 * 8 / 10) / 2)
    assert row_of(rows, "individual").normalized == 100
    assert best_merge(rows) is row
    assert row.title == "task arithmetic (λ tuned: 0.4)"


def test_standard_errors_by_hand():
    assert accuracy(hits(5)) == 50
    assert standard_error([hits(5)]) == pytest.approx(100 * (0.5 * 0.5 / 10) ** 0.5)
    assert standard_error([hits(5), hits(10)]) == pytest.approx(standard_error([hits(5)]) / 2)
    # Differences of 1 on 2 of 10 items: variance 0.2 - 0.04, over 10 items.
    assert paired_standard_error([hits(7)], [hits(5)]) == pytest.approx(100 * (0.16 / 10) ** 0.5)
    assert paired_standard_error([hits(7)], [hits(7)]) == 0
    assert error_over_seeds([70, 74]) == pytest.approx(2)  # deviation 2.83 of one seed, over the root of two
    assert error_over_seeds([70]) is None


def test_several_seeds_are_averaged_and_their_spread_is_the_error():
    row = row_of(summarized([made_up(0), made_up(1, better=2)]), "tuned")
    assert row.accuracies == {"reuters8": 70, "election": 90}
    assert (row.average, row.standard_error) == (80, pytest.approx(5))
    assert (row.gain, row.gain_error) == (25, pytest.approx(5))
    other = made_up(1)
    other["tasks"] = other["tasks"][:1]
    with pytest.raises(ValueError, match="different tasks"):
        summarized([made_up(0), other])


def test_gains_are_measured_from_the_plain_average(rows: list[Row]):
    assert row_of(rows, "average").gain is None
    assert row_of(rows, "zero_shot").gain is None
    assert row_of(rows, "tuned").gain == 20


def test_the_markdown_table_has_every_method_with_its_setting(rows: list[Row]):
    lines = markdown_table(rows, TITLES).splitlines()
    assert lines[0] == "| method | Reuters-8 | election tweets | mean | norm. | merge s |"
    assert lines[2] == "| majority class | 30.0 | 30.0 | 30.0 | – | – |"
    assert lines[5].startswith("| task arithmetic (λ tuned: 0.4) | 70.0 | 80.0 | **75.0 ± ")
    assert lines[5].endswith(" | 83.8 | 0.25 |")
    assert len(lines) == 2 + 5


@pytest.mark.parametrize(("width", "tasks", "errors"), [(60, False, True), (80, True, True), (70, True, False)])
def test_the_terminal_table_fits_and_cuts_nothing(rows: list[Row], width: int, tasks: bool, errors: bool):
    from rich.console import Console

    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal_table(rows, TITLES if tasks else dict.fromkeys("abcdef", "long title"), width=width))
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "λ tuned: 0.4" in text
    assert ("Reuters-8" in text) == tasks
    assert ("75.0 ±" in text) == errors


def test_the_findings_state_seeds_items_and_errors(rows: list[Row]):
    first, second, last = findings(rows, 20, 1)
    assert "zero-shot 45.0 %" in first
    assert "task arithmetic (λ tuned: 0.4)" in first
    assert "leads the plain average by 20.0 ± 8.9 points" in second
    assert "One seed, 20 test items in 2 tasks" in last
    assert "over the 3 seeds" in findings(rows, 20, 3)[2]


def test_results_are_written_and_read_and_made_a_page_with_a_picture(tmp_path: Path):
    paths = [record.write(made_up(seed), tmp_path) for seed in (1, 0)]
    assert [path.name for path in paths] == ["ci-seed1.json", "ci-seed0.json"]
    records = [record.read(path) for path in paths]
    text, picture = report.write(records, tmp_path)
    content = text.read_text()
    assert markdown_table(summarized(records), TITLES) in content
    assert "## Profile `ci`: 2 tasks, seeds 0, 1" in content
    assert "| task arithmetic (λ tuned: 0.4) | `method=simple_average` |" in content
    assert "![The same table as bars](ci.png)" in content
    assert records[0]["base"]["model_sha256"] in content
    for each in (TASKS["reuters8"], TASKS["election"]):
        assert f"| {each.title} (`{each.name}`) |" in content
        assert each.terms in content
    assert "CPU-seconds train 9.5, run 0; wall seconds" in content
    assert "![" not in page.page(records)

    signature, width, height = picture.read_bytes()[:8], *struct.unpack(">II", picture.read_bytes()[16:24])
    assert signature == b"\x89PNG\r\n\x1a\n"
    assert width > height > 400


@pytest.mark.parametrize("content", [b"{}", b"not json", b"\xff\xfe", b'{"format": "another"}'])
def test_a_file_that_is_no_result_is_refused_by_name(tmp_path: Path, content: bytes):
    (tmp_path / "wrong.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"wrong\.json is not a result of fusion-stack-suite"):
        record.read(tmp_path / "wrong.json")


def test_batches_use_every_text_once_a_pass_and_are_the_same_every_time():
    tokens = [[1] * (index % 7 + 1) for index in range(64)]
    settings = Settings(batch_size=16)
    found = list(islice(batches(tokens, settings), 8))
    assert found == list(islice(batches(tokens, settings), 8))
    assert [len(batch) for batch in found] == [16] * 8
    assert sorted(index for batch in found[:4] for index in batch) == list(range(64))


def test_the_learning_rate_rises_then_falls():
    settings = Settings(steps=60)
    factors = [learning_rate_factor(step, settings) for step in range(60)]
    assert max(factors) == factors[5]
    assert factors[0] == pytest.approx(1 / 6)
    assert 0 < factors[-1] < 0.01

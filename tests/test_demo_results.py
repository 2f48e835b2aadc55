"""The demo's numbers, table, page, picture and options, from hits made up here."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import pytest

from examples.demo import report
from examples.demo.__main__ import parse
from examples.demo.evaluate import accuracy, paired_standard_error, standard_error
from examples.demo.finetune import batches, learning_rate_factor
from examples.demo.merges import MERGES
from examples.demo.results import Row, best_merge, build_rows, row_of
from examples.demo.settings import Settings
from examples.demo.splits import Split
from examples.demo.table import findings, markdown_table, terminal_table
from examples.demo.tasks import ELECTION, REUTERS8, Prepared

TITLES = {"reuters8": "Reuters-8", "election": "election tweets"}


def hits(right: int, of: int = 10) -> list[bool]:
    return [index < right for index in range(of)]


@pytest.fixture
def rows() -> list[Row]:
    def both(first: int, second: int) -> dict[str, list[bool]]:
        return {"reuters8": hits(first), "election": hits(second)}

    scores = [(5, 6), (6, 6), (7, 8), (4, 6), (7, 7)]
    return build_rows(
        majority={"reuters8": 30.0, "election": 50.0},
        zero_shot=both(4, 5),
        individual=both(8, 10),
        merged=[(m.name, m.label, m.setting, 0.25, both(*score)) for m, score in zip(MERGES, scores, strict=True)],
    )


def test_averages_and_normalised_averages_are_over_tasks(rows: list[Row]):
    row = row_of(rows, "task_arithmetic_0.6")
    assert row.accuracies == {"reuters8": 70, "election": 80}
    assert row.average == 75
    assert row.normalized == pytest.approx((100 * 7 / 8 + 100 * 8 / 10) / 2)
    assert row_of(rows, "individual").normalized == 100
    assert best_merge(rows) is row


def test_standard_errors_by_hand():
    assert accuracy(hits(5)) == 50
    assert standard_error([hits(5)]) == pytest.approx(100 * (0.5 * 0.5 / 10) ** 0.5)
    assert standard_error([hits(5), hits(10)]) == pytest.approx(standard_error([hits(5)]) / 2)
    # Differences of 1 on 2 of 10 items: variance 0.2 - 0.04, over 10 items.
    assert paired_standard_error([hits(7)], [hits(5)]) == pytest.approx(100 * (0.16 / 10) ** 0.5)
    assert paired_standard_error([hits(7)], [hits(7)]) == 0


def test_gains_are_measured_from_the_plain_average(rows: list[Row]):
    assert row_of(rows, "average").gain is None
    assert row_of(rows, "zero_shot").gain is None
    assert row_of(rows, "task_arithmetic_0.6").gain == 20


def test_the_markdown_table_has_every_method_with_its_setting(rows: list[Row]):
    lines = markdown_table(rows, TITLES).splitlines()
    assert lines[0] == "| method | Reuters-8 | election tweets | mean | norm. | merge s |"
    assert lines[2] == "| majority class | 30.0 | 50.0 | 40.0 | – | – |"
    assert lines[6].startswith("| task arithmetic (λ 0.6) | 70.0 | 80.0 | **75.0 ± ")
    assert lines[6].endswith(" | 83.8 | 0.25 |")
    assert len(lines) == 2 + len(MERGES) + 3
    for merge in MERGES:
        assert any(f"{merge.label} ({merge.setting})" in line for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_table_fits_and_cuts_nothing(rows: list[Row], width: int):
    from rich.console import Console

    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal_table(rows, TITLES, width=width))
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "density 0.2, mean, λ 1.0" in text
    assert ("75.0 ±" in text) == (width == 120)


def test_the_findings_state_seed_items_and_errors(rows: list[Row]):
    first, second, last = findings(rows, 10)
    assert "zero-shot 45.0 %" in first
    assert "task arithmetic (λ 0.6)" in first
    assert "leads the plain average by 20.0 ± 8.9 points" in second
    assert "One seed, 10 test items per task (20 in all)" in last


def test_results_are_written_as_json_markdown_and_png(rows: list[Row], tmp_path: Path):
    split = Split(train=[("a", "x")], test=[("b", "x")])
    prepared = [Prepared(REUTERS8, split), Prepared(ELECTION, split)]
    machine = {"processor": "a processor", "precision": "fp32"}
    record = report.as_record(rows, prepared, Settings(test_items=10), {"merge": 1.26, "total": 9.0}, machine)
    paths = report.write(record, rows, tmp_path / "out")
    assert [path.name for path in paths] == ["results.json", "results.md", "results.png"]

    read = json.loads(paths[0].read_text())
    ties = next(method for method in read["methods"] if method["name"] == "ties_mean_1.0")
    assert ties["merge"] == {"method": "ties", "weight": 1.0, "density": 0.2, "normalize": True, "lambda": 1.0}
    assert ties["accuracy"] == {"reuters8": 70.0, "election": 70.0}
    assert read["settings"]["seed"] == 0
    assert read["seconds"]["merge"] == 1.3

    page = paths[1].read_text()
    assert markdown_table(rows, TITLES) in page
    assert "![The same table as bars](results.png)" in page
    assert record["base"]["model_sha256"] in page

    signature, width, height = paths[2].read_bytes()[:8], *struct.unpack(">II", paths[2].read_bytes()[16:24])
    assert signature == b"\x89PNG\r\n\x1a\n"
    assert width > height > 400


def test_batches_use_every_text_once_a_pass_and_are_the_same_every_time():
    tokens = [[1] * (index % 7 + 1) for index in range(64)]
    settings = Settings(steps=8, batch_size=16)
    found = list(batches(tokens, settings))
    assert found == list(batches(tokens, settings))
    assert [len(batch) for batch in found] == [16] * 8
    assert sorted(index for batch in found[:4] for index in batch) == list(range(64))


def test_the_learning_rate_rises_then_falls():
    settings = Settings(steps=60)
    factors = [learning_rate_factor(step, settings) for step in range(60)]
    assert max(factors) == factors[5]
    assert factors[0] == pytest.approx(1 / 6)
    assert 0 < factors[-1] < 0.01


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tasks", "reuters8,elections"], "unknown task 'elections'"),
        (["--tasks", "reuters8"], "at least two different tasks"),
        (["--steps", "0"], "must be at least 1"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err

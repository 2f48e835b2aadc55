"""The image suite from its tasks to its table, with a tiny base and made-up tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from image_models import bars, tiny_network
from typer.testing import CliRunner

from fusion_stack.suite import cli, settings
from fusion_stack.suite.image.family import base_folder
from fusion_stack.suite.image.pixels import fingerprint
from fusion_stack.suite.image_tasks import IMAGE_TASKS
from fusion_stack.suite.results import row_of, summarized
from fusion_stack.suite.rows import IMAGE_ROWS, LAYERS_ALONE
from fusion_stack.suite.settings import ImageSettings, Profile
from fusion_stack.suite.task import Task

SIZES = ImageSettings(steps=30, learning_rate=3e-3, pixels=16, train_items=96, validation_items=20, test_items=40)
TINY = Profile("tiny-images", tasks=("rows", "columns"), settings=SIZES, family="image")


@pytest.fixture
def tiny_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSION_KERNELS_CACHE", str(tmp_path / "cache"))
    tiny_network(base_folder(tmp_path / "cache" / "suite"))
    monkeypatch.setitem(settings.PROFILES, TINY.name, TINY)
    for name, upright in (("rows", False), ("columns", True)):

        def read(cache: Path, upright: bool = upright) -> tuple[list[tuple[str, str]], None]:
            return bars(170, upright=upright), None

        classes = {"a": f"first of {name}", "b": f"second of {name}"}
        task = Task(name, name.title(), "here", "free", "{}", classes, read, fingerprint=fingerprint)
        monkeypatch.setitem(IMAGE_TASKS, name, task)
    return tmp_path


def suite(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, [*arguments], catch_exceptions=False)
    return done.exit_code, done.output


def test_a_run_trains_merges_through_the_engine_tests_and_leaves_a_table(tiny_suite: Path):
    out = tiny_suite / "results"
    rows = [f"--method={name}" for name in ("average", "task_arithmetic_tuned")]
    status, output = suite("run", "--profile", TINY.name, "--workers", "1", "--output", str(out), *rows)
    assert status == 0, output
    record = json.loads((out / "tiny-images-seed0.json").read_text())
    assert (record["family"], record["machine"]["precision"]) == ("image", "fp32")
    table = summarized([record])
    assert row_of(table, "individual").average > 90
    assert row_of(table, "zero_shot").label == "nearest class means in the base"
    assert row_of(table, "average").average > 60
    assert row_of(table, "task_arithmetic_tuned").coefficients
    page = (out / "tiny-images.md").read_text()
    assert "30 steps of 32 images a task" in page
    assert "## How it is done with images" in page
    status, output = suite("train", "--profile", TINY.name, "--workers", "1")
    assert (status, output.count("kept from an earlier run")) == (0, 2)


def test_the_two_families_do_not_mix(tiny_suite: Path):
    from fusion_stack.modelpool import FinetunedEncoderPool

    assert (
        "task 'reuters8' is not known; there are fashion_mnist"
        in suite("fetch", "--profile", "image5", "--tasks", "digits,reuters8")[1]
    )
    with pytest.raises(ValueError, match="profile 'image5' is not known; choose one of ci, full"):
        FinetunedEncoderPool("image5")


def test_thresholds_are_taken_over_all_that_was_trained():
    assert not any(LAYERS_ALONE in row.overrides for row in IMAGE_ROWS)
    assert len({row.name for row in IMAGE_ROWS}) == len(IMAGE_ROWS)

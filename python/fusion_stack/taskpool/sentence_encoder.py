"""Text classification by a sentence encoder against frozen class descriptions: the offline suite's tasks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fusion_kernels.errors import listing, quoted
from fusion_stack.serialization import auto_register_config
from fusion_stack.taskpool.base import BaseTaskPool

if TYPE_CHECKING:
    from fusion_stack.suite.encode import Encoded

log = logging.getLogger(__name__)

PARTS = ("validation", "test")


@auto_register_config
class SentenceEncoderTaskPool(BaseTaskPool):
    """The tasks of a profile of `fusion-stack-suite`, for models fine-tuned from its base.

    profile: "ci" or "full", which says how many items are drawn. tasks: names, None for all of the profile's.
    seed: of the draw, None for 0; models trained under a seed are tested under the same one, or they meet test items
        they were trained on. split: "test", or "validation" to choose coefficients on. batch_size: texts at a time.

    Data and the base's tokenizer come from the suite's cache and are fetched into it the first time.
    """

    takes_tasks: ClassVar[bool] = True
    profile: str
    tasks: Sequence[str] | None
    seed: int | None
    split: str
    batch_size: int

    def __init__(
        self,
        profile: str = "full",
        tasks: Sequence[str] | None = None,
        seed: int | None = None,
        split: str = "test",
        batch_size: int = 50,
        **kwargs: Any,
    ) -> None:
        """Raises ValueError for a profile, task or split that does not exist."""
        from fusion_stack.suite.settings import profile_of
        from fusion_stack.suite.tasks import known

        if split not in PARTS:
            raise ValueError(
                f"split {quoted(split)}: expected one of {listing(PARTS)}; training items are not tested on"
            )
        self._profile = profile_of(profile, family="text")
        self._names = known(list(self._profile.tasks if tasks is None else tasks))
        self._prepared: dict[str, Any] = {}
        self._items: dict[str, Encoded] = {}
        super().__init__(**kwargs)

    @property
    def task_names(self) -> list[str]:
        return list(self._names)

    def data_hashes(self) -> dict[str, str]:
        return {name: prepared.data_key for name, prepared in self._prepared.items()}

    def evaluate(self, model: Any, *args: Any, tasks: Sequence[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """`model`: a text encoder of transformers with the base's tokenizer. tasks: names, None for all of the pool's.

        Returns {task: {"accuracy": share of right answers, "items": how many}, "average": {"accuracy": mean}}; a task
        whose data cannot be had is {task: {"error": message}} while the others go on.
        """
        from rich.console import Console
        from rich.progress import Progress

        from fusion_stack.suite.cache import cache_folder
        from fusion_stack.suite.encoder import encoder_pool
        from fusion_stack.suite.evaluate import evaluate
        from fusion_stack.suite.fetch import fetch_base

        names = self._names if tasks is None else [name for name in self._names if name in tasks]
        report: dict[str, Any] = self._load(names)
        items = {name: self._first_batch(self._items[name]) for name in names if name in self._items}
        model = model.to(self.hardware.torch_device, self.hardware.weights_dtype).eval()
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("texts", total=sum(len(one.tokens) for one in items.values()))
            hits = evaluate(
                encoder_pool(fetch_base(cache_folder())),
                model,
                items,
                autocast=self.hardware.autocast,
                batch_size=self.batch_size,
                progress=lambda count: progress.advance(bar, count),
            )
        for name, correct in hits.items():
            self.keep_items(name, correct)
            report[name] = {"accuracy": sum(correct) / len(correct), "items": len(correct)}
        if hits:
            report["average"] = {"accuracy": sum(report[name]["accuracy"] for name in hits) / len(hits)}
        return {name: report[name] for name in (*names, "average") if name in report}

    def _load(self, names: Sequence[str]) -> dict[str, Any]:
        """Draws and encodes the items of tasks not met before; returns an error for each that cannot be had."""
        from fusion_stack.suite.cache import cache_folder
        from fusion_stack.suite.encode import encode
        from fusion_stack.suite.fetch import UnavailableError, fetch_base
        from fusion_stack.suite.items import prepare
        from fusion_stack.suite.settings import Settings
        from fusion_stack.suite.tasks import TASKS

        cache, settings = cache_folder(), self._profile.with_seed(self.seed or 0)
        errors, new = {}, {}
        for name in names:
            if name not in self._prepared:
                try:
                    new[name] = prepare(TASKS[name], cache, settings)
                except UnavailableError as error:
                    errors[name] = {"error": str(error)}
                    log.warning("no data for %s: %s", name, error)
        if new:
            assert isinstance(settings, Settings)  # the profile is of texts
            encoded = encode(list(new.values()), fetch_base(cache), settings, [self.split])
            self._items |= {name: parts[self.split] for name, parts in encoded.items()}
            self._prepared |= new
        return errors

    def _first_batch(self, items: Encoded) -> Encoded:
        if not self.fast_dev_run:
            return items
        from fusion_stack.suite.encode import Encoded

        return Encoded(items.tokens[: self.batch_size], items.classes[: self.batch_size], items.head)

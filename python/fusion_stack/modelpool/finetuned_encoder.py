"""The fine-tunes that `fusion-stack-suite` has made of one sentence encoder, by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fusion_stack.modelpool.sentence_encoder import SentenceEncoderPool


class FinetunedEncoderPool(SentenceEncoderPool):
    """A profile's fine-tunes and their base, looked up in the suite's cache when they are asked for.

    In the pool a model is called PROFILE-seedN/TASK; a folder is found for it once it is trained.
    """

    _config_mapping = {
        attribute: key for attribute, key in SentenceEncoderPool._config_mapping.items() if attribute != "_models"
    } | {"_profile_name": "profile", "_seed": "seed", "_tasks": "tasks"}

    def __init__(
        self,
        profile: str = "full",
        *,
        seed: int | None = None,
        tasks: Sequence[str] | None = None,
        pooling: str | None = "mean",
        **kwargs: Any,
    ) -> None:
        """`profile`: "ci" or "full". seed: of the fine-tunes, None for 0. tasks: names, None for all of the profile's.

        Raises ValueError for a profile or task that does not exist.
        """
        from fusion_stack.suite.settings import profile_of
        from fusion_stack.suite.tasks import known

        self._profile = profile_of(profile, family="text")
        self._profile_name, self._seed, self._tasks = profile, seed, tasks
        names = known(list(self._profile.tasks if tasks is None else tasks))
        place = f"{profile}-seed{seed or 0}"
        models = {"_pretrained_": f"{place}/base", **{name: f"{place}/{name}" for name in names}}
        self._names = {reference: name for name, reference in models.items()}
        super().__init__(models, pooling=pooling, **kwargs)

    def _located(self, reference: str) -> str:
        """Raises FileNotFoundError naming the command that trains what is not there."""
        name = self._names.get(reference)
        if name is None:
            return super()._located(reference)
        from fusion_stack.suite.cache import cache_folder
        from fusion_stack.suite.models import recall

        trained = recall(cache_folder(), self._profile, self._seed or 0)
        folders = {"_pretrained_": trained.base} | trained.models
        if name not in folders:
            raise FileNotFoundError(
                f"profile {self._profile_name!r} was trained without {name!r}, for want of data; modelpool.tasks and "
                f"taskpool.tasks choose among {', '.join(trained.models)}"
            )
        return str(folders[name])

"""Where a profile's fine-tunes lie, and which of them are there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fusion_stack.suite import finetune
from fusion_stack.suite.cache import key_of, publish, read_json, sha256_of
from fusion_stack.suite.family import Family
from fusion_stack.suite.items import Prepared
from fusion_stack.suite.settings import CommonSettings, Profile

RECORD = "trained.json"


@dataclass(frozen=True)
class Trained:
    """Model folders of one profile and seed: the base, one a task, and the jointly trained one where there is one."""

    base: Path
    models: dict[str, Path]
    joint: Path | None = None


def model_folder(
    cache: Path, family: Family, prepared: list[Prepared], settings: CommonSettings, *, bf16: bool
) -> Path:
    """Where the model trained on these items lies. The key changes with base, data, settings, versions and code."""
    import torch
    import transformers

    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "bf16": bf16}
    code = [sha256_of(Path(str(module.__file__))) for module in family.code]
    data = [each.data_key for each in prepared]
    key = key_of(family.weights_sha256, data, settings.as_dict(), versions, code)
    name = prepared[0].task.name if len(prepared) == 1 else "joint"
    return cache / "finetuned" / f"{name}-{key}"


def is_complete(folder: Path) -> bool:
    """Whether a fine-tune was finished there."""
    return (folder / finetune.RECORD).is_file()


def training_cost(trained: Trained) -> float:
    """CPU-seconds that the models took to train, whenever that was."""
    folders = [*trained.models.values()] + ([] if trained.joint is None else [trained.joint])
    return sum(float(read_json(folder / finetune.RECORD)["cpu_seconds"]) for folder in folders)


def remember(cache: Path, profile: Profile, seed: int, trained: Trained) -> None:
    """Keeps which models belong to a profile and seed, for `recall`."""
    with publish(_record_folder(cache, profile, seed)) as unfinished:
        record = {
            "base": str(trained.base),
            "models": {task: str(folder) for task, folder in trained.models.items()},
            "joint": None if trained.joint is None else str(trained.joint),
        }
        (unfinished / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def recall(cache: Path, profile: Profile, seed: int) -> Trained:
    """What was trained last for a profile and seed. Raises FileNotFoundError naming the command that trains it."""
    file = _record_folder(cache, profile, seed) / RECORD
    if file.is_file():
        kept = read_json(file)
        joint = None if kept["joint"] is None else Path(kept["joint"])
        found = Trained(Path(kept["base"]), {task: Path(path) for task, path in kept["models"].items()}, joint)
        if found.base.is_dir() and all(is_complete(folder) for folder in found.models.values()):
            return found
    raise FileNotFoundError(
        f"the fine-tunes of profile {profile.name!r}, seed {seed}, are not in {cache}; "
        f"`fusion-stack-suite train --profile {profile.name} --seed {seed}` makes them"
    )


def _record_folder(cache: Path, profile: Profile, seed: int) -> Path:
    return cache / "profiles" / f"{profile.name}-seed{seed}"

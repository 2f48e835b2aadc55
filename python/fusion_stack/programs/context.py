"""What the command line chose, for the report: names of configurations, overrides, the whole configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_COEFFICIENT = re.compile(r"[+]*method\.(scaling_factor|lambda|weights?|t|extrapolation_factor|alpha)=")


@dataclass(frozen=True)
class RunContext:
    """choices: {group: name}. overrides: as typed. composed: the configuration, resolved. Empty outside of Hydra."""

    choices: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    composed: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_hydra(cls, config: Any) -> RunContext:
        """The running job's, of which `config` is the composed configuration."""
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import OmegaConf

        hydra = HydraConfig.get()
        choices = {key: str(value) for key, value in hydra.runtime.choices.items() if not key.startswith("hydra")}
        composed: Any = OmegaConf.to_container(config, resolve=True)
        return cls(choices, tuple(hydra.overrides.task), composed)

    def name(self, group: str) -> str:
        """The configuration's name in its group, such as "dare/task_arithmetic"."""
        return self.choices.get(group, "python")

    @property
    def command(self) -> str:
        return " ".join(["fusion-stack", *(one.removeprefix("++") for one in self.overrides)])

    @property
    def coefficient_chosen_by(self) -> str:
        """Whether the method's coefficient is the configuration's own or was given."""
        return "given" if any(_COEFFICIENT.match(one) for one in self.overrides) else "default"

    def config(self, group: str | None = None) -> dict[str, Any]:
        """The whole configuration, or one group's."""
        return self.composed if group is None else dict(self.composed.get(group) or {})

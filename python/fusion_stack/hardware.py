"""Where models run and in which precision, from the keys `fabric.devices`, `fabric.accelerator`, `fabric.precision`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusion_kernels.errors import listing, quoted, suggest

if TYPE_CHECKING:
    import torch

KEYS = ("devices", "accelerator", "precision")
ACCELERATORS = ("auto", "cpu", "cuda", "gpu")
PRECISIONS = {
    "32": None,
    "32-true": None,
    "16": "float16",
    "16-mixed": "float16",
    "16-true": "float16",
    "bf16": "bfloat16",
    "bf16-mixed": "bfloat16",
    "bf16-true": "bfloat16",
}


@dataclass(frozen=True)
class Hardware:
    """A choice of devices.

    accelerator: "cpu", "cuda" (or "gpu"), or "auto" for a GPU where there is one.
    devices: how many GPUs, "auto", or which: [0, 2] or "0,2". Merging shares the tensors among them, evaluation takes
        the first. Without meaning on a CPU.
    precision: None or "32" for the weights' own; "16-mixed", "bf16-mixed" compute in that dtype by autocast and keep
        the weights; "16-true", "bf16-true" evaluate weights rounded to it. Merging is in fp32 whatever this says.
    """

    accelerator: str = "auto"
    devices: Any = 1
    precision: str | int | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("accelerator", self.accelerator, ACCELERATORS),
            ("precision", None if self.precision is None else str(self.precision), PRECISIONS),
        ):
            if value is not None and value not in known:
                raise ValueError(
                    f"fabric.{name}={quoted(value)} is not known; choose one of {listing(known)}."
                    f"{suggest(value, known)}"
                )
        self._numbers()

    @classmethod
    def of(cls, fabric: Mapping[str, Any] | None) -> Hardware:
        """From the configuration's `fabric`. Raises ValueError naming a key that has no meaning here."""
        given = {} if fabric is None else dict(fabric)
        for key in given:
            if key not in KEYS and key != "_target_":
                raise ValueError(refusal(key))
        return cls(**{key: given[key] for key in KEYS if given.get(key) is not None})

    @property
    def engine_device(self) -> str:
        """The `device=` of fusion_kernels.merge."""
        if self.accelerator in ("auto", "cpu"):
            return self.accelerator
        return "cuda" if self.devices == "auto" else "cuda:" + ",".join(map(str, self._numbers()))

    @property
    def torch_device(self) -> torch.device:
        """Where a model is evaluated."""
        import torch

        wanted = self.accelerator != "cpu"
        if wanted and torch.cuda.is_available():
            return torch.device("cuda", self._numbers()[0])
        if self.accelerator in ("cuda", "gpu"):
            raise ValueError(
                f"fabric.accelerator={self.accelerator}: torch finds no GPU; fabric.accelerator=cpu is slower"
            )
        return torch.device("cpu")

    @property
    def weights_dtype(self) -> torch.dtype | None:
        """What weights are rounded to before evaluation, None to leave them."""
        import torch

        name = PRECISIONS[str(self.precision)] if str(self.precision).endswith("-true") else None
        return None if name is None else getattr(torch, name)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context a model's forward pass runs in."""
        name = PRECISIONS.get(str(self.precision))
        if name is None or str(self.precision).endswith("-true"):
            return nullcontext()
        import torch

        return torch.autocast(self.torch_device.type, dtype=getattr(torch, name))

    def _numbers(self) -> list[int]:
        """The GPUs' numbers."""
        devices = self.devices
        try:
            if devices in ("auto", -1, "-1"):
                return [0]
            if isinstance(devices, str) and "," in devices:
                devices = [int(one) for one in devices.split(",") if one.strip()]
            numbers = list(range(int(devices))) if isinstance(devices, (str, int)) else [int(one) for one in devices]
            if numbers and min(numbers) >= 0:
                return numbers
        except (TypeError, ValueError):
            pass
        raise ValueError(
            f"fabric.devices={quoted(self.devices)}: expected a number of devices, a list of them, or auto"
        )


def refusal(key: str, between: str = ".") -> str:
    """Why a key (or, with "/" or "=", a choice) of `fabric` is not taken."""
    return (
        f"fabric{between}{key} has no meaning here: merging needs no training loop. fabric.devices, "
        f"fabric.accelerator and fabric.precision are taken.{suggest(key, KEYS)}"
    )

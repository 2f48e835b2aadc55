"""Says how the elements a random method keeps were drawn."""

from __future__ import annotations

from collections.abc import Sequence

from fusion_kernels.errors import listing
from fusion_kernels.parameters import MethodInfo, Resolved

__all__ = ["draw_notes"]

_DRAWS = 1 << 16  # values a draw may have, see csrc/core/draws.hpp


def draw_notes(method: MethodInfo, resolved: Resolved, models: Sequence[str], seed: int) -> list[str]:
    """The seed, and the density each model is thinned to where a draw's 16 bits cannot express the one asked for."""
    densities = resolved.values.get("density")
    if not method.draws or not isinstance(densities, tuple):
        return []
    asked = [(name, float(density)) for name, density in zip(models, densities, strict=True)]
    thinned = [(name, density) for name, density in asked if 0 < density < 1]
    if not thinned:
        return []
    notes = [f"the elements to keep are drawn from seed {seed}"]
    if method.parameter("epsilon") is not None:  # a probability for each rank: there is no one density to state
        return notes
    rounded: dict[tuple[float, int], list[str]] = {}
    for name, density in thinned:
        kept = min(max(int(_DRAWS * density + 0.5), 1), _DRAWS)
        if kept != _DRAWS * density:
            rounded.setdefault((density, kept), []).append(name)
    return notes + [
        f"draws have 16 bits: density {density!r} is {kept}/{_DRAWS} = {kept / _DRAWS:.6g} in effect ({listing(names)})"
        for (density, kept), names in rounded.items()
    ]

"""Oracles: every merging method written a second time, readably, so that the tests can doubt the engine.

One file per method. Each has EXAMPLE (worked by hand), `merge(inputs, working)`, `tolerance(models)` and
`variants(models)`. The arrays come in the compute type (float32, or float64 where the output is F64); `working` is the
type in which the arithmetic goes on: wider than the compute type to ask how far the engine is from the truth, the
compute type itself to ask for the engine's very bits. What several methods share has a file of its own: `sparsifiers`,
`consensus`, `gram`, `statistics`, `philox`.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def _oracles() -> dict[str, ModuleType]:
    modules = (importlib.import_module(f"oracle.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.__name__.partition(".")[2]: module for module in modules if hasattr(module, "EXAMPLE")}


ORACLES = _oracles()

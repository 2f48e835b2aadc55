"""Turns FusionBench's parameters into the engine's: one word, one meaning, whatever the method.

Facts: the keys and their meaning as released in fusion-bench 0.2.33.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fusion_kernels.errors import listing, quoted, suggest
from fusion_kernels.method_info import MethodInfo, get_method

MERGE_FUNCS: dict[str, dict[str, Any]] = {
    "sum": {"normalize": False, "merge_func": "sum"},
    "mean": {"normalize": True, "merge_func": "sum"},
    "max": {"normalize": False, "merge_func": "max"},
}
WITHOUT_EFFECT = ("inplace", "show_pbar", "epsilon", "model_save_kwargs", "save_tokenizer")


def translated(engine_method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's parameters; keys that are its own already are taken over, None means not given.

    Raises ValueError naming a value out of range, a parameter nobody knows, or one that is given twice.
    """
    method = get_method(engine_method)
    parameters: dict[str, Any] = {}
    said: dict[str, str] = {}
    for key, value in given.items():
        own = method.parameter(key)
        if value is None or (key in WITHOUT_EFFECT and own is None):
            continue
        if key == "t" and own is None:
            meant: dict[str, Any] = {"weight": [1 - value, value], "normalize": False}
        elif key in _WORDS and (own is None or key == "merge_func"):
            meant = _WORDS[key][1](value)
        else:
            if own is None and key not in method.ignored_keys:
                raise ValueError(_unknown(method, key))
            meant = {key: value}
        for name in meant:
            if name in said and said[name] != key:
                raise ValueError(f"{engine_method}: {said[name]} and {key} both say {name}; give one of them")
            said[name] = key
        parameters |= meant
    return parameters


def _unknown(method: MethodInfo, key: str) -> str:
    names = [one.name for one in method.parameters]
    known = [word for word, (about, _) in _WORDS.items() if about in names and word not in names] + names
    return f"{method.name} has no parameter {key!r}; it takes {listing(known, limit=20)}.{suggest(key, known)}"


def trimmed_share(threshold: float) -> float:
    """TIES' `threshold`: a percentage above 1, a fraction up to 1. 1 and 100 both keep everything."""
    if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 100:
        raise ValueError(f"threshold={quoted(threshold)}: expected a percentage above 1 to 100, or a fraction up to 1")
    return threshold / 100 if threshold > 1 else float(threshold)


def _kept_share(sparsity_ratio: float) -> dict[str, float]:
    if not isinstance(sparsity_ratio, (int, float)) or not 0 <= sparsity_ratio < 1:
        raise ValueError(
            f"sparsity_ratio={quoted(sparsity_ratio)}: expected the fraction to drop, at least 0 and below 1 "
            "(1 would leave nothing to rescale)"
        )
    return {"density": 1 - sparsity_ratio}


def _merge_func(name: str) -> dict[str, Any]:
    if name not in MERGE_FUNCS:
        raise ValueError(
            f"merge_func={quoted(name)} is not known; choose one of {listing(MERGE_FUNCS)}.{suggest(name, MERGE_FUNCS)}"
        )
    return MERGE_FUNCS[name]


# {FusionBench's word: (the parameter it is about, what a value means)}
_WORDS: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "scaling_factor": ("lambda", lambda value: {"lambda": value}),
    "extrapolation_factor": ("lambda", lambda value: {"lambda": 1 + value}),
    "threshold": ("density", lambda value: {"density": trimmed_share(value)}),
    "sparsity_ratio": ("density", _kept_share),
    "merge_func": ("merge_func", _merge_func),
    "weights": ("weight", lambda value: {"weight": list(value)}),
    "DOT_THRESHOLD": ("lerp_threshold", lambda value: {"lerp_threshold": value}),
}

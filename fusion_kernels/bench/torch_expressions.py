"""Every merge method as one writes it in torch: what the kernels are compared with.

Each takes the base (None where the method has none), the models and the method's parameters as the engine names them,
computes in float32 (float64 for float64 tensors) and returns the result before it is rounded to the output's dtype.
Of elements as large as the last one kept, all are kept here, where the engine keeps the first by index.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from math import floor
from typing import Any

import torch
from torch import Tensor

Parameters = dict[str, Any]


def wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def weighted_sum(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = values[0] * weights[0]
    for value, weight in zip(values[1:], weights[1:], strict=True):
        total.add_(value, alpha=weight)
    return total


def mass_of(p: Parameters) -> float:
    total = sum(p["weight"]) if p["normalize"] else 1.0
    return total if abs(total) >= 1e-8 else 1.0


def linear(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    return weighted_sum([wide(x) for x in models], p["weight"]) / mass_of(p)


def passthrough(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    return wide(models[0]) * p["scale"][0]


def trimmed_mean(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    return without_extremes(models, p["trim"])


def median(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    return without_extremes(models, 0.5)


def without_extremes(models: list[Tensor], trim: float) -> Tensor:
    dropped = min(floor(trim * len(models)), (len(models) - 1) // 2)
    ordered = torch.stack([wide(x) for x in models]).sort(dim=0).values
    return ordered[dropped : len(models) - dropped].mean(dim=0)


# ---- sparsifier x consensus ----

Sparsify = Callable[[Tensor, Parameters, int], Tensor]  # (delta, parameters, model) -> mask


def threshold(magnitude: Tensor, largest: int) -> Tensor:
    """The `largest`-th largest magnitude."""
    return magnitude.flatten().kthvalue(magnitude.numel() - largest + 1).values


def top(delta: Tensor, p: Parameters, k: int) -> Tensor:
    magnitude = delta.abs()
    return magnitude >= threshold(magnitude, max(1, floor(p["density"][k] * delta.numel())))


def band(delta: Tensor, p: Parameters, k: int) -> Tensor:
    magnitude, size = delta.abs(), delta.numel()
    keep = max(1, floor(p["density"][k] * size))
    outliers = min(floor(p["gamma"][k] * size), size - keep)
    mask = magnitude >= threshold(magnitude, outliers + keep)
    return mask & (magnitude < threshold(magnitude, outliers)) if outliers else mask


def random(delta: Tensor, p: Parameters, k: int) -> Tensor:
    return torch.rand_like(delta) < p["density"][k]


def ranked(delta: Tensor, p: Parameters, k: int) -> Tensor:
    rows = delta if delta.dim() > 1 else delta.reshape(1, -1)
    ranks = rows.abs().argsort(dim=-1).argsort(dim=-1)
    epsilon = p["epsilon"][k]
    chance = ranks * (2 * epsilon / max(1, rows.shape[-1] - 1)) + (p["density"][k] - epsilon)
    return (torch.rand_like(rows) < chance).reshape(delta.shape)


def sparse(base: Tensor | None, models: list[Tensor], p: Parameters, sparsify: Sparsify | None) -> list[Tensor]:
    """The deltas with zeros where nothing is kept, rescaled where the method says so."""
    assert base is not None
    start = wide(base)
    deltas = [wide(x) - start for x in models]
    if sparsify is None:
        return deltas
    kept = []
    for k, delta in enumerate(deltas):
        density = p["density"][k]
        if not 0.0 < density < 1.0:
            kept.append(delta if density >= 1.0 else torch.zeros_like(delta))
            continue
        some = torch.where(sparsify(delta, p, k), delta, 0.0)
        if p.get("rescale"):
            some *= 1 / density if p["rescale_by"] == "density" else delta.abs().sum() / some.abs().sum()
        kept.append(some)
    return kept


def added(base: Tensor | None, models: list[Tensor], p: Parameters, sparsify: Sparsify | None = None) -> Tensor:
    """Linear consensus: base + lambda times the weighted sum."""
    total = weighted_sum(sparse(base, models, p, sparsify), p["weight"])
    assert base is not None
    return wide(base) + total * (p["lambda"] / mass_of(p))


def elected(base: Tensor | None, models: list[Tensor], p: Parameters, sparsify: Sparsify) -> Tensor:
    """Sign consensus: base + lambda times the mean (sum, largest) of those whose sign wins the election."""
    kept = torch.stack(sparse(base, models, p, sparsify))
    weights = torch.tensor(p["weight"], dtype=kept.dtype, device=kept.device).reshape(-1, *[1] * (kept.dim() - 1))
    weighted = kept * weights
    votes = weighted if p["elect"] == "weighted" else kept
    sign = votes.sum(dim=0).sign()
    if p["zero_sign"] == "positive":
        sign = torch.where(sign == 0, 1.0, sign)
    agree = votes * sign > 0
    agreeing = torch.where(agree, weighted, 0.0)
    if p["merge_func"] == "max":
        merged = agreeing.gather(0, agreeing.abs().argmax(dim=0, keepdim=True)).squeeze(0)
    else:
        merged = agreeing.sum(dim=0)
        if p["normalize"]:
            mass = (agree * weights).sum(dim=0)
            merged /= torch.where(mass == 0, 1.0, mass)
    assert base is not None
    return wide(base) + merged * p["lambda"]


def composed(consensus: Callable[..., Tensor], sparsify: Sparsify) -> Expression:
    return lambda base, models, p: consensus(base, models, p, sparsify)


# ---- directions on the sphere ----


def centred(base: Tensor | None, models: list[Tensor]) -> tuple[Tensor | float, list[Tensor]]:
    """The origin, and the models as seen from it."""
    return (0.0, [wide(x) for x in models]) if base is None else (wide(base), [wide(x) - wide(base) for x in models])


def arc(a: Tensor, b: Tensor, t: float, lerp_threshold: float, dim: int | None = None) -> Tensor:
    """Slerp of whole tensors (dim None), or of the vectors along a dimension."""
    dims = tuple(range(a.dim())) if dim is None else (dim,)
    norms = torch.linalg.vector_norm(a, dim=dims, keepdim=True) * torch.linalg.vector_norm(b, dim=dims, keepdim=True)
    cosine = ((a * b).sum(dim=dims, keepdim=True) / norms).clamp(-1, 1)
    angle = cosine.acos()
    straight = ~(cosine.abs() <= lerp_threshold) | (angle.sin() == 0)
    first = torch.where(straight, 1 - t, ((1 - t) * angle).sin() / angle.sin())
    second = torch.where(straight, t, (t * angle).sin() / angle.sin())
    return first * a + second * b


def slerp(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    return arc(wide(models[0]), wide(models[1]), p["t"], p["lerp_threshold"])


def nuslerp(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    origin, (a, b) = centred(base, models)
    total = sum(p["weight"])
    t = p["weight"][1] / total if abs(total) >= 1e-6 else 0.5
    dim = None if p["nuslerp_flatten"] else 0 if p["nuslerp_row_wise"] else -1
    return origin + arc(a, b, t, p["lerp_threshold"], dim)


def multislerp(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    if len(models) == 1:
        return wide(models[0])
    origin, values = centred(base, models)
    total = sum(p["weight"]) if p["normalize_weights"] else 1.0
    weights = [w / total for w in p["weight"]]
    norms = [x.norm() for x in values]
    units = [x / (n + p["eps"]) for x, n in zip(values, norms, strict=True)]
    mean = weighted_sum(units, weights)
    length = mean.norm()
    if length < p["eps"]:
        return origin + weighted_sum(values, weights)
    mean /= length
    tangent = weighted_sum([u - (u * mean).sum() * mean for u in units], weights)
    angle = tangent.norm() + p["eps"]
    reach = sum(w * n for w, n in zip(weights, norms, strict=True))
    return origin + (mean * angle.cos() + tangent * (angle.sin() / angle)) * reach


def karcher(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    values, tol = [wide(x) for x in models], p["tol"]
    if len(values) == 1:
        return values[0]
    norms = [x.norm() for x in values]
    units = [x / n for x, n in zip(values, norms, strict=True) if n > tol]
    if not units:
        return torch.zeros_like(values[0])
    mean = weighted_sum(units, [1 / len(units)] * len(units))
    length = mean.norm()
    mean = units[0] if length < tol else mean / length
    for _ in range(int(p["max_iter"])):
        tangent = torch.zeros_like(mean)
        for unit in units:
            cosine = (mean * unit).sum().clamp(-1, 1)
            angle = cosine.acos()
            if angle >= tol:
                tangent += (angle / angle.sin() / len(units)) * (unit - cosine * mean)
        length = tangent.norm()
        if length < tol:
            break
        mean = length.cos() * mean + (length.sin() / length) * tangent
        mean /= mean.norm()
    return mean * (sum(norms) / len(norms))


def model_stock(base: Tensor | None, models: list[Tensor], p: Parameters) -> Tensor:
    assert base is not None
    start = wide(base)
    deltas = [wide(x) - start for x in models]
    rows = [d.reshape(d.shape[0], -1) if p["filter_wise"] and d.dim() > 1 else d.reshape(1, -1) for d in deltas]
    norms = [r.norm(dim=-1) for r in rows]
    cosines = torch.stack([
        ((rows[i] * rows[j]).sum(dim=-1) / (norms[i] * norms[j]).clamp(min=1e-6)).clamp(-1, 1)
        for i, j in itertools.combinations(range(len(rows)), 2)
    ])  # fmt: skip
    cosine = cosines.acos().mean(dim=0).cos() if p.get("average") == "angle" else cosines.mean(dim=0)
    count = len(models)
    below = 1 + (count - 1) * cosine
    t = torch.where(below.abs() < 1e-6, 0.0, count * cosine / below).unsqueeze(-1)
    return start + (weighted_sum(rows, [1 / count] * count) * t).reshape(start.shape)


Expression = Callable[["Tensor | None", "list[Tensor]", Parameters], Tensor]
EXPRESSIONS: dict[str, Expression] = {
    "linear": linear,
    "passthrough": passthrough,
    "trimmed_mean": trimmed_mean,
    "median": median,
    "task_arithmetic": added,
    "ties": composed(elected, top),
    "dare_linear": composed(added, random),
    "dare_ties": composed(elected, random),
    "breadcrumbs": composed(added, band),
    "breadcrumbs_ties": composed(elected, band),
    "della": composed(elected, ranked),
    "della_linear": composed(added, ranked),
    "slerp": slerp,
    "nuslerp": nuslerp,
    "multislerp": multislerp,
    "karcher": karcher,
    "model_stock": model_stock,
}

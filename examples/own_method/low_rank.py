"""Adds a merge method of one's own and compares it with task arithmetic on models whose right merge is known.

    python examples/own_method/low_rank.py

The same file serves the command lines:

    fusion-kernels merge A B --base X --method low_rank --load examples/own_method/low_rank.py
    fusion-stack --config-dir examples/own_method/config method=low_rank modelpool=... taskpool=...
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import fusion_kernels
from fusion_kernels import MergeInfo, PerModel


@fusion_kernels.merge_method("low_rank", base="required")
def low_rank(
    tensors: list[torch.Tensor],
    base: torch.Tensor,
    *,
    info: MergeInfo,
    weight: PerModel[float] = 1.0,
    keep: float = 0.1,
) -> torch.Tensor:
    """Add the largest singular directions of what each model learned.

    A difference from the base that few directions carry is told from noise, which all of them carry. Vectors have no
    directions and are added whole.

    weight: factor on each model's difference from the base
    keep: fraction of the singular directions kept
    """
    merged = base.clone()
    for share, tensor in zip(weight, tensors, strict=True):
        delta = tensor - base
        if delta.ndim == 2:
            left, values, right = torch.linalg.svd(delta, full_matrices=False)
            rank = max(1, round(keep * len(values)))
            delta = (left[:, :rank] * values[:rank]) @ right[:rank]
        merged += share * delta
    return merged


def make_models(folder: Path, *, names: tuple[str, ...], rank: int, noise: float) -> dict[str, torch.Tensor]:
    """Write a base and models that learned something of low rank, under noise; returns the merge one would want."""
    draw = torch.Generator().manual_seed(0)
    shapes = {f"layers.{index}.weight": (128, 96) for index in range(4)} | {"norm.weight": (96,)}
    base = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    wanted = {name: tensor.clone() for name, tensor in base.items()}
    models = {"base": base}
    for model in names:
        models[model] = {}
        for name, shape in shapes.items():
            learned = torch.zeros(shape)
            if len(shape) == 2:
                learned = torch.randn(shape[0], rank, generator=draw) @ torch.randn(rank, shape[1], generator=draw)
            wanted[name] += learned
            models[model][name] = base[name] + learned + noise * torch.randn(shape, generator=draw)
    for model, tensors in models.items():
        (folder / model).mkdir()
        save_file(tensors, folder / model / "model.safetensors")
    return wanted


def distance(merged: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    """Root of the mean squared difference over all elements."""
    squares = sum(float((merged[name] - wanted[name]).square().sum()) for name in wanted)
    return (squares / sum(tensor.numel() for tensor in wanted.values())) ** 0.5


def main() -> None:
    names = ("math", "code", "law")
    print(fusion_kernels.describe("low_rank"), end="\n\n")
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        wanted = make_models(folder, names=names, rank=4, noise=0.5)
        models = [folder / name for name in names]
        print("distance from the merge one would want:")
        for method, parameters in (("task_arithmetic", {}), ("low_rank", {"keep": 4 / 96})):
            output = folder / method
            fusion_kernels.merge(
                models, base=folder / "base", method=method, weight=1, output=output, parameters=parameters
            )
            print(f"  {method:<16} {distance(load_file(output / 'model.safetensors'), wanted):.3f}")


if __name__ == "__main__":
    main()

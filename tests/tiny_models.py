"""Makes tiny checkpoints in Hugging Face layout for tests that only need some."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

SHAPES = {"embed.weight": (32, 8), "layer.0.weight": (8, 8), "layer.0.bias": (8,), "head.weight": (32, 8)}


def tiny_checkpoint(folder: Path, seed: int, *, near: Path | None = None) -> Path:
    """Write random f32 weights and a config to `folder`; with `near`, that model's weights moved a little."""
    random = np.random.default_rng(seed)
    tensors = {name: random.standard_normal(shape, dtype=np.float32) for name, shape in SHAPES.items()}
    if near is not None:
        start = load_file(near / "model.safetensors")
        tensors = {name: start[name] + 0.1 * value for name, value in tensors.items()}
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": "tiny", "torch_dtype": "float32"}))
    return folder


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")

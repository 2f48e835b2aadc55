"""Small models of a true architecture, as folders and as modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAMES = ("_pretrained_", "a", "b", "c")


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A base and three fine-tunes of it, tiny GPT-2 models in Hugging Face layout, by name."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    config = GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=64, n_positions=16)
    model = GPT2LMHeadModel(config)
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    paths = {}
    for name in NAMES:
        generator = torch.Generator().manual_seed(len(name) + ord(name[0]))
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * (0.0 if name == "_pretrained_" else 0.02)
            parameter.data = base[key] + noise
        model.save_pretrained(folder / name)
        paths[name] = str(folder / name)
    return paths


@pytest.fixture
def modules(model_folders: dict[str, str]) -> dict[str, Any]:
    """The same models as modules."""
    from transformers import GPT2LMHeadModel

    return {name: GPT2LMHeadModel.from_pretrained(path) for name, path in model_folders.items()}


@pytest.fixture
def overrides(model_folders: dict[str, str]) -> list[str]:
    """Command-line overrides that name these models."""
    entries = ", ".join(f"{name}: {path}" for name, path in model_folders.items())
    return ["modelpool=models", f"modelpool.models={{{entries}}}"]


@pytest.fixture
def fusion_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Callable[..., Any]:
    """Runs the command in this process, in an empty folder; returns (exit status, stdout, stderr)."""
    import sys

    from fusion_stack.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fusion-stack", *arguments])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        return status, *capfd.readouterr()

    return run

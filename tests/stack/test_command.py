"""What somebody sees who types `fusion-stack`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")


def test_a_run_merges_files_and_reports(fusion_stack: Any, overrides: list[str], modules: dict[str, Any]) -> None:
    from transformers import GPT2LMHeadModel

    status, _, errors = fusion_stack("method=task_arithmetic", "method.lambda=0.5", *overrides)
    assert status == 0, errors
    (folder,) = Path("outputs/fabric_model_fusion").iterdir()
    report = json.loads((folder / "program_report.json").read_text())
    assert report["model_info"]["all_params"] == sum(one.numel() for one in modules["a"].parameters())
    merged = GPT2LMHeadModel.from_pretrained(folder / "merged_model").state_dict()
    base = modules["_pretrained_"].state_dict()
    for name, tensor in base.items():
        expected = tensor + 0.5 * sum(modules[one].state_dict()[name] - tensor for one in "abc")
        assert torch.allclose(merged[name], expected, atol=1e-6, rtol=0), name  # a few roundings in fp32

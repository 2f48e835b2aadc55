"""A user's own classes: written for FusionBench, for this package, and in the repository's example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusion_stack import BaseModelPool
from fusion_stack.method.dummy import DummyAlgorithm

torch = pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]

# In the shape of FusionBench's README; `PACKAGE` is all that changes.
WRITTEN_FOR_FUSION_BENCH = """
import torch
from PACKAGE import BaseAlgorithm, BaseModelPool


class ScaledSum(BaseAlgorithm):
    _config_mapping = BaseAlgorithm._config_mapping | {
        "hyperparam_attr_1": "hyperparam_1",
        "hyperparam_attr_2": "hyperparam_2",
    }

    def __init__(self, hyperparam_1, hyperparam_2, **kwargs):
        self.hyperparam_attr_1 = hyperparam_1
        self.hyperparam_attr_2 = hyperparam_2
        super().__init__(**kwargs)

    @torch.no_grad()
    def run(self, modelpool: BaseModelPool):
        assert modelpool.has_pretrained and len(modelpool) == len(modelpool.model_names)
        assert self.config.hyperparam_1 == self.hyperparam_attr_1
        merged = modelpool.load_pretrained_model()
        base = {name: tensor.clone() for name, tensor in merged.state_dict().items()}
        total = {name: torch.zeros_like(tensor) for name, tensor in base.items()}
        for name, model in modelpool.named_models():
            assert name in modelpool and name != "_pretrained_"
            for key, tensor in model.state_dict().items():
                total[key] += self.hyperparam_attr_1 * (tensor - base[key])
        merged.load_state_dict({key: base[key] + total[key] * self.hyperparam_attr_2 for key in base})
        return merged
"""


def test_a_class_written_for_fusion_bench_runs(
    fusion_stack: Any, overrides: list[str], modules: dict[str, Any], tmp_path: Path
) -> None:
    from transformers import GPT2LMHeadModel

    (tmp_path / "theirs.py").write_text(WRITTEN_FOR_FUSION_BENCH.replace("PACKAGE", "fusion_stack"))
    (tmp_path / "configs" / "method").mkdir(parents=True)
    (tmp_path / "configs" / "method" / "mine.yaml").write_text(
        "_target_: theirs.ScaledSum\nhyperparam_1: 1.0\nhyperparam_2: 0.5\n"
    )
    status, _, errors = fusion_stack(
        "--config-dir", "configs", "method=mine", "method.hyperparam_2=0.25", "merged_model_save_path=out", *overrides
    )
    assert status == 0, errors
    merged = GPT2LMHeadModel.from_pretrained(tmp_path / "out").state_dict()
    for name, base in modules["_pretrained_"].state_dict().items():
        expected = base + 0.25 * sum(modules[one].state_dict()[name] - base for one in "abc")
        torch.testing.assert_close(merged[name], expected, rtol=0, atol=1e-6)  # a few roundings in fp32


@pytest.mark.parametrize("method", ["normed_sum", "low_rank"])
def test_the_example_runs_from_its_own_folder(
    method: str, fusion_stack: Any, overrides: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    status, _, errors = fusion_stack(
        "--config-dir", str(ROOT / "examples/own_method/config"), f"method={method}", "merged_model_save_path=out",
        *overrides,
    )  # fmt: skip
    assert status == 0, errors
    assert (tmp_path / "out" / "config.json").is_file()


def test_a_pool_has_fusion_benchs_surface(modules: dict[str, Any], tmp_path: Path) -> None:
    pool = BaseModelPool(modules)
    assert pool.model_names == ["a", "b", "c"]
    assert pool.all_model_names == ["_pretrained_", "a", "b", "c"]
    assert pool.load_model("a") is modules["a"] is dict(pool.named_models())["a"]
    assert pool.load_pretrained_model() is modules["_pretrained_"] is DummyAlgorithm().run(pool)
    assert [*pool.models()] == [modules[name] for name in "abc"] == [*pool]
    with pytest.raises(KeyError, match="no model 'd' in the modelpool; it has _pretrained_, a, b, c"):
        pool.load_model("d")
    with pytest.raises(TypeError, match=r"has no parameter 'test_dataset'.*Did you mean 'test_datasets'"):
        BaseModelPool(modules, test_dataset={})


def test_configurations_go_to_yaml_and_back(tmp_path: Path) -> None:
    from fusion_stack.method import EngineMethod, SimpleEnsembleAlgorithm

    for made in (EngineMethod("ties", threshold=30), SimpleEnsembleAlgorithm(device_map={0: "cpu"})):
        made.to_yaml(tmp_path / "made.yaml")
        again = type(made).from_yaml(tmp_path / "made.yaml")
        assert again.config == made.config


DRAWS = """
import torch
from fusion_stack import BaseAlgorithm


class Noise(BaseAlgorithm):
    @torch.no_grad()
    def run(self, modelpool):
        model = modelpool.load_pretrained_model()
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter)
        return model
"""


def test_a_seed_seeds_torch(fusion_stack: Any, overrides: list[str], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    (tmp_path / "noise.py").write_text(DRAWS)
    (tmp_path / "configs" / "method").mkdir(parents=True)
    (tmp_path / "configs" / "method" / "noise.yaml").write_text("_target_: noise.Noise\n")
    results = []
    for seed, folder in ((1, "x"), (1, "y"), (2, "z")):
        save = (f"seed={seed}", f"merged_model_save_path={folder}")
        status, _, errors = fusion_stack("--config-dir", "configs", "method=noise", *save, *overrides)
        assert status == 0, errors
        results.append(load_file(tmp_path / folder / "model.safetensors")["transformer.wte.weight"])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_revision_goes_to_the_engine() -> None:
    member = {"_target_": "transformers.AutoModel.from_pretrained", "pretrained_model_name_or_path": "org/name"}
    pool = BaseModelPool({"a": member, "b": {**member, "revision": "abc123"}})
    assert pool.source("a") == "org/name"
    assert pool.source("b") == "org/name@abc123"

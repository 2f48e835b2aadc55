"""Methods of the engine under FusionBench's names: files and modules, the parameters' meaning, parts of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusion_stack import BaseModelPool, MergedCheckpoint
from fusion_stack.method import DareTiesMerging, EngineMethod
from fusion_stack.modelpool import ModelPool

torch = pytest.importorskip("torch")

EXACT = {"rtol": 0, "atol": 0}
ROUNDED = {"rtol": 1e-6, "atol": 1e-7}  # the expectation below sums in another order: a few roundings in fp32


def state(model: Any) -> dict[str, Any]:
    return dict((model.load() if isinstance(model, MergedCheckpoint) else model).state_dict())


def vectors(modules: dict[str, Any], name: str) -> tuple[Any, list[Any]]:
    base = modules["_pretrained_"].state_dict()[name]
    return base, [modules[one].state_dict()[name] - base for one in "abc"]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("linear", {}),
        ("task_arithmetic", {"scaling_factor": 0.5}),
        ("ties", {"scaling_factor": 0.5, "threshold": 30, "merge_func": "mean"}),
        ("dare_linear", {"scaling_factor": 0.5, "sparsity_ratio": 0.5}),
        ("model_stock", {"ignore_keys": ["transformer.wpe.weight"]}),
    ],
)
def test_files_and_modules_give_the_same_bits(
    method: str, parameters: dict[str, Any], model_folders: dict[str, str], modules: dict[str, Any]
) -> None:
    streamed = EngineMethod(method, **parameters).run(ModelPool(model_folders))
    assert isinstance(streamed, MergedCheckpoint)
    in_memory = EngineMethod(method, **parameters).run(modules)
    expected = state(in_memory)
    for name, tensor in state(streamed).items():
        torch.testing.assert_close(tensor, expected[name], **EXACT)


def test_files_are_merged_without_a_model(model_folders: dict[str, str]) -> None:
    class Unloadable(ModelPool):
        def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("a model was instantiated")

    merged = EngineMethod("ties").run(Unloadable(model_folders))
    assert merged.num_parameters > 0


def test_modules_are_left_as_they_were(modules: dict[str, Any]) -> None:
    before = {name: tensor.clone() for name, tensor in modules["_pretrained_"].state_dict().items()}
    merged = EngineMethod("task_arithmetic", scaling_factor=0.3).run(modules)
    assert merged is not modules["_pretrained_"]
    for name, tensor in modules["_pretrained_"].state_dict().items():
        assert torch.equal(tensor, before[name])


def test_words_of_fusionbench(modules: dict[str, Any]) -> None:
    name = "transformer.h.0.mlp.c_fc.weight"
    base, deltas = vectors(modules, name)
    for method, parameters, expected in (
        ("linear", {"weights": [1, 2, 3]}, base + sum(k * d for k, d in zip((1, 2, 3), deltas, strict=True)) / 6),
        ("task_arithmetic", {"scaling_factor": 0.4}, base + 0.4 * sum(deltas)),
        ("task_arithmetic", {"extrapolation_factor": 0.1, "normalize": True}, base + 1.1 * sum(deltas) / 3),
        ("ties", {"threshold": 100, "merge_func": "max", "scaling_factor": 1.0}, None),
    ):
        merged = EngineMethod(method, **parameters).run(modules).state_dict()[name]
        if expected is None:
            stack = torch.stack(deltas)
            sign = torch.where(stack.sum(0) >= 0, 1.0, -1.0)
            expected = base + (stack * sign).clamp(min=0).amax(0) * sign
        torch.testing.assert_close(merged, expected, **ROUNDED)


def test_linear_interpolation_and_slerp_take_two(modules: dict[str, Any]) -> None:
    pair = {name: modules[name] for name in ("a", "b")}
    name = "transformer.h.1.attn.c_attn.weight"
    a, b = (pair[one].state_dict()[name] for one in "ab")
    merged = EngineMethod("linear", t=0.25).run(pair).state_dict()[name]
    torch.testing.assert_close(merged, 0.75 * a + 0.25 * b, **ROUNDED)
    spherical = EngineMethod("slerp", t=0.0, DOT_THRESHOLD=0.9995, epsilon=1e-8).run(pair)
    torch.testing.assert_close(spherical.state_dict()[name], a, **ROUNDED)


@pytest.mark.parametrize("as_files", [True, False])
def test_merge_backbone_keeps_the_rest_of_the_base(
    as_files: bool, model_folders: dict[str, str], modules: dict[str, Any]
) -> None:
    pool = ModelPool(model_folders) if as_files else BaseModelPool(modules)
    merged = state(EngineMethod("ties", scaling_factor=1.0, threshold=20, merge_backbone=True).run(pool))
    base = modules["_pretrained_"].state_dict()
    for name in ("transformer.wte.weight", "transformer.ln_f.bias", "transformer.wpe.weight"):
        assert torch.equal(merged[name], base[name])
    backbone = {name: one for name, one in merged.items() if ".h." in name and one.dim()}
    assert not torch.equal(backbone["transformer.h.0.ln_1.bias"], base["transformer.h.0.ln_1.bias"])
    # The threshold is one over what is merged: 20 % of each of three models, so at most 60 % of the elements moved.
    moved = sum(int((one != base[name]).sum()) for name, one in backbone.items())
    assert 0.2 < moved / sum(one.numel() for one in backbone.values()) <= 0.6


def test_dare_ties_changes_with_the_seed_of_a_model(modules: dict[str, Any], model_folders: dict[str, str]) -> None:
    name = "transformer.wte.weight"
    merged = DareTiesMerging(sparsity_ratio=0.5, threshold=None, scaling_factor=1.0).run(modules).state_dict()[name]
    base = modules["_pretrained_"].state_dict()[name]
    untouched = (merged == base).float().mean().item()
    # Independent masks leave an element alone in all three models in one of eight cases, a shared one in one of two.
    assert untouched == pytest.approx(1 / 8, abs=0.05)
    streamed = DareTiesMerging(sparsity_ratio=0.5, threshold=None, scaling_factor=1.0).run(ModelPool(model_folders))
    # The files in between hold base + delta in fp32, the modules too: the same bits.
    torch.testing.assert_close(state(streamed)[name], merged, **EXACT)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EngineMethod("ties", threshold=101), "threshold=101: expected a percentage"),
        (lambda: EngineMethod("dare_linear", sparsity_ratio=1), "sparsity_ratio=1: expected the fraction to drop"),
        (lambda: EngineMethod("ties", merge_func="men"), "Did you mean 'mean'"),
        (lambda: EngineMethod("tis"), "Did you mean 'ties'"),
        (lambda: EngineMethod("ties", scaling=1), "scaling"),
    ],
)
def test_what_cannot_be_is_said(make: Any, message: str, modules: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="(?s)" + message):
        make().run(modules)


def test_a_missing_base_is_named(modules: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no base.*_pretrained_"):
        EngineMethod("ties").run({"a": modules["a"]})


def test_the_folder_loads_and_says_how_it_was_made(model_folders: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    EngineMethod("ties", model_save_path=str(out), remove_keys=["transformer.wte.weight"]).run(ModelPool(model_folders))
    assert {"config.json", "README.md", "model.safetensors.index.json"} <= {one.name for one in out.iterdir()}
    assert not list(tmp_path.glob(".*"))


def test_models_that_do_not_fit_are_named(model_folders: dict[str, str], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(Path(model_folders["a"]) / "model.safetensors")
    tensors["transformer.wte.weight"] = torch.zeros(65, 16)
    save_file(tensors, tmp_path / "model.safetensors")
    pool = ModelPool({**model_folders, "wider": str(tmp_path)})
    with pytest.raises(ValueError, match=r"(?s)transformer\.wte\.weight.*wider"):
        EngineMethod("ties").run(pool)


def test_models_that_a_function_makes_are_merged_in_memory(modules: dict[str, Any]) -> None:
    def layer(value: float) -> dict[str, Any]:
        return {"_target_": "test_engine_methods.made", "value": value}

    merged = EngineMethod("linear").run(BaseModelPool({"a": layer(1.0), "b": layer(3.0)}))
    assert merged.weight.tolist() == [[2.0, 2.0]]


def made(value: float) -> Any:
    layer = torch.nn.Linear(2, 1, bias=False)
    layer.weight.data.fill_(value)
    return layer

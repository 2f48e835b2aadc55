"""ExPO on chosen layers: which tensors go how far, by the names of Llama-type checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusion_stack.method import ExPOAlgorithmForLlama
from fusion_stack.modelpool import ModelPool

torch = pytest.importorskip("torch")

NAMES = {
    "model.embed_tokens.weight": (8, 4),
    **{f"model.layers.{layer}.self_attn.q_proj.weight": (4, 4) for layer in range(4)},
    **{f"model.layers.{layer}.mlp.up_proj.weight": (4, 4) for layer in range(4)},
    "model.layers.0.mlp.up_proj.bias": (4,),
    "model.norm.weight": (4,),
    "lm_head.weight": (8, 4),
}


@pytest.fixture
def pool(tmp_path: Path) -> ModelPool:
    """A base of zeros and two models, of ones and of threes: their mean is 2 from the base."""
    from safetensors.torch import save_file

    paths = {}
    for name, value in (("_pretrained_", 0.0), ("a", 1.0), ("b", 3.0)):
        (tmp_path / name).mkdir()
        paths[name] = str(tmp_path / name)
        save_file(
            {key: torch.full(shape, value) for key, shape in NAMES.items()}, tmp_path / name / "model.safetensors"
        )
    return ModelPool(paths)


def merged(pool: ModelPool, **parameters: Any) -> dict[str, Any]:
    from safetensors.torch import load_file

    result = ExPOAlgorithmForLlama(**parameters).run(pool)
    tensors: dict[str, Any] = {}
    for file in result.path.glob("*.safetensors"):
        tensors |= load_file(file)
    return tensors


def test_linear_layers_are_extrapolated_and_the_rest_averaged(pool: ModelPool) -> None:
    found = merged(pool, extrapolation_factor=0.5, attention_scaling_factor=0.5, fix_first_n_layers="half")
    expected = dict.fromkeys(NAMES, 2.0)
    expected |= {f"model.layers.{layer}.self_attn.q_proj.weight": 2.5 for layer in (2, 3)}
    expected |= {f"model.layers.{layer}.mlp.up_proj.weight": 3.0 for layer in (2, 3)}
    assert found.keys() == NAMES.keys()
    assert {name: tensor.unique().tolist() for name, tensor in found.items()} == {n: [v] for n, v in expected.items()}


def test_head_embedding_and_biases_on_request(pool: ModelPool) -> None:
    found = merged(pool, extrapolation_factor=0.5, only_on_backbone=False, on_embedding=True, on_linear_bias=True)
    assert {name for name, tensor in found.items() if tensor.unique().tolist() == [2.0]} == {"model.norm.weight"}


def test_dare_comes_first_and_spares_what_is_not_linear(pool: ModelPool) -> None:
    found = merged(pool, extrapolation_factor=0.5, dare_sparsity_ratio=0.5)
    # Of ones and threes, doubled or dropped, the mean is 0, 1, 3 or 4; times 1.5.
    assert set(found["model.layers.0.mlp.up_proj.weight"].unique().tolist()) <= {0.0, 1.5, 4.5, 6.0}
    assert found["model.norm.weight"].unique().tolist() == [2.0]
    assert found["model.embed_tokens.weight"].unique().tolist() == [2.0]


def test_pruning_rows_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="magnitude_sparsity_ratio"):
        ExPOAlgorithmForLlama(magnitude_sparsity_ratio=0.5)

"""Members of a pool that are no folders of safetensors: adapters, pytorch_model.bin, unreadable and stale caches."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from pool_models import assert_task_arithmetic, save_family, save_tokenizer, tensors, write_yaml


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A base, two LoRA adapters of it as peft saves them, and each adapter worked into the base by hand."""
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    config = T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, tie_word_embeddings=False)
    paths = save_family(lambda: T5ForConditionalGeneration(config), folder, ["_pretrained_"])
    save_tokenizer(folder / "_pretrained_")
    base = tensors(paths["_pretrained_"])
    for number, name in enumerate(("a", "b")):
        module = T5ForConditionalGeneration.from_pretrained(paths["_pretrained_"])
        adapted = get_peft_model(module, LoraConfig(r=2, lora_alpha=6, target_modules=["q", "v"]))
        torch.manual_seed(number)
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.1)
        adapted.save_pretrained(folder / f"adapter-{name}")
        paths[f"adapter-{name}"] = str(folder / f"adapter-{name}")
        # W + alpha / r * B A (Hu et al. 2021, section 4.1).
        from safetensors.torch import load_file

        lora = load_file(folder / f"adapter-{name}" / "adapter_model.safetensors")
        whole = dict(base)
        for key, down in lora.items():
            if key.endswith("lora_A.weight"):
                target = key.removeprefix("base_model.model.").replace("lora_A.weight", "weight")
                whole[target] = base[target] + 3 * lora[key.replace("lora_A", "lora_B")] @ down
        shutil.copytree(folder / "_pretrained_", folder / name)
        save_file(whole, folder / name / "model.safetensors", metadata={"format": "pt"})
        paths[name] = str(folder / name)
    return paths


def expected(t5: dict[str, str]) -> dict[str, str]:
    return {name: t5[name] for name in ("_pretrained_", "a", "b")}


def merge(pool: Any) -> Any:
    from fusion_stack.method import EngineMethod

    return EngineMethod("task_arithmetic", scaling_factor=0.5).run(pool)


def test_adapters_by_path_and_as_fusionbench_names_them(t5: dict[str, str], tmp_path: Path) -> None:
    from fusion_stack.modelpool import Seq2SeqLMPool

    models = {
        "_pretrained_": t5["_pretrained_"],
        "a": t5["adapter-a"],
        "b": {"peft_model_path": t5["adapter-b"], "base_model_path": t5["_pretrained_"]},
    }
    pool = Seq2SeqLMPool.from_yaml(write_yaml(tmp_path / "pool.yaml", "Seq2SeqLMPool", models))
    merged = merge(pool)
    assert_task_arithmetic(tensors(merged.path), expected(t5), 0.5)
    assert type(merged.load()).__name__ == "T5ForConditionalGeneration"
    module = pool.load_model("b")  # plain, its adapter worked in
    for name, tensor in tensors(t5["b"]).items():
        assert torch.allclose(module.state_dict()[name], tensor, atol=1e-6, rtol=0), name  # one product, in fp32


def test_an_adapter_of_another_base_is_refused(t5: dict[str, str], tmp_path: Path) -> None:
    import json

    from fusion_stack.modelpool import Seq2SeqLMPool

    shutil.copytree(t5["adapter-a"], tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "google/flan-t5-large"
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    pool = Seq2SeqLMPool({"_pretrained_": "google/flan-t5-base", "a": str(tmp_path / "adapter")})
    with pytest.raises(
        ValueError, match=r"trained on 'google/flan-t5-large', but the pool's base is 'google/flan-t5-b"
    ):
        pool.source("a")


def test_adapters_of_clip_towers_as_the_hub_has_them(tmp_path: Path) -> None:
    """Trained when the tower's names began with vision_model; other names are refused, not passed over."""
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import CLIPVisionConfig, CLIPVisionModel

    from fusion_stack.modelpool import CLIPVisionModelPool

    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8
    )
    base = save_family(lambda: CLIPVisionModel(config), tmp_path, ["_pretrained_"])["_pretrained_"]
    lora = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(CLIPVisionModel.from_pretrained(base), lora).save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    today = load_file(file)
    prefix = "base_model.model."
    bare = {name.removeprefix(prefix).removeprefix("vision_model."): tensor for name, tensor in today.items()}

    def loaded() -> dict[str, Any]:
        pool = CLIPVisionModelPool({"_pretrained_": base, "a": str(tmp_path / "adapter")})
        return dict(pool.load_model("a").state_dict())

    weight = "encoder.layers.0.self_attn.q_proj.weight"
    down, up = (bare[weight.replace("weight", f"lora_{one}.weight")] for one in "AB")
    own = CLIPVisionModel.from_pretrained(base).state_dict()
    for names in ("", "vision_model."):
        save_file({prefix + names + name: tensor for name, tensor in bare.items()}, file)
        assert torch.allclose(loaded()[weight], own[weight] + 2 * up @ down, atol=1e-6, rtol=0), names  # one product
    save_file({prefix + "tower." + name: tensor for name, tensor in bare.items()}, file)
    with pytest.raises(ValueError, match=r"does not fit .* a CLIPVisionModel: Found missing adapter keys"):
        loaded()


@pytest.fixture
def pickled(t5: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The models with their weights in pytorch_model.bin, as older ones have them."""
    paths = {}
    for name, path in expected(t5).items():
        shutil.copytree(path, tmp_path / name)
        state = tensors(tmp_path / name)
        torch.save(state, tmp_path / name / "pytorch_model.bin")
        (tmp_path / name / "model.safetensors").unlink()
        paths[name] = str(tmp_path / name)
    return paths


def test_pickled_weights_are_merged(t5: dict[str, str], pickled: dict[str, str]) -> None:
    from fusion_stack.modelpool import Seq2SeqLMPool

    merged = merge(Seq2SeqLMPool(pickled))
    assert_task_arithmetic(tensors(merged.path), expected(t5), 0.5)
    assert (merged.path / "tokenizer.json").is_file()


class _Program:
    """What a pool asks of a running program."""

    def __init__(self, cache: Path) -> None:
        self.path = {"cache_dir": str(cache)}


def test_the_cache_is_used_again_until_the_model_changes(pickled: dict[str, str], tmp_path: Path) -> None:
    from fusion_stack.modelpool import Seq2SeqLMPool

    def source() -> Any:
        pool = Seq2SeqLMPool(pickled)
        pool._program = _Program(tmp_path / "cache")  # type: ignore[assignment]
        return pool.source("a").folder

    first = source()
    assert first.is_relative_to(tmp_path / "cache")
    changed = (first / "model.safetensors").stat().st_mtime_ns
    assert source() == first
    assert (first / "model.safetensors").stat().st_mtime_ns == changed
    os.utime(tmp_path / "a" / "pytorch_model.bin", ns=(1, 1))
    assert source() != first


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors"])
def test_a_damaged_cache_is_made_again(pickled: dict[str, str], tmp_path: Path, damage: str) -> None:
    from fusion_stack.modelpool import Seq2SeqLMPool

    pool = Seq2SeqLMPool(pickled)
    pool._program = _Program(tmp_path / "cache")  # type: ignore[assignment]
    first = pool.source("a")
    (first.folder / damage).write_text("no")
    again = pool.source("a")
    assert again.tensors.keys() == first.tensors.keys()


def test_a_cache_that_cannot_be_written_is_named(pickled: dict[str, str], tmp_path: Path) -> None:
    from fusion_stack.modelpool import Seq2SeqLMPool

    (tmp_path / "cache").write_text("a file, no folder")
    pool = Seq2SeqLMPool(pickled)
    pool._program = _Program(tmp_path / "cache")  # type: ignore[assignment]
    with pytest.raises(OSError, match=r"cache .*cannot be written .*path\.cache_dir="):
        pool.source("a")

"""Pools of true architectures: YAML, merge of files, a folder that from_pretrained loads, values as torch has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from pool_models import assert_task_arithmetic, save_family, tensors, write_yaml

TINY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def clip_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A base that is all of CLIP, and fine-tuned vision towers, as the hub has them."""
    from transformers import CLIPConfig, CLIPModel, CLIPVisionModel

    folder = tmp_path_factory.mktemp("clip")
    config = CLIPConfig(
        text_config=TINY | {"vocab_size": 64, "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 1},
        vision_config=TINY | {"image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    towers = save_family(lambda: CLIPVisionModel(config.vision_config), folder / "towers")
    whole = CLIPModel(config)
    whole.vision_model.load_state_dict(CLIPVisionModel.from_pretrained(towers["_pretrained_"]).state_dict())
    whole.save_pretrained(folder / "clip")
    return towers | {"_pretrained_": str(folder / "clip"), "tower": towers["_pretrained_"]}


@pytest.fixture(scope="module")
def t5_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu",
        tie_word_embeddings=False, decoder_start_token_id=0,
    )  # fmt: skip
    return save_family(lambda: T5ForConditionalGeneration(config), tmp_path_factory.mktemp("t5"))


def merge(path: Path, method: str = "task_arithmetic", **parameters: Any) -> Any:
    """The MergedCheckpoint of the pool that a YAML file describes."""
    from fusion_stack import BaseModelPool
    from fusion_stack.method import EngineMethod

    return EngineMethod(method, **parameters).run(BaseModelPool.from_yaml(path))


def test_a_vision_tower_alone_is_merged_of_a_whole_clip(clip_folders: dict[str, str], tmp_path: Path) -> None:
    from transformers import AutoModel, CLIPVisionModel

    models = {name: clip_folders[name] for name in ("_pretrained_", "a", "b")}
    merged = merge(write_yaml(tmp_path / "pool.yaml", "CLIPVisionModelPool", models), scaling_factor=0.3)
    assert_task_arithmetic(tensors(merged.path), clip_folders_of_towers(clip_folders), 0.3)
    config = json.loads((merged.path / "config.json").read_text())
    assert config["architectures"] == ["CLIPVisionModel"]
    assert "text_config" not in config
    loaded = CLIPVisionModel.from_pretrained(merged.path)
    assert type(AutoModel.from_pretrained(merged.path)) is CLIPVisionModel
    module = merged.load()
    assert not module.training
    pixels = torch.zeros(1, 3, 16, 16)
    assert torch.equal(module(pixels).pooler_output, loaded.eval()(pixels).pooler_output)


def clip_folders_of_towers(folders: dict[str, str]) -> dict[str, str]:
    return {"_pretrained_": folders["tower"], "a": folders["a"], "b": folders["b"]}


def test_merging_instantiates_no_model(
    clip_folders: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.Module, "__init__", lambda *_, **__: pytest.fail("a module was made"))
    models = {name: clip_folders[name] for name in ("_pretrained_", "a", "b")}
    merge(write_yaml(tmp_path / "pool.yaml", "CLIPVisionModelPool", models), "linear")


def test_the_whole_clip_is_there_for_its_text_tower(clip_folders: dict[str, str]) -> None:
    from fusion_stack.modelpool import CLIPVisionModelPool

    pool = CLIPVisionModelPool(clip_folders)
    assert type(pool.load_clip_model("_pretrained_")).__name__ == "CLIPModel"
    assert type(pool.load_model("_pretrained_")).__name__ == "CLIPVisionModel"
    with pytest.raises(ValueError, match=r"lacks \d+ weights of a CLIPModel: logit_scale, text_model"):
        pool.load_clip_model("a")


def test_position_ids_of_older_files_do_not_disturb(clip_folders: dict[str, str], tmp_path: Path) -> None:
    """Files written before transformers 4.31 hold the int64 buffer, today's do not."""
    import shutil

    from safetensors.torch import save_file

    old = tmp_path / "old"
    shutil.copytree(clip_folders["_pretrained_"], old)
    state = tensors(old) | {"vision_model.embeddings.position_ids": torch.arange(5)[None]}
    save_file(state, old / "model.safetensors", metadata={"format": "pt"})
    models = {"_pretrained_": str(old), "a": clip_folders["a"], "b": clip_folders["b"]}
    merged = merge(write_yaml(tmp_path / "pool.yaml", "CLIPVisionModelPool", models), scaling_factor=0.3)
    result = tensors(merged.path)
    assert torch.equal(result.pop("vision_model.embeddings.position_ids"), torch.arange(5)[None])
    assert_task_arithmetic(result, clip_folders_of_towers(clip_folders), 0.3)
    merged.load()


def test_flan_t5_as_fusionbench_writes_its_models(t5_folders: dict[str, str], tmp_path: Path) -> None:
    target = "transformers.AutoModelForSeq2SeqLM.from_pretrained"
    models = {name: {"_target_": target, "pretrained_model_name_or_path": path} for name, path in t5_folders.items()}
    path = write_yaml(tmp_path / "pool.yaml", "Seq2SeqLMPool", models, model_kwargs={"torch_dtype": "bfloat16"})
    merged = merge(path, scaling_factor=0.3)
    assert_task_arithmetic(tensors(merged.path), t5_folders, 0.3)
    module = merged.load()
    assert type(module).__name__ == "T5ForConditionalGeneration"
    assert module.dtype is torch.bfloat16
    assert module.generate(torch.tensor([[5, 6, 1]]), max_new_tokens=2).shape[0] == 1


def test_causal_language_models_by_the_command(
    fusion_stack: Any, model_folders: dict[str, str], modules: dict[str, Any], tmp_path: Path
) -> None:
    """The whole way: command line, cache, saved model."""
    from transformers import AutoModelForCausalLM

    write_yaml(tmp_path / "modelpool" / "mine.yaml", "CausalLMPool", model_folders)
    status, _, errors = fusion_stack(
        f"--config-dir={tmp_path}", "method=simple_average", "modelpool=mine", "taskpool=dummy",
        "merged_model_save_path=out",
    )  # fmt: skip
    assert status == 0, errors
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()
    for name, tensor in merged.items():
        expected = sum(modules[one].state_dict()[name] for one in "abc") / 3
        assert torch.allclose(tensor, expected, atol=1e-6, rtol=0), name


def test_saved_with_another_dtype_and_the_tokenizer(model_folders: dict[str, str], tmp_path: Path) -> None:
    from pool_models import save_tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from fusion_stack.modelpool import CausalLMPool

    save_tokenizer(tmp_path / "tokenizer")
    pool = CausalLMPool(model_folders, tokenizer=str(tmp_path / "tokenizer"))
    pool.save_model(pool.load_model("a"), tmp_path / "out", model_dtype="bfloat16", save_tokenizer=True)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto").dtype is torch.bfloat16
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("the cat")["input_ids"] == [2, 4, 6, 3]


def test_processors_need_no_torchvision(clip_folders: dict[str, str], tmp_path: Path) -> None:
    """The files of openai/clip-vit-base-patch32, smaller."""
    import shutil

    from PIL import Image
    from pool_models import save_tokenizer

    from fusion_stack.modelpool import CLIPVisionModelPool

    base = tmp_path / "base"
    shutil.copytree(clip_folders["_pretrained_"], base)
    save_tokenizer(base)
    settings = {"image_processor_type": "CLIPImageProcessor", "crop_size": 16, "size": 16, "resample": 3}
    (base / "preprocessor_config.json").write_text(json.dumps(settings))
    processor = CLIPVisionModelPool({"_pretrained_": str(base), "a": clip_folders["a"]}).load_processor()
    inputs = processor(text=["the cat"], images=Image.new("RGB", (20, 30)), return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 16, 16)
    assert inputs["input_ids"].tolist() == [[2, 4, 6, 3]]

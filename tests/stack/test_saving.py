"""How a merged model is saved: `merged_model_save_kwargs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from pool_models import save_tokenizer, write_yaml

BF16_IN_SHARDS = "merged_model_save_kwargs={model_dtype: bfloat16, max_shard_size: 4KB}"


def weights(folder: str | Path) -> dict[str, Any]:
    """The tensors of all files of a folder."""
    from safetensors.torch import load_file

    return {name: tensor for file in Path(folder).glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.mark.parametrize("method", ["task_arithmetic", "dare/ties_merging", "dummy"])
def test_weights_are_rounded_once_and_cut(method: str, fusion_stack: Any, overrides: list[str]) -> None:
    """Written by the engine, by two of its merges in a row, and by transformers."""
    for name, options in (("plain", ()), ("short", (BF16_IN_SHARDS,))):
        status, _, errors = fusion_stack(f"method={method}", f"merged_model_save_path={name}", *options, *overrides)
        assert status == 0, errors
    plain, short = weights("plain"), weights("short")
    assert plain.keys() == short.keys()
    for name, tensor in plain.items():
        assert torch.equal(short[name], tensor.bfloat16()), name
    assert len([*Path("short").glob("*.safetensors")]) > 1 == len([*Path("plain").glob("*.safetensors")])
    index = json.loads(Path("short/model.safetensors.index.json").read_text())["weight_map"]
    assert all((Path("short") / file).is_file() for file in index.values())
    config = json.loads(Path("short/config.json").read_text())
    assert "bfloat16" in (config.get("dtype"), config.get("torch_dtype"))


@pytest.mark.parametrize("method", ["simple_average", "dummy"])
def test_a_language_model_takes_its_tokenizer_along(
    method: str, fusion_stack: Any, model_folders: dict[str, str], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    save_tokenizer(tmp_path / "words", ["one", "two"])
    write_yaml(tmp_path / "conf/modelpool/mine.yaml", "CausalLMPool", model_folders, tokenizer=str(tmp_path / "words"))
    run = ("--config-dir", str(tmp_path / "conf"), "--config-name", "llama_model_fusion", "modelpool=mine")
    status, _, errors = fusion_stack(*run, f"method={method}", "merged_model_save_path=out")
    assert status == 0, errors
    assert AutoTokenizer.from_pretrained("out").get_vocab().keys() >= {"one", "two"}
    status, _, errors = fusion_stack(*run, f"method={method}", "modelpool.tokenizer=null")
    assert status == 0, errors
    assert "the tokenizer is not saved: " in errors  # the models have none


def test_push_to_hub_uploads_what_was_saved(
    fusion_stack: Any, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    uploads: list[Any] = []
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "upload_folder",
        lambda _, repo_id, folder_path: uploads.append((repo_id, (Path(folder_path) / "config.json").is_file())),
    )
    for options in ("{push_to_hub: me/merged}", "{push_to_hub: true, repo_id: me/merged}"):
        status, _, errors = fusion_stack("method=simple_average", f"merged_model_save_kwargs={options}", *overrides)
        assert status == 0, errors
    assert uploads == [("me/merged", True)] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{model_dtyp: bfloat16}", "merged_model_save_kwargs.model_dtyp is not taken: it has model_dtype,"),
        ("{model_dtyp: bfloat16}", "Did you mean 'model_dtype'?"),
        ("{description: mine}", "merged_model_save_kwargs.description is not taken: the model card"),
        ("{safe_serialization: false}", "weights are written as safetensors"),
        ("{push_to_hub: true}", "push_to_hub: ORG/NAME"),
        ("{model_dtype: bfloat}", "bfloat"),
    ],
)
def test_what_is_refused_is_named_before_the_merge(
    options: str, message: str, fusion_stack: Any, overrides: list[str]
) -> None:
    status, _, errors = fusion_stack("method=simple_average", f"merged_model_save_kwargs={options}", *overrides)
    assert status == 1
    assert message in errors
    assert not [*Path("outputs").rglob("*.safetensors")]

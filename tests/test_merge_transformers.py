"""Round trips through transformers: save, merge, load, forward."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
import transformers

import fusion_kernels

Make = Callable[..., Any]


def bert(seed: int, **options: Any) -> Any:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return transformers.BertModel(
        transformers.BertConfig(vocab_size=40, max_position_embeddings=16, **sizes, **options)
    )


def llama(seed: int, **options: Any) -> Any:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=40, **sizes, **options))


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


def logits(model: Any) -> torch.Tensor:
    tokens = torch.arange(8).reshape(1, 8)
    with torch.no_grad():
        output = model.eval()(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    result: torch.Tensor = output[0]
    return result


@pytest.mark.parametrize(
    ("make", "options", "auto"),
    [
        (bert, {}, transformers.AutoModel),
        (llama, {}, transformers.AutoModelForCausalLM),
        (llama, {"tie_word_embeddings": True}, transformers.AutoModelForCausalLM),
    ],
)
@pytest.mark.parametrize("max_shard_size", ["5GB", "4KB"])
def test_a_merged_model_loads_and_runs(
    tmp_path: Path, make: Make, options: dict[str, Any], auto: Any, max_shard_size: str
) -> None:
    one, two = make(1, **options), make(2, **options)
    models = [saved(one, tmp_path / "one"), saved(two, tmp_path / "two")]
    fusion_kernels.merge(models, method="linear", weight=1, output=tmp_path / "out", max_shard_size=max_shard_size)
    merged, info = auto.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    expected = make(3, **options)
    with torch.no_grad():
        for target, first, second in zip(expected.parameters(), one.parameters(), two.parameters(), strict=True):
            target.copy_((first + second) / 2)
    torch.testing.assert_close(logits(merged), logits(expected), rtol=1e-5, atol=1e-6)


def test_the_dtype_written_is_the_dtype_loaded(tmp_path: Path) -> None:
    models = [saved(llama(seed), tmp_path / str(seed)) for seed in (1, 2)]
    fusion_kernels.merge(models, method="linear", weight=1, output=tmp_path / "out", dtype="bfloat16")
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert merged.dtype == torch.bfloat16
    assert torch.isfinite(logits(merged)).all()


def test_tied_weights_are_written_once(tmp_path: Path) -> None:
    from safetensors import safe_open

    models = [llama(seed, tie_word_embeddings=True) for seed in (1, 2)]
    fusion_kernels.merge(models, method="linear", weight=1, output=tmp_path / "out")
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        assert "lm_head.weight" not in file.keys()  # noqa: SIM118 - not a mapping
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.equal(merged.lm_head.weight, merged.model.embed_tokens.weight)


def test_an_untied_head_beside_a_tied_one_is_untied_in_the_result(tmp_path: Path) -> None:
    tied, untied = llama(1, tie_word_embeddings=True), llama(2, tie_word_embeddings=False)
    models = [saved(tied, tmp_path / "tied"), saved(untied, tmp_path / "untied")]
    fusion_kernels.merge(models, method="linear", weight=1, output=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is False
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    expected = (tied.lm_head.weight + untied.lm_head.weight) / 2
    torch.testing.assert_close(merged.lm_head.weight, expected, rtol=1e-6, atol=1e-7)
    assert not torch.equal(merged.lm_head.weight, merged.model.embed_tokens.weight)


def test_a_tokenizer_comes_along(tmp_path: Path) -> None:
    vocabulary = {"[UNK]": 0, **{f"word{index}": index for index in range(1, 40)}}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    models = [saved(bert(seed), tmp_path / str(seed)) for seed in (1, 2)]
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(models[0])
    fusion_kernels.merge(models, method="linear", weight=1, output=tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer("word3 word7 other")["input_ids"] == [3, 7, 0]


def test_a_module_s_own_configuration_is_written(tmp_path: Path) -> None:
    fusion_kernels.merge([bert(1), bert(2)], method="linear", weight=1, output=tmp_path / "out")
    merged = transformers.AutoModel.from_pretrained(tmp_path / "out")
    assert type(merged).__name__ == "BertModel"
    assert logits(merged).shape == (1, 8, 16)

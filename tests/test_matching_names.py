"""Names that differ and still belong together: heads tied to embeddings, constant prefixes."""

from __future__ import annotations

import pytest
from matching_models import BODY, EMBED, HEAD, clean, matched, model, names, sources, with_prefix


def test_all_tied_and_stored_once() -> None:
    result = clean(matched(model("base", BODY, tied=True), model("a", BODY, tied=True)))
    assert names(result) == list(BODY)
    assert not result.untied
    assert result.notes == []


HEADS = [
    (HEAD, EMBED),
    ("lm_head.weight", "transformer.wte.weight"),
    ("output.weight", "tok_embeddings.weight"),
    ("embed_out.weight", "gpt_neox.embed_in.weight"),
    ("lm_head.weight", "transformer.word_embeddings.weight"),
    ("language_model.lm_head.weight", "language_model.model.embed_tokens.weight"),
    ("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
    ("lm_head.weight", "shared.weight"),
    ("lm_head.weight", "backbone.embeddings.weight"),
]


@pytest.mark.parametrize(("head", "embedding"), HEADS)
@pytest.mark.parametrize("tied", [True, None])
def test_untied_head_beside_tied_ones_uses_the_embedding(head: str, embedding: str, tied: bool | None) -> None:
    body = {embedding: [32, 4], "layers.0.weight": [4, 4]}
    config = {} if tied is None else {"tied": tied}
    result = clean(
        matched(model("base", body, **config), model("a", body | {head: [32, 4]}), model("b", body, **config))
    )
    assert names(result) == [*body, head]
    assert sources(result, head) == [("base", embedding), (0, head), (1, embedding)]
    assert result.untied
    assert result.tied == {}
    assert f"base 'base', model 'b': {head} is tied, so {embedding} is used for it" in result.notes[0]


def test_shared_embedding_of_an_encoder_and_a_decoder() -> None:
    body = {"shared.weight": [32, 4], "encoder.embed_tokens.weight": [32, 4], "decoder.embed_tokens.weight": [32, 4]}
    result = clean(matched(model("base", body), model("a", body | {HEAD: [32, 4]})))
    assert sources(result, HEAD) == [("base", "shared.weight"), (0, HEAD)]


def test_head_missing_where_the_config_says_untied() -> None:
    result = matched(model("base", BODY | {HEAD: [32, 4]}), model("a", BODY, tied=False))
    assert result.problems == ["tensor 'lm_head.weight' of shape [32, 4] is in base 'base' but missing in model 'a'"]


def test_head_missing_without_an_embedding_to_take() -> None:
    body = {"layers.0.weight": [4, 4]}
    assert "missing in model 'a'" in matched(model("base", body | {HEAD: [32, 4]}), model("a", body)).problems[0]
    two = body | {"text.embed_tokens.weight": [32, 4], "audio.embed_tokens.weight": [32, 4]}
    assert "missing in model 'a'" in matched(model("base", two | {HEAD: [32, 4]}), model("a", two)).problems[0]


def test_embedding_of_another_size_does_not_stand_in_silently() -> None:
    small = BODY | {EMBED: [30, 4]}
    result = matched(model("base", BODY | {HEAD: [32, 4]}), model("a", small, tied=True))
    assert any(problem.startswith("tensor 'lm_head.weight': shapes differ") for problem in result.problems)


def test_layers_are_no_heads() -> None:
    body = {EMBED: [4, 4], "layers.0.w": [4]}
    result = matched(model("base", body | {"layers.0.output.weight": [4, 4]}), model("a", body))
    assert "'layers.0.output.weight'" in result.problems[0]


def test_tied_in_memory_is_merged_once() -> None:
    shapes = BODY | {HEAD: [32, 4]}
    tie = {"aliases": {HEAD: EMBED}}
    result = clean(matched(None, model("a", shapes, **tie), model("b", shapes, **tie)))
    assert names(result) == list(BODY)
    assert result.tied == {HEAD: EMBED}
    assert not result.untied
    assert result.notes == ["lm_head.weight is tied to model.embed_tokens.weight in every model and is written once"]


def test_tied_in_memory_beside_tied_on_disk() -> None:
    result = clean(matched(model("base", BODY, tied=True), model("a", BODY | {HEAD: [32, 4]}, aliases={HEAD: EMBED})))
    assert names(result) == list(BODY)
    assert result.tied == {HEAD: EMBED}


def test_the_embedding_is_kept_even_where_the_head_comes_first() -> None:
    shapes = {HEAD: [32, 4], **BODY}
    tie = {"aliases": {EMBED: HEAD}}
    result = clean(matched(None, model("a", shapes, **tie), model("b", shapes, **tie)))
    assert result.tied == {HEAD: EMBED}
    assert EMBED in names(result)


def test_tied_in_some_models_only_is_merged_twice() -> None:
    shapes = BODY | {HEAD: [32, 4]}
    result = clean(matched(None, model("a", shapes, aliases={HEAD: EMBED}), model("b", shapes)))
    assert names(result) == [*BODY, HEAD]
    assert result.untied
    other = {"x.weight": [4], "y.weight": [4]}
    result = clean(matched(None, model("a", other, aliases={"y.weight": "x.weight"}), model("b", other)))
    assert names(result) == ["x.weight", "y.weight"]
    assert not result.untied


def test_tied_by_every_config_yet_stored_twice_is_written_once() -> None:
    shapes = BODY | {HEAD: [32, 4]}
    result = clean(matched(model("base", shapes, tied=True), model("a", shapes, tied=True)))
    assert names(result) == list(BODY)
    assert result.tied == {HEAD: EMBED}
    apart = clean(matched(model("base", shapes), model("a", shapes)))
    assert names(apart) == [*BODY, HEAD]
    assert not apart.untied


def test_ignored_base_whose_config_ties_heads_that_are_merged() -> None:
    shapes = BODY | {HEAD: [32, 4]}
    base = model("llama", BODY, tied=True)
    assert clean(matched(base, model("a", shapes), model("b", shapes), role="ignored")).untied


def test_other_tied_parameters() -> None:
    shapes = {"cls.bias": [4], "cls.decoder.bias": [4]}
    tie = {"aliases": {"cls.decoder.bias": "cls.bias"}}
    assert clean(matched(None, model("a", shapes, **tie), model("b", shapes, **tie))).tied == {
        "cls.decoder.bias": "cls.bias"
    }


# Prefixes


@pytest.mark.parametrize("prefix", ["model.", "language_model.", "module.model."])
def test_constant_prefix_of_a_model_is_dropped(prefix: str) -> None:
    wrapped = model("a", with_prefix(prefix, BODY | {"rotary_emb.inv_freq": [2]}))
    result = clean(matched(model("llama", BODY), wrapped))
    assert names(result) == list(BODY)
    assert sources(result, EMBED) == [("base", EMBED), (0, prefix + EMBED)]
    assert (
        f"model 'a': all tensor names have the prefix '{prefix}', which is dropped to match base 'llama'"
        in result.notes
    )


@pytest.mark.parametrize("prefix", ["model.", "language_model."])
def test_constant_prefix_of_the_base_is_added(prefix: str) -> None:
    result = clean(
        matched(model("llama", with_prefix(prefix, BODY)), model("a", BODY), model("b", with_prefix(prefix, BODY)))
    )
    assert names(result) == [prefix + name for name in BODY]
    assert sources(result, prefix + EMBED) == [("base", prefix + EMBED), (0, EMBED), (1, prefix + EMBED)]
    assert result.notes == [
        f"model 'a': all tensor names lack the prefix '{prefix}', which is added to match base 'llama'"
    ]


def test_tied_head_under_a_prefix() -> None:
    base = model("llama", with_prefix("language_model.", BODY | {HEAD: [32, 4]}))
    head, embedding = "language_model." + HEAD, "language_model." + EMBED
    result = clean(matched(base, model("a", BODY, tied=True)))
    assert sources(result, head) == [("base", head), (0, EMBED)]
    tied = model("b", BODY | {HEAD: [32, 4]}, aliases={HEAD: EMBED})
    tied_base = model("llama", with_prefix("language_model.", BODY), tied=True)
    assert clean(matched(tied_base, tied)).tied == {head: embedding}


def test_different_names_are_not_taken_for_a_prefix() -> None:
    encoder, decoder = {"encoder.weight": [4], "encoder.bias": [4]}, {"decoder.weight": [4], "decoder.bias": [4]}
    assert "no tensor name in common" in matched(None, model("a", encoder), model("b", decoder)).problems[0]
    part = {"vision.w": [4], "text.w": [4], "text.v": [4]}
    assert matched(None, model("a", part), model("b", {"model.w": [4], "model.text.w": [4], "model.x": [4]})).problems


def test_problems_under_a_prefix_use_the_output_names() -> None:
    wrapped = model("a", with_prefix("model.", BODY | {"model.norm.weight": [5]}))
    assert matched(model("llama", BODY), wrapped).problems == [
        "tensor 'model.norm.weight': shapes differ: [4] in base 'llama', [5] in model 'a'"
    ]


def test_ignored_base_gives_buffers_under_its_own_prefix() -> None:
    tensors = BODY | {"rotary_emb.inv_freq": [2]}
    base = model("llama", with_prefix("model.", tensors))
    result = clean(matched(base, model("a", tensors), model("b", tensors), role="ignored"))
    assert sources(result, "rotary_emb.inv_freq") == [("base", "model.rotary_emb.inv_freq")]
    other = model("other", {"unrelated": [4]})
    result = clean(matched(other, model("a", tensors), model("b", tensors), role="ignored"))
    assert sources(result, "rotary_emb.inv_freq") == [(0, "rotary_emb.inv_freq")]

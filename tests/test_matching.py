"""Which tensor goes where: what merges although models differ, and every reason why others do not."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest

from fusion_kernels.dtypes import DTYPES
from fusion_kernels.matching import Matching, match
from fusion_kernels.sources import Checkpoint, TensorInfo

Shapes = Mapping[str, Any]


def model(label: str, tensors: Shapes, **rest: Any) -> Checkpoint:
    """A checkpoint of {name: shape} or {name: (dtype, shape)}; `tied` becomes its config."""
    infos, offset = {}, 0
    for name, value in tensors.items():
        dtype, shape = value if value and isinstance(value[0], str) else ("BF16", value)
        info = TensorInfo(name, dtype, tuple(shape), 0, offset, 0)
        nbytes = info.numel * DTYPES[dtype].itemsize_bits // 8
        infos[name] = TensorInfo(name, dtype, tuple(shape), 0, offset, nbytes)
        offset += nbytes
    if "tied" in rest:
        rest["config"] = {"tie_word_embeddings": rest.pop("tied")}
    return Checkpoint(label, label, infos, memory=[(1, offset)], **rest)


def matched(
    base: Checkpoint | None,
    *models: Checkpoint,
    role: Literal["required", "ignored", "member"] | None = None,
    integers: Literal["error", "base"] = "error",
) -> Matching:
    return match(models, base, base_role=role or ("required" if base else "ignored"), on_unequal_integers=integers)


def clean(matching: Matching) -> Matching:
    assert matching.problems == []
    return matching


def names(matching: Matching) -> list[str]:
    return [tensor.name for tensor in matching.tensors]


def kinds(matching: Matching) -> dict[str, str]:
    return {tensor.name: tensor.kind for tensor in matching.tensors}


def sources(matching: Matching, name: str) -> list[tuple[object, str]]:
    """(model or "base", the name it has there) of every input of an output tensor, the base first."""
    tensor = next(tensor for tensor in matching.tensors if tensor.name == name)
    refs = [*([tensor.base] if tensor.base else []), *tensor.models]
    return [(ref.checkpoint, ref.info.name) for ref in refs]


EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
BODY = {EMBED: [32, 4], "model.layers.0.mlp.weight": [4, 4], "model.norm.weight": [4]}


def test_roles_of_the_base() -> None:
    base, one, two = (model(label, BODY) for label in ("base", "math", "code"))
    required = clean(matched(base, one, two))
    assert sources(required, EMBED) == [("base", EMBED), (0, EMBED), (1, EMBED)]
    assert required.tensors[0].base is not None
    assert [ref.checkpoint for ref in required.tensors[0].models] == [0, 1]
    member = clean(matched(base, one, role="member"))
    assert member.tensors[0].base is None
    assert [ref.checkpoint for ref in member.tensors[0].models] == ["base", 0]
    listed = clean(match([base, one], base, base_role="member"))
    assert [ref.checkpoint for ref in listed.tensors[0].models] == [0, 1]
    ignored = clean(matched(base, one, two, role="ignored"))
    assert ignored.tensors[0].base is None
    assert [ref.checkpoint for ref in ignored.tensors[0].models] == [0, 1]
    assert required.notes == member.notes == ignored.notes == []


def test_order_is_the_references() -> None:
    other = model("b", dict(reversed(BODY.items())))
    assert names(clean(matched(None, model("a", BODY), other))) == list(BODY)
    assert names(clean(matched(other, model("a", BODY)))) == list(reversed(BODY))


def test_shapes_and_dtypes_of_merged_tensors() -> None:
    both = clean(
        matched(
            None, model("a", {"w": [], "e": [0], "v": ("F32", [2, 3])}), model("b", {"w": [], "e": [0], "v": [2, 3]})
        )
    )
    assert [(tensor.kind, tensor.shape, tensor.dtype) for tensor in both.tensors] == [
        ("merge", (), None),
        ("merge", (0,), None),
        ("merge", (2, 3), None),
    ]


# Problems


def test_shape_mismatch_names_tensor_models_and_shapes() -> None:
    result = matched(model("llama", {"w": [4, 4]}), model("math", {"w": [4, 4]}), model("code", {"w": [4, 5]}))
    assert result.problems == [
        "tensor 'w': shapes differ: [4, 4] in base 'llama', [4, 4] in model 'math', [4, 5] in model 'code'"
    ]


def test_transposed_and_flattened_shapes_do_not_pass() -> None:
    for shape in ([2, 3], [6], [1, 6]):
        assert "shapes differ" in matched(None, model("a", {"w": [3, 2]}), model("b", {"w": shape})).problems[0]


def test_different_vocabularies_say_so() -> None:
    problem = matched(None, model("a", BODY), model("b", BODY | {EMBED: [40, 4]})).problems[0]
    assert "[32, 4] in model 'a', [40, 4] in model 'b'; the vocabularies differ" in problem


def test_missing_and_extra_tensors() -> None:
    result = matched(model("llama", BODY), model("math", {**BODY, "new.weight": [3]}), model("code", {EMBED: [32, 4]}))
    assert result.problems == [
        "tensor 'model.layers.0.mlp.weight' of shape [4, 4] is in base 'llama', model 'math' but missing in model 'code'",
        "tensor 'model.norm.weight' of shape [4] is in base 'llama', model 'math' but missing in model 'code'",
        "tensor 'new.weight' of shape [3] is in model 'math' but missing in base 'llama', model 'code'",
    ]


def test_all_problems_are_collected_and_the_summary_is_short() -> None:
    many = {f"layers.{number}.weight": [4] for number in range(100)}
    result = matched(None, model("a", many), model("b", dict.fromkeys(many, [5])))
    assert len(result.problems) == 100
    lines = result.summary().splitlines()
    assert len(lines) == 13
    assert lines[-1] == "... and 88 more problems"


def test_another_architecture_is_one_problem() -> None:
    gpt = model("gpt", {f"transformer.h.{number}.w": [4] for number in range(50)})
    result = matched(model("llama", BODY), gpt, model("math", BODY))
    assert len(result.problems) == 1
    assert (
        "model 'gpt' has no tensor name in common with base 'llama': 'transformer.h.0.w' against" in result.problems[0]
    )


@pytest.mark.parametrize("dtype", ["C64", "F4", "F6_E2M3", "F8_E8M0", "F8_E4M3FNUZ"])
def test_unsupported_dtypes_are_named(dtype: str) -> None:
    problem = matched(None, model("a", {"w": [4]}), model("b", {"w": (dtype, [4])})).problems[0]
    assert problem.startswith(f"tensor 'w': unsupported dtype in model 'b' ({dtype}); F64, F32")


def test_integers_do_not_mix_with_floats_or_each_other() -> None:
    problem = matched(None, model("a", {"w": [4]}), model("b", {"w": ("I64", [4])})).problems[0]
    assert problem == "tensor 'w': dtypes do not go together: BF16 in model 'a', I64 in model 'b'"
    problem = matched(None, model("a", {"w": ("I32", [4])}), model("b", {"w": ("I64", [4])})).problems[0]
    assert "I32 in model 'a', I64 in model 'b'" in problem


QUANTISED = {"w.weight": ("F8_E4M3", [4, 4]), "w.weight_scale_inv": ("F32", [1, 1])}
PACKED = {"w.qweight": ("I32", [4, 4]), "w.bias": [4]}


def test_quantised_models_are_refused() -> None:
    problem = matched(None, model("a", QUANTISED), model("b", QUANTISED)).problems[0]
    assert "model 'a' is quantised: tensor 'w.weight' is F8_E4M3 with scales such as 'w.weight_scale_inv'" in problem
    config = {"quantization_config": {"quant_method": "gptq"}}
    problem = matched(None, model("a", PACKED, config=config), model("b", PACKED)).problems[0]
    assert "tensor 'w.qweight' is I32 and config.json has a quantization_config" in problem
    plain = {"w.weight": ("F8_E4M3", [4, 4])}
    assert kinds(clean(matched(None, model("a", plain), model("b", plain)))) == {"w.weight": "merge"}
    half = model("a", BODY, config=config)  # left over in the config of a dequantised model
    assert clean(matched(None, half, model("b", BODY))).tensors


# Integers and derived buffers


def test_integers_must_be_equal_by_default() -> None:
    tensors = {"w": [4], "steps": ("I64", []), "mask": ("BOOL", [3])}
    result = clean(matched(model("base", tensors), model("a", tensors)))
    assert kinds(result) == {"w": "merge", "steps": "equal", "mask": "equal"}
    assert sources(result, "steps") == [("base", "steps"), (0, "steps")]
    assert [tensor.dtype for tensor in result.tensors] == [None, "I64", "BOOL"]


def test_unequal_integers_may_come_from_the_base() -> None:
    tensors = {"w": [4], "steps": ("I64", [])}
    result = clean(matched(model("llama", tensors), model("a", tensors), integers="base"))
    assert sources(result, "steps") == [("base", "steps")]
    assert kinds(result)["steps"] == "copy"
    assert result.notes == ["1 integers come from base 'llama': steps"]
    without = clean(matched(None, model("a", tensors), model("b", {"w": [4], "steps": ("I32", [])}), integers="base"))
    assert sources(without, "steps") == [(0, "steps")]
    assert without.notes == ["1 integers come from model 'a': steps"]
    ignored = clean(
        matched(model("llama", tensors), model("a", tensors), model("b", tensors), role="ignored", integers="base")
    )
    assert sources(ignored, "steps") == [("base", "steps")]


def test_one_model_alone_copies_its_integers() -> None:
    result = clean(matched(None, model("a", {"w": [4], "steps": ("I64", [])})))
    assert kinds(result) == {"w": "merge", "steps": "copy"}
    assert result.notes == []


DERIVED: Sequence[tuple[str, Any]] = [
    ("model.layers.0.self_attn.rotary_emb.inv_freq", ("F32", [8])),
    ("model.rotary_emb.cos_cached", ("F32", [16, 8])),
    ("bert.embeddings.position_ids", ("I64", [1, 512])),
    ("features.1.num_batches_tracked", ("I64", [])),
    ("h.0.attn.bias", ("U8", [1, 1, 64, 64])),
    ("transformer.h.0.attn.bias", ("F32", [1, 1, 64, 64])),
    ("gpt_neox.layers.0.attention.bias", ("BOOL", [1, 1, 64, 64])),
    ("h.0.attn.masked_bias", ("F32", [])),
    ("layers.0.blocks.0.attn.relative_position_index", ("I64", [49, 49])),
]


@pytest.mark.parametrize(("name", "value"), DERIVED, ids=[name for name, _ in DERIVED])
def test_derived_buffers_come_from_the_base(name: str, value: Any) -> None:
    tensors = {"w": [4], name: value}
    result = clean(matched(model("llama", tensors), model("a", tensors), model("b", {"w": [4]})))
    assert kinds(result)[name] == "copy"
    assert sources(result, name) == [("base", name)]
    assert result.notes == [f"1 derived buffers come from base 'llama': {name}"]
    first = clean(matched(None, model("a", tensors), model("b", {"w": [4]})))
    assert sources(first, name) == [(0, name)]
    longer = tensors | {name: (value[0], [7])} if not name.endswith("attn.bias") else tensors
    assert clean(matched(model("llama", tensors), model("a", longer))).tensors


def test_derived_buffers_that_the_base_lacks_are_left_out_with_a_note() -> None:
    result = clean(matched(model("llama", {"w": [4]}), model("a", {"w": [4], "rotary_emb.inv_freq": [8]})))
    assert names(result) == ["w"]
    assert result.notes == ["1 derived buffers that base 'llama' lacks are left out: rotary_emb.inv_freq"]


def test_learned_biases_are_merged() -> None:
    tensors = {
        "h.0.attn.bias": [64],
        "h.0.attention.bias": [3, 64],
        "attn.out.bias": [4],
        "rotary_embedding.weight": [4],
    }
    assert set(kinds(clean(matched(None, model("a", tensors), model("b", tensors)))).values()) == {"merge"}


def test_batch_norm() -> None:
    norm = {"bn.weight": [4], "bn.running_mean": [4], "bn.num_batches_tracked": ("I64", [])}
    assert kinds(clean(matched(None, model("a", norm), model("b", norm)))) == {
        "bn.weight": "merge", "bn.running_mean": "merge", "bn.num_batches_tracked": "copy",
    }  # fmt: skip


# Tied weights


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


def test_other_tied_parameters() -> None:
    shapes = {"cls.bias": [4], "cls.decoder.bias": [4]}
    tie = {"aliases": {"cls.decoder.bias": "cls.bias"}}
    assert clean(matched(None, model("a", shapes, **tie), model("b", shapes, **tie))).tied == {
        "cls.decoder.bias": "cls.bias"
    }


# Prefixes


def with_prefix(prefix: str, tensors: Shapes) -> Shapes:
    return {prefix + name: value for name, value in tensors.items()}


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


def test_forty_thousand_tensors_match_in_linear_time() -> None:
    """0.7 s of processor time where measured; the bound only catches a quadratic matcher."""
    many = {f"model.layers.{number // 64}.experts.{number % 64}.weight": [4, 4] for number in range(40_000)}
    models = [model(str(number), many) for number in range(3)]
    models.append(model("wrapped", with_prefix("language_model.", many)))
    start = time.process_time()
    assert len(clean(matched(*models)).tensors) == 40_000
    assert time.process_time() - start < 10

"""Which tensor goes where: what merges although models differ, and every reason why others do not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from matching_models import BODY, EMBED, clean, kinds, matched, model, names, sources, with_prefix

from fusion_kernels.matching import match


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
    where = "is in base 'llama', model 'math' but missing in model 'code'"
    assert result.problems == [
        f"tensor 'model.layers.0.mlp.weight' of shape [4, 4] {where}",
        f"tensor 'model.norm.weight' of shape [4] {where}",
        "tensor 'new.weight' of shape [3] is in model 'math' but missing in base 'llama', model 'code'",
    ]


def test_all_problems_are_collected_and_the_summary_is_short() -> None:
    many = {f"layers.{number}.weight": [4] for number in range(100)}
    result = matched(None, model("a", many), model("b", {name: [5] for name in many}))
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


def test_forty_thousand_tensors_match_in_linear_time() -> None:
    """0.7 s of processor time where measured; the bound only catches a quadratic matcher."""
    many = {f"model.layers.{number // 64}.experts.{number % 64}.weight": [4, 4] for number in range(40_000)}
    models = [model(str(number), many) for number in range(3)]
    models.append(model("wrapped", with_prefix("language_model.", many)))
    start = time.process_time()
    assert len(clean(matched(*models)).tensors) == 40_000
    assert time.process_time() - start < 10

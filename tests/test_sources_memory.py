"""Models in memory: torch tensors, numpy arrays and modules, read where they are."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch

from fusion_kernels.dtypes import DTYPES, parse_dtype, promote
from fusion_kernels.sources import Checkpoint, open_source


def stored(checkpoint: Checkpoint, name: str) -> bytes:
    info = checkpoint.tensors[name]
    buffer = checkpoint.open()[info.buffer]
    assert isinstance(buffer, tuple)
    assert info.offset + info.nbytes <= buffer[1]
    return ctypes.string_at(buffer[0] + info.offset, info.nbytes)


TORCH = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.int64: "I64", torch.int32: "I32",
    torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


@pytest.mark.parametrize("dtype", TORCH, ids=str)
def test_torch_dtypes(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    checkpoint = open_source({"w": tensor})
    assert checkpoint.library == "torch"
    assert checkpoint.tensors["w"].dtype == TORCH[dtype]
    assert checkpoint.tensors["w"].shape == (2, 3)
    assert stored(checkpoint, "w") == tensor.contiguous().view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3)])
def test_shapes(shape: tuple[int, ...]) -> None:
    checkpoint = open_source({"t": torch.ones(shape), "n": np.ones(shape, np.float32)})
    for name in ("t", "n"):
        assert checkpoint.tensors[name].shape == shape
        assert stored(checkpoint, name) == np.ones(shape, np.float32).tobytes()
    assert not checkpoint.aliases


def test_views_are_made_contiguous() -> None:
    matrix = torch.arange(12.0).reshape(3, 4)
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    checkpoint = open_source(
        {
            "t": matrix.T,
            "slice": matrix[:, 1:3],
            "one": torch.ones(1).expand(3, 3),
            "n": array.T,
            "big": array.astype(">f4"),
        }
    )
    assert stored(checkpoint, "t") == array.T.tobytes()
    assert stored(checkpoint, "slice") == array[:, 1:3].tobytes()
    assert stored(checkpoint, "one") == np.ones((3, 3), np.float32).tobytes()
    assert stored(checkpoint, "n") == array.T.tobytes()
    assert stored(checkpoint, "big") == array.tobytes()


def test_contiguous_tensors_are_not_copied() -> None:
    tensor, array = torch.ones(4), np.ones(4)
    checkpoint = open_source({"t": tensor, "n": array})
    assert [buffer[0] for buffer in checkpoint.open()] == [tensor.data_ptr(), array.ctypes.data]  # type: ignore[index]


def test_the_checkpoint_keeps_its_tensors_alive() -> None:
    checkpoint = open_source({"w": torch.full((1000,), 7.0), "v": torch.full((10, 10), 5.0).T[1:]})
    gc.collect()
    noise = [torch.zeros(1000) for _ in range(50)]
    assert stored(checkpoint, "w") == np.full(1000, 7, np.float32).tobytes()
    assert stored(checkpoint, "v") == np.full(90, 5, np.float32).tobytes()
    assert len(noise) == 50


def test_shared_memory_is_tied() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 2))
    array = np.ones(3)
    checkpoint = open_source(
        {"embed": weight, "head": weight, "view": weight.data, "a": array, "b": array[:], "half": array[:2]}
    )
    assert checkpoint.aliases == {"head": "embed", "view": "embed", "b": "a"}
    assert checkpoint.tensors["head"].buffer == checkpoint.tensors["embed"].buffer
    assert len(checkpoint.buffers) == 3


def test_transposed_twins_are_not_tied_to_the_original() -> None:
    square = torch.arange(4.0).reshape(2, 2)
    assert open_source({"w": square, "t": square.T}).aliases == {}


class Lazy(Mapping[str, torch.Tensor]):
    """Makes each tensor when asked, as a reader of files may; the memory of one is soon that of the next."""

    def __getitem__(self, name: str) -> torch.Tensor:
        return torch.full((64, 64), float(name)).T

    def __iter__(self) -> Iterator[str]:
        return map(str, range(20))

    def __len__(self) -> int:
        return 20


def test_lazy_mappings_are_not_taken_for_tied() -> None:
    checkpoint = open_source(Lazy())
    assert checkpoint.aliases == {}
    for number in range(20):
        assert stored(checkpoint, str(number)) == np.full((64, 64), number, np.float32).tobytes()


def test_module() -> None:
    class Config:
        def to_dict(self) -> dict[str, object]:
            return {"tie_word_embeddings": True}

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(4, 2)
            self.lm_head = torch.nn.Linear(2, 4, bias=False)
            self.lm_head.weight = self.embed.weight
            self.config = Config()

    checkpoint = open_source(Model())
    assert checkpoint.label == "Model"
    assert checkpoint.aliases == {"lm_head.weight": "embed.weight"}
    assert checkpoint.tied is True


class Foreign:
    """A tensor of some other library: it looks like one and is none of ours."""

    dtype, shape, device = torch.float32, (1,), "cuda:0"


def test_refusals_name_model_and_tensor() -> None:
    refusals = [
        (torch.empty(2, device="meta"), ValueError, "meta device"),
        (torch.eye(3).to_sparse(), ValueError, r"\.to_dense\(\)"),
        (torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8), ValueError, "dequantize"),
        (torch.ones(2, dtype=torch.complex64), ValueError, "complex64 is not supported"),
        (np.ones(2, dtype=np.complex128), ValueError, "complex128"),
        (np.array(["a"], dtype=object), ValueError, "object"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), ValueError, "filled"),
        (np.float32(1), ValueError, "got a float32"),
        ([1.0, 2.0], ValueError, "got a list"),
        ({"w": torch.ones(1)}, ValueError, "give the nested mapping itself"),
        (Foreign(), ValueError, "got a Foreign"),
    ]
    for value, kind, part in refusals:
        with pytest.raises(kind, match=rf"model 'math': tensor 'net\.w': .*{part}"):
            open_source({"ok": torch.ones(1), "net.w": value}, label="math")
    with pytest.raises(ValueError, match="model 'math': tensor 3: tensor names must be text"):
        open_source({3: torch.ones(1)}, label="math")
    with pytest.raises(ValueError, match="model 'math': the mapping holds no tensors"):
        open_source({}, label="math")


def test_other_devices_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnGpu(torch.Tensor):
        is_cpu = False
        is_meta = False
        device = torch.device("cuda:0")

    with pytest.raises(NotImplementedError, match=r"tensor 'w': is on cuda:0.*\.cpu\(\)"):
        open_source({"w": torch.ones(2).as_subclass(OnGpu)})


def test_many_tensors_open_quickly() -> None:
    """0.4 s of processor time where measured; the bound only catches a quadratic reader."""
    storage = torch.zeros(40_000)
    tensors = {f"layers.{number}": storage[number : number + 1] for number in range(40_000)}
    start = time.process_time()
    checkpoint = open_source(tensors)
    assert len(checkpoint.tensors) == 40_000
    assert time.process_time() - start < 6


def test_parse_dtype() -> None:
    for dtype, code in TORCH.items():
        assert parse_dtype(dtype) == parse_dtype(str(dtype)) == parse_dtype(code) == code
    spellings = ["bfloat16", "bf16", "BF16", " BFloat16 ", "torch.bfloat16"]
    assert {parse_dtype(text) for text in spellings} == {"BF16"}
    assert parse_dtype(np.float32) == parse_dtype(np.dtype("float32")) == parse_dtype("fp32") == "F32"
    assert parse_dtype(np.dtype(bool)) == "BOOL"
    with pytest.raises(ValueError, match=r"unknown dtype 'blfoat16'.*Did you mean 'bfloat16'"):
        parse_dtype("blfoat16")
    with pytest.raises(ValueError, match="unknown dtype '3'"):
        parse_dtype(3)


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        (["BF16", "BF16"], "BF16"), (["BF16", "F16"], "F32"), (["F16", "F32"], "F32"), (["BF16", "F64"], "F64"),
        (["F8_E4M3", "F8_E4M3"], "F8_E4M3"), (["F8_E4M3", "F8_E5M2"], "F16"), (["F8_E4M3", "BF16"], "BF16"),
        (["F8_E4M3", "F8_E5M2", "BF16"], "BF16"), (["F16", "BF16", "F8_E5M2"], "F32"), (["I64", "I64"], "I64"),
    ],
)  # fmt: skip
def test_promotion_does_not_depend_on_order(codes: list[str], wanted: str) -> None:
    assert promote(codes) == promote(reversed(codes)) == wanted


@pytest.mark.parametrize("codes", [["I64", "F32"], ["I64", "I32"], ["BOOL", "BF16"], ["F4", "F32"]])
def test_promotion_refuses(codes: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"dtypes.*{codes[1]}|dtypes.*{codes[0]}"):
        promote(codes)


def test_promotion_holds_every_value() -> None:
    floats = {code: getattr(torch, dtype.torch_name or "") for code, dtype in DTYPES.items() if dtype.mergeable}
    for one, first in floats.items():
        for other, second in floats.items():
            result = floats[promote([one, other])]
            for dtype in (first, second):
                limits = torch.finfo(dtype)
                extremes = torch.tensor([limits.max, limits.smallest_normal, 1 + limits.eps], dtype=torch.float64)
                assert torch.equal(extremes.to(result).to(torch.float64), extremes)

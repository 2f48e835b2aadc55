"""Files that lie: every one is refused with a text that names the file, the tensor and what is wrong."""

from __future__ import annotations

import json
import os
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from header_files import entries, entry, write_file, write_index, write_raw, write_sharded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusion_kernels.sources import open_source
from fusion_kernels.sources.safetensors_header import header_length, parse_header, read_header


def refused(path: Path, *parts: str) -> str:
    with pytest.raises(ValueError) as caught:
        open_source(path)
    text = str(caught.value)
    for part in (str(path if path.is_file() else path.name), *parts):
        assert part in text
    assert "\n" not in text
    return text


def header_of(path: Path, header: Any, data_bytes: int) -> Path:
    return write_raw(path, header if isinstance(header, bytes) else json.dumps(header).encode(), data_bytes)


BAD_ENTRIES = {
    "offsets beyond the file": (entry("F32", [4], 0, 16), 12, ["'w'", "12 bytes", "truncated"]),
    "offsets do not match the shape": (entry("F32", [3], 0, 16), 16, ["'w'", "[3] of F32", "12", "16"]),
    "unknown dtype": (entry("F33", [4], 0, 16), 16, ["'w'", "unknown dtype 'F33'", "BF16"]),
    "dtype is a number": (entry(7, [4], 0, 16), 16, ["'w'", "unknown dtype 7"]),
    "dtype is a list": (entry(["F32"], [4], 0, 16), 16, ["'w'", "unknown dtype"]),
    "negative dimension": (entry("F32", [-4], 0, 16), 16, ["'w'", "sizes >= 0", "[-4]"]),
    "two negative dimensions": (entry("F32", [-2, -2], 0, 16), 16, ["'w'", "sizes >= 0"]),
    "dimension is a float": (entry("F32", [4.0], 0, 16), 16, ["'w'", "[4.0]"]),
    "dimension is true": (entry("F32", [True], 0, 4), 4, ["'w'", "[True]"]),
    "dimension beyond 64 bits": (entry("F32", [2**64], 0, 16), 16, ["'w'", "sizes >= 0"]),
    "product beyond 64 bits": (entry("F32", [2**62, 2**62], 0, 16), 16, ["'w'", "needs"]),
    "a thousand dimensions": (entry("F32", [1] * 1000, 0, 4), 4, ["'w'", "at most 64 sizes"]),
    "shape is a number": (entry("F32", 4, 0, 16), 16, ["'w'", "shape must be a list"]),
    "begin after end": (entry("F32", [4], 16, 0), 16, ["'w'", "[16, 0]"]),
    "negative begin": (entry("F32", [4], -16, 0), 16, ["'w'", "[-16, 0]"]),
    "offsets are floats": (entry("F32", [4], 0.0, 16.0), 16, ["'w'", "data_offsets"]),
    "three offsets": ({"dtype": "F32", "shape": [4], "data_offsets": [0, 8, 16]}, 16, ["'w'", "[0, 8, 16]"]),
    "offsets are text": ({"dtype": "F32", "shape": [4], "data_offsets": "ab"}, 16, ["'w'", "data_offsets"]),
    "no offsets": ({"dtype": "F32", "shape": [4]}, 16, ["'w'", "data_offsets missing"]),
    "nothing": ({}, 16, ["'w'", "dtype, shape, data_offsets missing"]),
    "not an object": ([1, 2, 3], 16, ["'w'", "expected an object"]),
    "null": (None, 16, ["'w'", "expected an object", "None"]),
    "bytes after the last tensor": (entry("F32", [4], 0, 16), 20, ["4 bytes follow the last tensor"]),
    "gap before the first tensor": (entry("F32", [4], 4, 20), 20, ["'w'", "gap of 4 bytes after the header"]),
}


@pytest.mark.parametrize("case", BAD_ENTRIES)
def test_bad_entry(tmp_path: Path, case: str) -> None:
    bad, data_bytes, parts = BAD_ENTRIES[case]
    refused(header_of(tmp_path / "bad.safetensors", {"w": bad}, data_bytes), *parts)


def test_overlap_and_gap_name_both_tensors(tmp_path: Path) -> None:
    overlap = {"a": entry("F32", [4], 0, 16), "b": entry("F32", [4], 12, 28)}
    refused(header_of(tmp_path / "overlap.safetensors", overlap, 28), "'b' overlaps tensor 'a'")
    same = {"a": entry("F32", [4], 0, 16), "b": entry("F32", [4], 0, 16)}
    refused(header_of(tmp_path / "same.safetensors", same, 16), "overlaps")
    gap = {"a": entry("F32", [4], 0, 16), "b": entry("F32", [4], 20, 36)}
    refused(header_of(tmp_path / "gap.safetensors", gap, 36), "'b' leaves a gap of 4 bytes after tensor 'a'")


BAD_JSON = {
    "not JSON": (b"{'w': 1}", "not valid JSON"),
    "cut off": (b'{"w": {"dtype"', "not valid JSON"),
    "not an object": (b"[1, 2]", "must be an object"),
    "a number": (b"12", "must be an object"),
    "empty": (b"", "not valid JSON"),
    "not UTF-8": (b'{"\xff": 1}', "not valid JSON"),
    "NaN": (b'{"w": NaN}', "NaN is not JSON"),
    "lone surrogate": (b'{"\\ud800": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}', "not valid JSON"),
    "duplicate tensor": (
        b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
        b' "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
        "duplicate names: 'w'",
    ),
    "duplicate key in an entry": (
        b'{"w": {"dtype": "F32", "shape": [1], "shape": [2], "data_offsets": [0, 4]}}',
        "duplicate names: 'shape'",
    ),
    "deep nesting": (b'{"w": ' + b"[" * 100_000, "nested too deeply"),
    "number of many digits": (b'{"w": ' + b"9" * 10_000 + b"}", "bad.safetensors"),
    "metadata is a list": (b'{"__metadata__": [1]}', "__metadata__ must be an object of texts"),
    "metadata holds a number": (b'{"__metadata__": {"format": 1}}', "__metadata__ must be an object of texts"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json(tmp_path: Path, case: str) -> None:
    header, part = BAD_JSON[case]
    refused(header_of(tmp_path / "bad.safetensors", header, 4), part)


def test_lengths_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"")
    refused(path, "0 bytes", "truncated or empty")
    path.write_bytes(b"\x02\x00\x00")
    refused(path, "3 bytes", "truncated or empty")
    refused(write_raw(path, b"{}", 0, length=200), "200 bytes", "only 2 follow", "truncated")
    refused(write_raw(path, b"{}", 0, length=2**64 - 1), str(2**64 - 1), "more than the 100000000")
    refused(write_raw(path, b"{}", 200_000_000, length=100_000_001), "100000001", "more than the 100000000")


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"PK\x03\x04" + b"\x08\x08\x08\x08" * 4, "safetensors.torch.save_file"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "safetensors.torch.save_file"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"GGUF\x03\x00\x00\x00\x01\x02\x03", "GGUF"),
    ],
)
def test_what_is_often_mistaken_for_safetensors(tmp_path: Path, start: bytes, part: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(start)
    refused(path, part)


def test_header_length_may_spell_a_pickle(tmp_path: Path) -> None:
    """640 is 80 02 in bytes, the start of a pickle; such a header is a good one all the same."""
    header, data_bytes = entries({"w": [4]})
    path = write_raw(tmp_path / "model.safetensors", json.dumps(header).encode().ljust(640), data_bytes)
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert list(open_source(path).tensors) == ["w"]


def test_truncated_download(tmp_path: Path) -> None:
    path = write_file(tmp_path / "model.safetensors", {"a": [100], "b": [100]})
    os.truncate(path, path.stat().st_size - 100)
    refused(path, "'b'", "truncated")


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    bad = {"\x1b[2Jw\n": entry("F32", [3], 0, 16)}
    assert "\x1b" not in refused(header_of(tmp_path / "bad.safetensors", bad, 16), "\\x1b[2Jw")


def test_pipes_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    refused(tmp_path, "model.safetensors: not a regular file")


INDEX_NAMES = [
    "../other/model.safetensors",
    "/etc/model.safetensors",
    "sub/../../model.safetensors",
    "..\\model.safetensors",
    "./model-1.safetensors",
    "a//b.safetensors",
    "model.bin",
    "..",
    "a" * 255 + ".safetensors",
    "",
    7,
    None,
]


@pytest.mark.parametrize("name", INDEX_NAMES)
def test_index_names_files_outside(tmp_path: Path, name: object) -> None:
    write_file(tmp_path / "other" / "model.safetensors", {"w": [4]})
    folder = write_index(tmp_path / "model", {"w": name})
    refused(folder, "model.safetensors.index.json", "'w'")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"weight_map": []}', b'{"weight_map": {}}', b"{{", b"\xff"])
def test_bad_index(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors.index.json").write_bytes(content)
    refused(tmp_path, "model.safetensors.index.json")


def test_index_with_a_tensor_twice(tmp_path: Path) -> None:
    write_file(tmp_path / "a.safetensors", {"w": [4]})
    text = '{"weight_map": {"w": "a.safetensors", "w": "a.safetensors"}}'
    (tmp_path / "model.safetensors.index.json").write_text(text)
    refused(tmp_path, "duplicate names: 'w'")


def test_index_names_tensors_that_the_shard_lacks(tmp_path: Path) -> None:
    folder = write_sharded(tmp_path / "model", {"a.safetensors": {"w": [4]}, "b.safetensors": {"v": [4]}})
    write_index(folder, {"w": "a.safetensors", "v": "a.safetensors", "x": "b.safetensors"})
    refused(folder, "2 tensors", "'v' in a.safetensors", "'x' in b.safetensors")


def test_hostile_config(tmp_path: Path) -> None:
    write_file(tmp_path / "model.safetensors", {"w": [4]})
    for content in (b"[1]", b"{", b'{"a": 1, "a": 2}', b"[" * 100_000):
        (tmp_path / "config.json").write_bytes(content)
        refused(tmp_path, "config.json")


def test_headers_that_would_eat_memory_are_refused() -> None:
    """Tens of megabytes of brackets or of short texts would make objects of many times that size."""
    for filler in (b"[],", b'"aa",', b"1,"):
        body = b'{"w": [' + filler * 9_000_000 + b"0]}"
        with pytest.raises(ValueError, match=r"x\.safetensors: .*values"):
            parse_header(body, 8 + len(body), "x.safetensors")


# Arbitrary bytes, and JSON that is nearly right: nothing but ValueError or OSError may come out.

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
SMALL = st.integers(min_value=-2, max_value=40)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "BF16", "U8", "F4", "X", "__metadata__"]) | JSON_VALUES,
        "shape": st.lists(SMALL, max_size=3) | JSON_VALUES,
        "data_offsets": st.lists(SMALL, min_size=2, max_size=2) | JSON_VALUES,
        "extra": JSON_VALUES,
    },
)
HEADERS = st.dictionaries(st.sampled_from(["a", "b", "c", "__metadata__"]) | st.text(max_size=4), NEARLY | JSON_VALUES)


def parse_whole(content: bytes) -> None:
    length = header_length(content[:8], len(content), "x.safetensors")
    header = parse_header(content[8 : 8 + length], len(content), "x.safetensors")
    end = 8 + length
    for tensor in header.tensors.values():  # what is accepted covers the data exactly
        assert tensor.offset == end
        end += tensor.nbytes
    assert end == len(content)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes(content: bytes) -> None:
    try:
        parse_whole(content)
    except ValueError as error:
        assert "x.safetensors" in str(error)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 40))
def test_arbitrary_headers(text: bytes, rest: int) -> None:
    try:
        parse_whole(struct.pack("<Q", len(text)) + text + bytes(rest))
    except ValueError as error:
        assert "x.safetensors" in str(error)


@settings(max_examples=150, deadline=None)
@given(HEADERS, st.integers(0, 60))
def test_nearly_right_headers(header: dict[str, Any], rest: int) -> None:
    text = json.dumps(header).encode()
    try:
        parse_whole(struct.pack("<Q", len(text)) + text + bytes(rest))
    except ValueError as error:
        assert "x.safetensors" in str(error)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=64), st.integers(0, 2**64 - 1))
def test_reading_never_allocates_absurdly(tmp_path: Path, text: bytes, length: int) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", length) + text)
    tracemalloc.start()
    try:
        read_header(path)
    except (ValueError, OSError) as error:
        assert str(path) in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1_000_000


def test_hostile_names_do_not_cost_time(tmp_path: Path) -> None:
    """Names of thousands of dots, in thousands of tensors."""
    header, data_bytes = entries({"a." * 500 + str(number): [1] for number in range(5000)})
    path = header_of(tmp_path / "dots.safetensors", header, data_bytes)
    start = time.process_time()
    assert len(open_source(path).tensors) == 5000
    assert time.process_time() - start < 5

"""Makes the inputs of the header fuzzer: seeds, words, and changes that leave JSON intact.

An input's first byte says what its rest is: f a safetensors file; F one data byte count, then a header whose length is
put before it; anything else an index.json.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import atheris

from fusion_kernels.dtypes import DTYPES
from tests.header_files import entries, entry

REPEATED = 40_000  # bytes of a text that an input tells how to repeat: what grows faster than its input shows there

KEYS = ["__metadata__", "dtype", "shape", "data_offsets", "weight_map"]
WORDS = [
    "null",
    "true",
    "NaN",
    "Infinity",
    "1e400",
    "-0",
    "[]",
    "{}",
    "\\\\n",
    "\\\\ud800",
    "\\xff\\xff",
    *KEYS,
    *DTYPES,
]
TEXTS = ["", "w", "\n", "\x1b[2J", "\ud800", "é" * 1000, *KEYS, *DTYPES]
TEXTS += [f"{name}.safetensors" for name in ("a", "deep/b", "../x", "..", "\n", "c" * 300, "c/" * 1500 + "c")]
NUMBERS = [0, 1, 2, 4, 8, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**4000, 0.5, -0.0, float("inf"), float("nan")]


def text_of(data: bytes) -> bytes:
    """The bytes themselves; or, in four parts parted by FF FF, the second and third repeated between the others."""
    parts = data.split(b"\xff\xff")
    if len(parts) != 4:
        return data
    start, first, second, end = parts
    times = REPEATED // max(1, len(first) + len(second))
    numbered = b"".join(first + str(number).encode() + second for number in range(times))
    return start + numbered + end


def seeds() -> list[bytes]:
    header, data_bytes = entries({"a": [2], "b": [1, 3]}, "BF16")
    good = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    index = json.dumps(
        {"metadata": {"total_size": 44}, "weight_map": {"a": "a.safetensors", "c": "deep/b.safetensors"}}
    )
    empty = json.dumps(entry("F32", [0], 0, 0)).encode()
    return [
        b"F" + bytes([data_bytes]) + good,
        b"f" + len(good).to_bytes(8, "little") + good + bytes(data_bytes),
        b"f" + bytes(8),
        b"f" + b"\xff" * 8 + good,
        b"fversion https://git-lfs.github.com/spec/v1",
        b'F\x10{"w\\ud83d\\ude00":' + json.dumps(entry("F64", [1, 2], 0, 16)).encode() + b"}",
        b'F\x04{"w":{"dtype":"F32","shape":[1],"data_offsets":[-1,1e9,NaN]}}',
        b'F\0{\xff\xff"\xff\xff":' + empty + b',\xff\xff"z":' + empty + b"}",
        b'F\0{"w":\xff\xff[\xff\xff,\xff\xff0]}',
        b"i" + index.encode(),
        b'i{"weight_map":{"a":"../x.safetensors","b":"/x.safetensors","c":7}}',
        b'i{"weight_map":{"a":"a.safetensors","d":"deep/b.safetensors","e":"new.safetensors"}}',
        b'i{"weight_map":{\xff\xff"\xff\xff":"a.safetensors",\xff\xff"a":"a.safetensors"}}',
        b'i{"weight_map":{\xff\xff"a":"\xff\xff.safetensors",\xff\xff"a":"a.safetensors"}}',
    ]


def mutate(data: bytes, longest: int, seed: int) -> bytes:
    """Half of the time changes the JSON as a tree, which bytes changed at random hardly ever leave whole."""
    random = Random(seed)
    skipped = 2 if data[:1] == b"F" else 1
    tree = None
    if random.random() < 0.5:
        with suppress(ValueError, RecursionError):
            tree = json.loads(data[skipped:])
    places = list(places_in(tree))
    if not places:
        return atheris.Mutate(data, longest)
    for _ in range(random.randint(1, 4)):
        inside, key = random.choice(places)
        other, other_key = random.choice(places)
        value = random.choice([random.choice(TEXTS), random.choice(NUMBERS), None, True, [], {}])
        if isinstance(inside, dict) and random.random() < 0.3:
            key = random.choice(TEXTS)
        with suppress(IndexError, KeyError):  # it may be gone by now
            inside[key] = copy.deepcopy(other[other_key]) if random.random() < 0.3 else value
    return (data[:skipped] + json.dumps(tree).encode())[:longest]


def places_in(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (object, key) and (list, position) in the tree."""
    if isinstance(tree, (dict, list)):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from places_in(tree[key])

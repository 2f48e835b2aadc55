"""Reads the header of a safetensors file, trusting nothing in it.

Source: the format's specification (safetensors README) with the checks of its reference implementation: 8 bytes of
length, a JSON object of at most 100 MB, tensors that fill the rest of the file without gap or overlap.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion_kernels.collection import paused_collection
from fusion_kernels.dtypes import DTYPES
from fusion_kernels.errors import listing, quoted
from fusion_kernels.sources.checkpoint import FileStamp, TensorInfo, open_regular

MAX_HEADER_BYTES = 100_000_000
_MAX_HEADER_VALUES = 8_000_000  # bounds what the JSON parser allocates: some 500,000 tensors, below 1 GB
_MAX_DIMENSIONS = 64
_MAX_INT = 2**63 - 1
_PREFIXES = {  # what is often found under the name of a safetensors file
    b"version ": "a Git LFS pointer, not the weights themselves; fetch them with `git lfs pull`",
    b"PK\x03\x04": "a PyTorch pickle (zip), not safetensors; convert it with safetensors.torch.save_file",
    b"\x80\x02": "a pickle, not safetensors; convert it with safetensors.torch.save_file",
    b"GGUF": "a GGUF file, not safetensors; GGUF is not available yet",
    b"<!DOCTYP": "a web page, not safetensors; the download went wrong",
    b"<html": "a web page, not safetensors; the download went wrong",
}


@dataclass(frozen=True, slots=True)
class Header:
    """tensors: by name in file order, with offsets from the start of the file. metadata: the texts of __metadata__."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    stamp: FileStamp | None = None


def read_header(path: Path, *, buffer: int = 0) -> Header:
    """Reads and checks the header of the file at `path`; its tensors belong to buffer number `buffer`.

    Raises OSError where the file cannot be read and ValueError, naming file and tensor, where it is not valid.
    """
    descriptor = open_regular(path)
    try:
        status = os.fstat(descriptor)
        length = header_length(os.pread(descriptor, 8, 0), status.st_size, str(path))
        text = os.pread(descriptor, length, 8)
    finally:
        os.close(descriptor)
    header = parse_header(text, status.st_size, str(path), buffer=buffer)
    return Header(header.tensors, header.metadata, FileStamp.of(status))


def header_length(first_bytes: bytes, file_bytes: int, where: str) -> int:
    """Returns the length in bytes of the JSON that follows the file's first 8 bytes. Raises ValueError."""
    if file_bytes < 8:
        raise ValueError(
            f"{where}: the file has {file_bytes} bytes, too few for a safetensors header; it is truncated or empty"
        )
    length = int.from_bytes(first_bytes[:8], "little")
    if length > min(MAX_HEADER_BYTES, file_bytes - 8):
        for prefix, what in _PREFIXES.items():
            if first_bytes.startswith(prefix):
                raise ValueError(f"{where}: is {what}")
    if length > MAX_HEADER_BYTES:
        raise ValueError(
            f"{where}: the header says it has {length} bytes, more than the {MAX_HEADER_BYTES} the format allows; "
            "this is not a "
            "safetensors file, or it is damaged"
        )
    if length > file_bytes - 8:
        raise ValueError(
            f"{where}: the header says it has {length} bytes, but only {file_bytes - 8} follow; the file is truncated"
        )
    return length


def parse_header(text: bytes, file_bytes: int, where: str, *, buffer: int = 0) -> Header:
    """Checks the JSON `text` of a file of `file_bytes` bytes and returns what it describes. Raises ValueError."""
    try:
        with paused_collection():
            return _parse(text, file_bytes, where, buffer)
    except RecursionError:  # from showing a value nested nearly as deep as the parser allows
        raise ValueError(f"{where}: the header is nested too deeply") from None


def _parse(text: bytes, file_bytes: int, where: str, buffer: int) -> Header:
    data_start = 8 + len(text)
    entries = load_object(text, where)
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{where}: __metadata__ must be an object of texts, got {quoted(metadata)}")
    tensors = [_tensor(name, entry, data_start, file_bytes, where, buffer) for name, entry in entries.items()]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.nbytes))
    _check_cover(tensors, data_start, file_bytes, where)
    return Header({tensor.name: tensor for tensor in tensors}, metadata)


def load_object(text: bytes, where: str) -> dict[str, Any]:
    """Parses the JSON of a header or an index: an object, no name twice, texts that are valid Unicode. Raises "
    "ValueError."""
    if sum(text.count(mark) for mark in (b"[", b"{", b",", b":")) > _MAX_HEADER_VALUES:
        raise ValueError(
            f"{where}: the JSON holds more than {_MAX_HEADER_VALUES} values; no model has that many tensors"
        )

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) == len(pairs):
            return result
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise _InvalidError(f"the JSON has duplicate names: {listing(map(quoted, twice), limit=5)}")

    def not_a_number(constant: str) -> None:
        raise _InvalidError(f"{constant} is not JSON")

    try:
        decoded = text.decode("utf-8")
        value = json.loads(decoded, object_pairs_hook=unique, parse_constant=not_a_number)
        if "\\u" in decoded:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates pass the parser, but are no text
    except _InvalidError as error:
        raise ValueError(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:  # bad UTF-8, bad JSON, numbers of thousands of digits, deep nesting
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise ValueError(f"{where}: not valid JSON: {reason}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{where}: the JSON must be an object, got {quoted(value)}")
    return value


class _InvalidError(Exception):
    """A reason to refuse the JSON that the parser itself does not know."""


def _tensor(name: str, entry: Any, data_start: int, file_bytes: int, where: str, buffer: int) -> TensorInfo:
    try:
        code, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        dtype = DTYPES[code]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{where}: tensor {quoted(name)}: {_complaint(entry)}") from None
    count = 1
    valid = type(shape) is list and len(shape) <= _MAX_DIMENSIONS
    for size in shape if valid else ():
        valid = valid and type(size) is int and 0 <= size <= _MAX_INT
        count = count * size if valid else 0
    if not valid:
        raise ValueError(
            f"{where}: tensor {quoted(name)}: shape must be a list of at most {_MAX_DIMENSIONS} sizes >= 0, got "
            f"{quoted(shape)}"
        )
    if not (type(begin) is int and type(end) is int and 0 <= begin <= end):
        raise ValueError(
            f"{where}: tensor {quoted(name)}: data_offsets must be [begin, end] with 0 <= begin <= end, got "
            f"{quoted([begin, end])}"
        )
    if end > file_bytes - data_start:
        raise ValueError(
            f"{where}: tensor {quoted(name)}: its data_offsets {quoted([begin, end])} end beyond the "
            f"{file_bytes - data_start} "
            "bytes of data in the file; the file is truncated or its header is wrong"
        )
    bits = count * dtype.itemsize_bits
    if bits != (end - begin) * 8:
        raise ValueError(
            f"{where}: tensor {quoted(name)}: shape {quoted(shape)} of {code} needs {quoted(-(-bits // 8))} bytes, "
            "but data_offsets "
            f"give {end - begin}"
        )
    return TensorInfo(name, code, tuple(shape), buffer, data_start + begin, end - begin)


def _complaint(entry: Any) -> str:
    """What is wrong with an entry whose three members could not be taken out."""
    if not isinstance(entry, dict):
        return f"expected an object with dtype, shape and data_offsets, got {quoted(entry)}"
    missing = [key for key in ("dtype", "shape", "data_offsets") if key not in entry]
    if missing:
        return f"{', '.join(missing)} missing"
    code = entry["dtype"]
    if not isinstance(code, str) or code not in DTYPES:
        return f"unknown dtype {quoted(code)}; the format knows {', '.join(DTYPES)}"
    return f"data_offsets must be [begin, end], got {quoted(entry['data_offsets'])}"


def _check_cover(tensors: list[TensorInfo], data_start: int, file_bytes: int, where: str) -> None:
    """The tensors, in order of their offsets, must fill the data without gap, overlap or rest."""
    end, previous = data_start, None
    for tensor in tensors:
        if tensor.offset != end:
            kind = "overlaps" if tensor.offset < end else f"leaves a gap of {tensor.offset - end} bytes after"
            before = f"tensor {quoted(previous.name)}" if previous else "the header"
            raise ValueError(f"{where}: tensor {quoted(tensor.name)} {kind} {before}; the header is wrong")
        end, previous = tensor.offset + tensor.nbytes, tensor
    if end != file_bytes:
        raise ValueError(
            f"{where}: {file_bytes - end} bytes follow the last tensor; the header is wrong or the file is damaged"
        )

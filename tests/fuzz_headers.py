"""Fuzzes what is read of files nobody has checked: `python -m tests.fuzz_headers build/fuzz -max_total_time=60`.

Whatever the bytes of a safetensors header or an index.json, they are parsed, or refused by a ValueError or an OSError
in one line that names the file, in bounded time and memory. Takes libFuzzer's options; an input that breaks a promise
is left in the folder, and is run again when given instead of it. Needs atheris, which guides the bytes by the branches
they reach; `make test-sanitize` installs it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fusion_kernels", "json"]):
    from fusion_kernels.dtypes import DTYPES
    from fusion_kernels.sources.checkpoint import TensorInfo
    from fusion_kernels.sources.folder import open_folder
    from fusion_kernels.sources.safetensors_header import read_header

from tests.fuzz_inputs import WORDS, mutate, seeds, text_of
from tests.header_files import write_file

LONGEST = 8_192  # bytes of an input
SECONDS = 5.0  # of processor time for any of them
BYTES_PER_BYTE = 300  # of memory, beside the first megabyte
LONGEST_MESSAGE = 5_000
MEASURED = 20  # memory is traced for one input in so many: it takes long


class Target:
    """Two folders, one with a file under test, one with an index under test beside two good shards."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "x.safetensors"
        self.model = folder / "model"
        self.index = self.model / "model.safetensors.index.json"
        write_file(self.model / "a.safetensors", {"a": [4], "b": [2, 3]})
        write_file(self.model / "deep" / "b.safetensors", {"c": [1]})
        self.descriptors = {path: os.open(path, os.O_CREAT | os.O_RDWR) for path in (self.file, self.index)}
        self.runs = 0

    def __call__(self, data: bytes) -> None:
        self.runs += 1
        kind, content = data[:1], text_of(data[1:])
        measured = self.runs % MEASURED == 0
        if measured:
            tracemalloc.start()
        start = time.process_time()
        try:
            if kind in b"fF":
                self.read_file(content if kind == b"f" else len(content[1:]).to_bytes(8, "little") + content[1:], data)
            else:
                self.read_index(content)
        except (ValueError, OSError) as error:
            message = str(error)
            assert len(message) < LONGEST_MESSAGE, f"a message of {len(message)} characters"
            assert message.isprintable(), f"a message that does more than say something: {message!r}"
            assert "x.safetensors" in message or "model" in message, f"no file is named: {message}"
        finally:
            peak = tracemalloc.get_traced_memory()[1] if measured else 0
            tracemalloc.stop()
        seconds = time.process_time() - start
        assert seconds < SECONDS, f"{len(content)} bytes took {seconds:.1f} s"
        assert peak < 1_000_000 + BYTES_PER_BYTE * len(content), f"{len(content)} bytes took {peak} bytes of memory"

    def write(self, path: Path, content: bytes) -> None:
        os.ftruncate(self.descriptors[path], 0)
        os.pwrite(self.descriptors[path], content, 0)

    def read_file(self, content: bytes, data: bytes) -> None:
        content += bytes(data[1] if data[:1] == b"F" and len(data) > 1 else 0)  # the tensors themselves
        self.write(self.file, content)
        header = read_header(self.file)
        end = 8 + int.from_bytes(content[:8], "little")
        for tensor in header.tensors.values():  # what is accepted covers the data exactly
            assert tensor.offset == end, tensor
            check(tensor)
            end += tensor.nbytes
        assert end == len(content)

    def read_index(self, content: bytes) -> None:
        self.write(self.index, content)
        checkpoint = open_folder(self.model, label="model")
        for tensor in checkpoint.tensors.values():
            check(tensor)
        for file in checkpoint.files:
            assert file.resolve().is_relative_to(self.model.resolve()), file


def check(tensor: TensorInfo) -> None:
    assert all(0 <= size < 2**63 for size in tensor.shape), tensor
    assert tensor.numel * DTYPES[tensor.dtype].itemsize_bits == tensor.nbytes * 8, tensor


def main() -> None:
    folder = next((Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")), None)
    options = list(sys.argv)
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=in_memory) as temporary:
        if folder and not folder.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            for number, seed in enumerate(seeds()):
                (folder / f"seed-{number}").write_bytes(seed)
            dictionary = Path(temporary, "words")
            dictionary.write_text("".join(f'"{word}"\n' for word in WORDS))
            options += [f"-dict={dictionary}", f"-artifact_prefix={folder}/failed-"]
        limits = [f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=1024"]
        atheris.Setup([*options, *limits], Target(Path(temporary)), custom_mutator=mutate)
        atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
